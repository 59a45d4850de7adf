//! Workers' rows → groups of partitions that are computed apart.

use std::sync::Arc;

use arrow_schema::DataType;

use super::{WindowFunction, WindowSpec};
use crate::batch::{Batch, Column};
use crate::config::BATCH_ROWS_DEFAULT;
use crate::error::{Error, Result};
use crate::expression::{Expression, Kind, Scalar};
use crate::memory::Reservation;
use crate::operators::sort::{KeyOrder, KeyParts, RowSources, Rows, shared_bytes};
use crate::pipeline::{CancelToken, SinkState};

/// Rows are dealt to this many buckets by the highest bits of their partition key's hash.
const BUCKETS: usize = 64;
/// A group of buckets should hold at least this many rows to be worth a task.
const GROUP_ROWS_MIN: usize = 1 << 14;
/// Groups per thread, so that an unlucky split does not leave threads idle.
const GROUPS_PER_THREAD: usize = 4;

/// What is collected of each row: the input's columns, then whatever else keys and functions read.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) types: Vec<DataType>,
    pub(super) computed: Vec<Expression>,
    pub(super) partition: Vec<usize>,
    pub(super) order: Vec<(usize, KeyOrder)>,
    pub(super) functions: Vec<FunctionColumns>,
}

/// Where a function's arguments are.
#[derive(Debug)]
pub(super) struct FunctionColumns {
    pub(super) arguments: Vec<Argument>,
    pub(super) filter: Option<usize>,
}

/// One argument.
#[derive(Debug)]
pub(super) enum Argument {
    /// A collected column.
    Column(usize),
    Constant(Scalar, DataType),
}

impl Collected {
    /// What `spec` needs.
    pub(super) fn new(spec: &WindowSpec) -> Self {
        let mut collected = Collected {
            types: spec.types.clone(),
            computed: Vec::new(),
            partition: Vec::new(),
            order: Vec::new(),
            functions: Vec::new(),
        };
        collected.partition = spec.partition_by.iter().map(|e| collected.column(e, spec.types.len())).collect();
        let order = |k: &crate::expression::SortKey| KeyOrder { descending: k.descending, nulls_first: k.nulls_first };
        collected.order =
            spec.order_by.iter().map(|k| (collected.column(&k.expression, spec.types.len()), order(k))).collect();
        for function in &spec.functions {
            let is_aggregate = matches!(function.function, WindowFunction::Aggregate(_));
            let arguments = function
                .arguments
                .iter()
                .map(|argument| match &argument.kind {
                    Kind::Literal(value) if !is_aggregate => {
                        Argument::Constant(value.clone(), argument.data_type.clone())
                    }
                    _ => Argument::Column(collected.column(argument, spec.types.len())),
                })
                .collect();
            let filter = function.filter.as_ref().map(|f| collected.column(f, spec.types.len()));
            collected.functions.push(FunctionColumns { arguments, filter });
        }
        collected
    }

    /// The one order key: its column, and how it is ordered.
    pub(super) fn order_key(&self) -> Result<(usize, KeyOrder)> {
        match self.order.as_slice() {
            [key] => Ok(*key),
            keys => Err(Error::user(format!(
                "a RANGE frame with a distance needs exactly one ORDER BY key, not {}",
                keys.len()
            ))),
        }
    }

    /// The collected column of an expression, added if it is new.
    fn column(&mut self, expression: &Expression, payload: usize) -> usize {
        if let Kind::Column(index) = expression.kind {
            return index;
        }
        if let Some(known) = self.computed.iter().position(|e| e == expression) {
            return payload + known;
        }
        self.types.push(expression.data_type.clone());
        self.computed.push(expression.clone());
        self.types.len() - 1
    }
}

/// One worker's rows, and their positions by bucket.
#[derive(Debug)]
pub(super) struct WorkerRows {
    columns: Vec<Column>,
    /// Row numbers, bucket after bucket; `None` = one bucket of all rows in order.
    positions: Option<Vec<u32>>,
    /// Where each bucket starts in `positions`, and their end.
    starts: Vec<usize>,
    /// Token for the columns and positions, given back with them.
    reservation: Reservation,
}

impl WorkerRows {
    /// Deals `rows` to buckets.
    pub(super) fn new(rows: Rows, collected: &Collected, reservation: Reservation) -> Result<Self> {
        let count = rows.len();
        let columns = rows.concat(&collected.types)?;
        if collected.partition.is_empty() {
            return Ok(WorkerRows { columns, positions: None, starts: vec![0, count], reservation });
        }
        let parts = KeyParts::new(
            collected.partition.iter().map(|&c| (&columns[c], &collected.types[c], KeyOrder::ANY)),
            count,
        )?;
        let hashes = parts.hashes()?;
        drop(parts);
        let mut positions = Vec::new();
        let starts = plasmon_kernels::sort::bucket_rows(&hashes, BUCKETS, &mut positions);
        Ok(WorkerRows { columns, positions: Some(positions), starts, reservation })
    }

    /// Rows that are to be computed together.
    pub(super) fn whole(columns: Vec<Column>, rows: usize, reservation: Reservation) -> Self {
        WorkerRows { columns, positions: None, starts: vec![0, rows], reservation }
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The part of the token that is for long strings of the first `payload` columns, which the output shares.
    pub(super) fn split_strings(&self, payload: usize) -> Reservation {
        self.reservation.split(self.columns[..payload].iter().map(shared_bytes).sum())
    }

    /// Gives all rows to a share of a sort: as copies, since these columns go only when all are copied.
    pub(super) fn hand_over(self, to: &mut dyn SinkState, cancel: &CancelToken) -> Result<()> {
        for start in (0..self.len()).step_by(BATCH_ROWS_DEFAULT) {
            cancel.check()?;
            let positions: Vec<u32> = (start..self.len().min(start + BATCH_ROWS_DEFAULT)).map(|p| p as u32).collect();
            let columns = self.columns.iter().map(|c| c.gather(&positions).own_strings()).collect();
            to.push(Batch::new(columns, positions.len()))?;
        }
        Ok(())
    }

    fn bucket_len(&self, bucket: usize) -> usize {
        self.starts[bucket + 1] - self.starts[bucket]
    }
}

/// All workers' rows, shared by the groups.
pub(super) struct Input {
    workers: Vec<WorkerRows>,
    pub(super) columns: Vec<RowSources>,
}

/// The rows of a few buckets: whole partitions.
pub(super) struct Group {
    pub(super) input: Arc<Input>,
    buckets: std::ops::Range<usize>,
}

/// Cuts all rows into groups of about equal size.
pub(super) fn groups(workers: Vec<WorkerRows>, collected: &Collected, threads: usize) -> Vec<Group> {
    let Some(first) = workers.first() else { return Vec::new() };
    let buckets = first.starts.len() - 1;
    let total: usize = workers.iter().map(WorkerRows::len).sum();
    let columns = collected.types.iter().enumerate();
    let columns =
        columns.map(|(c, t)| RowSources::new(workers.iter().map(|w| w.columns[c].clone()).collect(), t)).collect();
    let input = Arc::new(Input { workers, columns });
    let target = GROUP_ROWS_MIN.max(total / (threads * GROUPS_PER_THREAD));
    let mut groups = Vec::new();
    let (mut start, mut rows) = (0, 0);
    for bucket in 0..buckets {
        rows += input.workers.iter().map(|w| w.bucket_len(bucket)).sum::<usize>();
        if rows >= target || (bucket + 1 == buckets && rows > 0) {
            groups.push(Group { input: input.clone(), buckets: start..bucket + 1 });
            (start, rows) = (bucket + 1, 0);
        }
    }
    groups
}

impl Group {
    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.input.workers.iter().map(|w| w.starts[self.buckets.end] - w.starts[self.buckets.start]).sum()
    }

    /// Worker and row number of every row.
    pub(super) fn rows(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut runs, mut rows) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for (run, worker) in self.input.workers.iter().enumerate() {
            let range = worker.starts[self.buckets.start]..worker.starts[self.buckets.end];
            runs.resize(runs.len() + range.len(), run as u32);
            match &worker.positions {
                Some(positions) => rows.extend_from_slice(&positions[range]),
                None => rows.extend(range.start as u32..range.end as u32),
            }
        }
        (runs, rows)
    }
}
