//! Exchange: deals rows to partitions, each of which one worker then reads as a whole.
//!
//! By keys (rows of equal keys meet in one partition: `DISTRIBUTE BY`, a host's shuffle) or in turn, a batch at a time (which only spreads
//! the work of a source that feeds one worker). Rows that one worker brought keep their order within a partition.
//!
//! ```text
//! push ──▶ worker's pieces by partition ──combine──▶ pieces of all, in memory or on disk ──▶ a partition at a time
//!              ╰─told to spill──▶ file of the worker: blocks of one partition each
//! ```
//! What grows: all rows, under a reservation per worker. A worker that is told to spill writes the pieces of every partition, since they share the strings of
//! the batches that they were cut from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_schema::DataType;
use plasmon_kernels::partition::partition_rows;

use super::Breaker;
use super::key_hash::hash_keys;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::expression::{Expression, Scalar, evaluate};
use crate::memory::{Reservation, granted};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Next, Sink, SinkState, Source, SourceState, TaskContext};
use crate::spill::SpillFile;

/// Most partitions: a batch is cut into as many pieces.
pub const PARTITIONS_MAX: usize = 4096;

/// Which partition a row goes to.
#[derive(Debug, Clone)]
pub enum Distribution {
    /// Equal keys, the same partition; nulls equal each other.
    Keys(Vec<Expression>),
    /// Whole batches in turn.
    InTurn,
}

/// An exchange of rows with these columns.
#[derive(Debug, Clone)]
pub struct ExchangeSpec {
    pub distribution: Distribution,
    /// 1..=4096.
    pub partitions: usize,
    pub types: Vec<DataType>,
    /// The partition's number, an int32, comes out in a column more.
    pub numbered: bool,
}

/// Sink and sources of an exchange.
#[derive(Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
}

/// Rows of one partition.
#[derive(Debug)]
enum Piece {
    Batch(Batch),
    /// A block, and its rows.
    Block(Arc<SpillFile>, usize, usize),
}

impl Piece {
    fn rows(&self) -> usize {
        match self {
            Piece::Batch(batch) => batch.rows(),
            Piece::Block(_, _, rows) => *rows,
        }
    }

    fn batch(self) -> Result<Batch> {
        match self {
            Piece::Batch(batch) => Ok(batch),
            Piece::Block(file, block, _) => file.block(block).map(|block| Batch::new(block.columns, block.rows)),
        }
    }
}

/// Bytes of a column, or of a piece, beside its values.
const PIECE_BYTES: usize = 192;

#[derive(Debug)]
struct Shared {
    spec: ExchangeSpec,
    /// Pieces of each partition; taken by its reader.
    partitions: Vec<Mutex<Vec<Piece>>>,
    reservations: Mutex<Vec<Reservation>>,
    /// Batches dealt in turn so far.
    dealt: AtomicUsize,
    /// The next partition to be read.
    cursor: AtomicUsize,
}

impl Exchange {
    /// Checks the spec.
    pub fn new(spec: ExchangeSpec) -> Result<Self> {
        if spec.partitions == 0 || spec.partitions > PARTITIONS_MAX {
            return Err(Error::unsupported(format!("{} partitions; 1 to {PARTITIONS_MAX} are", spec.partitions)));
        }
        let partitions = (0..spec.partitions).map(|_| Mutex::default()).collect();
        Ok(Exchange {
            shared: Arc::new(Shared {
                spec,
                partitions,
                reservations: Mutex::default(),
                dealt: AtomicUsize::new(0),
                cursor: AtomicUsize::new(0),
            }),
        })
    }

    /// Takes rows.
    pub fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(ExchangeSink { shared: self.shared.clone() })
    }

    /// Gives all partitions, each to one worker.
    pub fn source(&self) -> Arc<dyn Source> {
        Arc::new(ExchangeSource { shared: self.shared.clone(), only: None })
    }

    /// Gives one partition, for hosts that read each on a task of its own.
    pub fn partition(&self, index: usize) -> Result<Arc<dyn Source>> {
        if index >= self.shared.spec.partitions {
            return Err(Error::internal(format!("partition {index} of {}", self.shared.spec.partitions)));
        }
        Ok(Arc::new(ExchangeSource { shared: self.shared.clone(), only: Some(index) }))
    }

    /// Both halves, for plans.
    pub fn breaker(&self) -> Breaker {
        Breaker { sink: self.sink(), source: self.source() }
    }
}

#[derive(Debug)]
struct ExchangeSink {
    shared: Arc<Shared>,
}

impl Sink for ExchangeSink {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        let partitions = self.shared.spec.partitions;
        Ok(Box::new(ExchangeState {
            partitions: vec![Vec::new(); partitions],
            spilled: (0..partitions).map(|_| Vec::new()).collect(),
            file: None,
            shared: self.shared.clone(),
            reservation: Some(task.memory.spilling_reservation("Exchange")),
            metrics: metrics.clone(),
            task: task.clone(),
        }))
    }
}

/// One worker's rows by partition.
struct ExchangeState {
    shared: Arc<Shared>,
    partitions: Vec<Vec<Batch>>,
    /// What came before those, on disk …
    spilled: Vec<Vec<Piece>>,
    /// … in this file.
    file: Option<Arc<SpillFile>>,
    reservation: Option<Reservation>,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
}

impl SinkState for ExchangeState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.detach();
        let has_room = self.make_room(self.bytes(&batch))?;
        match &self.shared.spec.distribution {
            Distribution::InTurn => {
                let turn = self.shared.dealt.fetch_add(1, Ordering::Relaxed) % self.partitions.len();
                self.partitions[turn].push(batch);
            }
            Distribution::Keys(keys) => {
                let keys = keys.iter().map(|key| evaluate(key, &batch)).collect::<Result<Vec<_>>>()?;
                self.cut(&batch, &hash_keys(&keys, batch.rows()));
            }
        }
        if !has_room {
            self.spill()?;
        }
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let own = self.spilled.iter_mut().zip(&mut self.partitions);
        for ((spilled, own), all) in own.zip(&self.shared.partitions) {
            let mut all = all.lock().unwrap_or_else(|e| e.into_inner());
            all.append(spilled);
            all.extend(own.drain(..).map(Piece::Batch));
        }
        // What waits for its readers cannot spill any more.
        let token = self.reservation.take().map(Reservation::passive);
        self.shared.reservations.lock().unwrap_or_else(|e| e.into_inner()).extend(token);
        Ok(())
    }
}

impl ExchangeState {
    /// Bytes of a batch cut to pieces.
    fn bytes(&self, batch: &Batch) -> usize {
        let pieces = match &self.shared.spec.distribution {
            Distribution::InTurn => 1,
            Distribution::Keys(_) => batch.rows().min(self.partitions.len()),
        };
        batch.memory_bytes() + pieces * (batch.columns().len() + 1) * PIECE_BYTES
    }

    /// Reserves `bytes`, spilling what is here if it must; `false` = there is no memory at all, and what comes is to be written at once.
    fn make_room(&mut self, bytes: usize) -> Result<bool> {
        let Some(reservation) = &self.reservation else {
            return Err(Error::internal("a batch came to an exchange that is over"));
        };
        if reservation.try_grow(bytes)? {
            self.metrics.reserved(reservation.held());
            return Ok(true);
        }
        self.spill()?;
        granted(self.reservation.as_ref().map_or(Ok(()), |reservation| reservation.grow(bytes)))
    }

    fn cut(&mut self, batch: &Batch, hashes: &[u64]) {
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        partition_rows(hashes, self.partitions.len() as u32, &mut rows, &mut ends);
        let mut start = 0;
        for (partition, end) in self.partitions.iter_mut().zip(ends) {
            let rows = &rows[std::mem::replace(&mut start, end as usize)..end as usize];
            if !rows.is_empty() {
                let columns = batch.columns().iter().map(|column| column.gather(rows)).collect();
                partition.push(Batch::new(columns, rows.len()));
            }
        }
    }

    /// Writes the pieces of every partition, joined to full batches.
    fn spill(&mut self) -> Result<()> {
        let file = self.task.spill.file_in(&mut self.file, "Exchange", &self.metrics)?;
        let batch_rows = self.task.config.batch_rows.max(1);
        for (pieces, spilled) in self.partitions.iter_mut().zip(&mut self.spilled) {
            let mut left = std::mem::take(pieces).into_iter();
            while !left.as_slice().is_empty() {
                self.task.cancel.check()?;
                let count = fitting(left.as_slice().iter().map(Batch::rows), batch_rows);
                let batch = Batch::join(left.by_ref().take(count).collect(), &self.shared.spec.types)?;
                let block = file.append(batch.columns(), batch.rows())?;
                spilled.push(Piece::Block(file.clone(), block, batch.rows()));
            }
        }
        if let Some(reservation) = &self.reservation {
            reservation.shrink(reservation.held());
        }
        Ok(())
    }
}

/// How many pieces of these rows make a full batch; at least one.
fn fitting(pieces: impl Iterator<Item = usize>, batch_rows: usize) -> usize {
    let mut rows = 0;
    let fits = |piece: &usize| {
        rows += piece;
        rows <= batch_rows
    };
    pieces.take_while(fits).count().max(1)
}

#[derive(Debug)]
struct ExchangeSource {
    shared: Arc<Shared>,
    only: Option<usize>,
}

impl Source for ExchangeSource {
    fn name(&self) -> &'static str {
        "ExchangeSource"
    }

    fn max_workers(&self) -> usize {
        if self.only.is_some() { 1 } else { self.shared.spec.partitions }
    }

    fn open(&self, task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        Ok(Box::new(ExchangeSourceState {
            shared: self.shared.clone(),
            only: self.only,
            partition: 0,
            pieces: Vec::new().into_iter(),
            batch_rows: task.config.batch_rows.max(1),
        }))
    }
}

struct ExchangeSourceState {
    shared: Arc<Shared>,
    /// The one partition to read, until it is taken.
    only: Option<usize>,
    /// The partition that the pieces are of.
    partition: usize,
    pieces: std::vec::IntoIter<Piece>,
    batch_rows: usize,
}

impl SourceState for ExchangeSourceState {
    fn next(&mut self) -> Result<Next> {
        while self.pieces.as_slice().is_empty() {
            let next = self.only.take().unwrap_or_else(|| self.shared.cursor.fetch_add(1, Ordering::Relaxed));
            let Some(partition) = self.shared.partitions.get(next) else { return Ok(Next::Finished) };
            let pieces = std::mem::take(&mut *partition.lock().unwrap_or_else(|e| e.into_inner()));
            self.pieces = pieces.into_iter();
            self.partition = next;
        }
        let batch = self.together()?;
        Ok(Next::Batch(if self.shared.spec.numbered { self.with_number(batch)? } else { batch }))
    }
}

impl ExchangeSourceState {
    fn with_number(&self, batch: Batch) -> Result<Batch> {
        let rows = batch.rows();
        let number = Scalar::Int64(self.partition as i64).to_column(&DataType::Int32, rows)?;
        let columns = batch.columns().iter().cloned().chain([number]).collect();
        Ok(match batch.selection().cloned() {
            None => Batch::new(columns, rows),
            Some(selection) => Batch::new(columns, rows).with_selection(selection),
        })
    }

    /// The next pieces as one batch, as many as fit.
    fn together(&mut self) -> Result<Batch> {
        let count = fitting(self.pieces.as_slice().iter().map(Piece::rows), self.batch_rows);
        let pieces = self.pieces.by_ref().take(count).map(Piece::batch).collect::<Result<_>>()?;
        Batch::join(pieces, &self.shared.spec.types)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random_rows::{self, Random, drive, scalars};
    use super::*;
    use crate::config::{Config, Fault};

    fn sorted(rows: Vec<Vec<crate::expression::Scalar>>) -> Vec<String> {
        // Narrow decimals may come out wide.
        let text = |row: Vec<crate::expression::Scalar>| format!("{row:?}").replace("Int64", "Int128");
        let mut rows: Vec<String> = rows.into_iter().map(text).collect();
        rows.sort();
        rows
    }

    #[test]
    fn rows_of_equal_keys_meet_and_none_is_lost() {
        for seed in 0..60 {
            let mut random = Random(seed);
            let key = random.pick(&random_rows::types());
            let types = vec![key.clone(), DataType::Utf8, DataType::Int64];
            let batches: Vec<Batch> = (0..random.below(8))
                .map(|i| {
                    let rows = random.below(90) as usize;
                    random_rows::batch(&mut random, &types[..2], rows, i as i64 * 100)
                })
                .collect();
            let distribution = match random.below(3) {
                0 => Distribution::InTurn,
                _ => Distribution::Keys(vec![Expression::column(0, key)]),
            };
            let partitions = 1 + random.below(9) as usize;
            let batch_rows = random.pick(&[1, 7, 4096]);
            let fault = random.pick(&[None, Some(Fault::SpillEvery(1)), Some(Fault::SpillEvery(2))]);
            let memory_bytes = random.pick(&[None, Some(0)]);
            let task = TaskContext::new(Config { batch_rows, fault, memory_bytes, ..Config::default() });
            let exchange =
                Exchange::new(ExchangeSpec { distribution, partitions, types, numbered: false }).expect("a spec");
            let all = drive(&exchange.breaker(), batches.clone(), 1 + random.below(3) as usize, &task).expect("runs");
            assert_eq!(sorted(scalars(&all)), sorted(scalars(&batches)), "seed {seed}");
            drop(exchange);
            assert_eq!(task.memory.used(), 0, "seed {seed}");
        }
    }

    #[test]
    fn a_partition_has_all_rows_of_its_keys() {
        for seed in 0..40 {
            let mut random = Random(seed);
            let types = vec![random.pick(&random_rows::types()), DataType::Int64];
            if matches!(types[0], DataType::List(_)) {
                continue;
            }
            let batches: Vec<Batch> =
                (0..5).map(|i| random_rows::batch(&mut random, &types[..1], 50, i * 50)).collect();
            let keys = vec![Expression::column(0, types[0].clone())];
            let spec = ExchangeSpec { distribution: Distribution::Keys(keys), partitions: 4, types, numbered: false };
            let exchange = Exchange::new(spec).expect("a spec");
            let fault = (seed % 2 == 0).then_some(Fault::SpillEvery(2));
            let task = TaskContext::new(Config { fault, ..Config::default() });
            let metrics = OperatorMetrics::new();
            let mut state = exchange.sink().open(&task, &metrics).expect("opens");
            batches.into_iter().filter(|b| b.selected_rows() > 0).for_each(|b| drop(state.push(b).expect("takes")));
            state.combine().expect("combines");
            let mut owner = std::collections::HashMap::new();
            for partition in 0..4 {
                let mut source = exchange.partition(partition).expect("exists").open(&task, &metrics).expect("opens");
                while let Next::Batch(batch) = source.next().expect("gives") {
                    for row in scalars(&[batch]) {
                        // −0 and 0, and every NaN, are one key.
                        let key = format!("{:?}", row[0]).replace("-0.0", "0.0").replace("-NaN", "NaN");
                        assert_eq!(*owner.entry(key).or_insert(partition), partition, "seed {seed}: {row:?}");
                    }
                }
            }
        }
        assert!(
            Exchange::new(ExchangeSpec {
                distribution: Distribution::InTurn,
                partitions: 0,
                types: vec![],
                numbered: false
            })
            .is_err()
        );
    }
}
