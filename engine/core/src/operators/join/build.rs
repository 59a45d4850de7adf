//! Sink: takes the right input, and becomes columns addressed by row number and a table from keys to row numbers.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use arrow_schema::DataType;
use plasmon_kernels::join_table::JoinTable;

use super::{JoinShared, publish};
use crate::batch::{Batch, Bitmap, Column, arrow::null_column};
use crate::config::BATCH_ROWS_MAX;
use crate::error::{Error, Result};
use crate::expression::evaluate;
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::operators::key::KeyEncoder;
use crate::pipeline::{Flow, Sink, SinkState, TaskContext};

/// Rows that workers have brought so far.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    state: Mutex<ArrivingRows>,
}

#[derive(Debug, Default)]
struct ArrivingRows {
    /// Input columns and key columns of each batch.
    batches: Vec<(Vec<Column>, Vec<Column>, usize)>,
    reservations: Vec<Reservation>,
    metrics: Option<Arc<OperatorMetrics>>,
}

/// The build side, complete and immutable but for the marks.
pub(super) struct Built {
    /// Columns of all rows and, at the end, one row of nulls; empty columns where nobody reads them.
    pub columns: Vec<Column>,
    pub rows: usize,
    pub table: JoinTable,
    pub encoder: KeyEncoder,
    /// Some key of some row is null.
    pub has_null_key: bool,
    /// One mark a row when the kind needs them.
    pub met: Vec<AtomicBool>,
    _reservation: Reservation,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct JoinBuild {
    pub(super) shared: Arc<JoinShared>,
}

impl Sink for JoinBuild {
    fn name(&self) -> &'static str {
        "JoinBuild"
    }

    fn describe(&self) -> String {
        self.shared.spec.right_keys.iter().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SinkState>> {
        Ok(Box::new(JoinBuildState {
            shared: self.shared.clone(),
            batches: Vec::new(),
            reservation: Some(task.memory.reservation("Join build")),
            metrics: metrics.clone(),
        }))
    }

    fn seal(&self, task: &TaskContext) -> Result<()> {
        let arrived = std::mem::take(&mut *self.shared.arriving.state.lock().unwrap_or_else(|e| e.into_inner()));
        let metrics = arrived.metrics.clone();
        let built = assemble(&self.shared, arrived, task)?;
        if let Some(metrics) = metrics {
            metrics.note("table", built.table.mode());
            metrics.note("keys", if built.table.is_unique() { "unique" } else { "repeated" });
        }
        let _ = self.shared.built.set(built);
        Ok(())
    }
}

struct JoinBuildState {
    shared: Arc<JoinShared>,
    batches: Vec<(Vec<Column>, Vec<Column>, usize)>,
    reservation: Option<Reservation>,
    metrics: Arc<OperatorMetrics>,
}

impl SinkState for JoinBuildState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let batch = batch.compact();
        let keys = self.shared.spec.right_keys.iter().map(|k| evaluate(k, &batch)).collect::<Result<Vec<_>>>()?;
        if let Some(reservation) = &self.reservation {
            reservation.grow(batch.memory_bytes() + keys.iter().map(Column::memory_bytes).sum::<usize>())?;
            self.metrics.reserved(reservation.held());
        }
        let rows = batch.rows();
        self.batches.push((batch.into_columns(), keys, rows));
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        let mut arriving = self.shared.arriving.state.lock().unwrap_or_else(|e| e.into_inner());
        arriving.batches.append(&mut self.batches);
        arriving.reservations.extend(self.reservation.take());
        arriving.metrics = Some(self.metrics.clone());
        Ok(())
    }
}

/// Ordinals of the right columns that the output or the residual reads.
fn read_columns(shared: &JoinShared) -> Vec<bool> {
    let spec = &shared.spec;
    let left = spec.left_types.len();
    let mut read = vec![false; spec.right_types.len()];
    if spec.kind.is_right_only() {
        shared.outputs.iter().filter(|&&o| o < spec.right_types.len()).for_each(|&o| read[o] = true);
    } else if !spec.kind.is_left_only() {
        shared.outputs.iter().filter(|&&o| o >= left).for_each(|&o| read[o - left] = true);
    }
    let residual = spec.residual.as_ref().map(|r| r.referenced_columns()).unwrap_or_default();
    residual.iter().filter(|&&c| c >= left).for_each(|&c| read[c - left] = true);
    read
}

fn assemble(shared: &JoinShared, mut arrived: ArrivingRows, task: &TaskContext) -> Result<Built> {
    let spec = &shared.spec;
    let rows: usize = arrived.batches.iter().map(|b| b.2).sum();
    if rows >= u32::MAX as usize {
        return Err(Error::unsupported(format!(
            "a join whose build side has {rows} rows; at most {} fit",
            u32::MAX - 1
        )));
    }
    let reservation = task.memory.reservation("Join table");
    let key_types: Vec<DataType> = spec.right_keys.iter().map(|k| k.data_type.clone()).collect();
    let mut encoder = KeyEncoder::with_nulls(&key_types, task.config.hash_collisions, spec.null_equal.contains(&true))?;
    let width = if key_types.is_empty() { 0 } else { encoder.width() };
    reservation.grow(rows * (width * 8 + 16))?;
    let (words, taking_part, has_null_key) = encode_keys(shared, &mut encoder, &arrived, rows, width)?;
    publish::publish(shared, &arrived.batches.iter().map(|b| &b.1[..]).collect::<Vec<_>>(), rows)?;
    arrived.batches.iter_mut().for_each(|b| b.1.clear());
    let table = JoinTable::build(width, &words, &taking_part, task.config.hash_collisions);
    let read = read_columns(shared);
    let mut columns = Vec::with_capacity(read.len());
    for (index, data_type) in spec.right_types.iter().enumerate() {
        if !read[index] {
            columns.push(null_column(data_type, 0));
            continue;
        }
        // Moved out of the batches one by one: at most one column exists twice.
        let mut parts: Vec<Column> =
            arrived.batches.iter_mut().map(|b| std::mem::replace(&mut b.0[index], null_column(data_type, 0))).collect();
        parts.push(null_column(data_type, 1));
        columns.push(Column::concat(&parts, data_type)?);
    }
    reservation.resize(
        columns.iter().map(Column::memory_bytes).sum::<usize>() + table.memory_bytes() + encoder.memory_bytes(),
    )?;
    let met = if spec.kind.marks_right() { (0..rows).map(|_| AtomicBool::new(false)).collect() } else { Vec::new() };
    Ok(Built { columns, rows, table, encoder, has_null_key, met, _reservation: reservation })
}

/// Key words of every row, the rows that can match, and whether some key is null.
fn encode_keys(
    shared: &JoinShared,
    encoder: &mut KeyEncoder,
    arrived: &ArrivingRows,
    rows: usize,
    width: usize,
) -> Result<(Vec<u64>, Vec<u32>, bool)> {
    let mut words = Vec::with_capacity(rows * width);
    let mut taking_part = Vec::with_capacity(rows);
    let mut has_null_key = false;
    let mut row = 0u32;
    for (_, keys, count) in &arrived.batches {
        debug_assert!(*count <= BATCH_ROWS_MAX);
        if width == 0 {
            taking_part.extend(row..row + *count as u32);
            row += *count as u32;
            continue;
        }
        let encoded = encoder.encode(keys, *count)?;
        words.extend_from_slice(&encoded.words);
        has_null_key |= encoded.any_null.is_some();
        match excluded(shared, keys) {
            None => taking_part.extend(row..row + *count as u32),
            Some(valid) => taking_part.extend((0..*count as u32).filter(|&r| valid.get(r as usize)).map(|r| row + r)),
        }
        row += *count as u32;
    }
    Ok((words, taking_part, has_null_key))
}

/// Rows that can match: those without a null in a key for which null equals nothing.
pub(super) fn excluded(shared: &JoinShared, keys: &[Column]) -> Option<Bitmap> {
    let strict = keys.iter().zip(&shared.spec.null_equal).filter(|(_, null_equal)| !**null_equal);
    strict.fold(None, |valid, (key, _)| Bitmap::and_optional(valid.as_ref(), key.validity()))
}
