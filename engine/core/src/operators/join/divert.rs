//! Probe rows whose build rows are on disk: they go there, too, to be joined when all others are.
//!
//! Rows that cannot match anything stay: whatever the kind gives of them, they need no build row for it.

use std::sync::Arc;

use super::JoinShared;
use super::arrive::{CUT_ROWS, cut_bytes};
use super::disk::{Partitions, Writer};
use super::keys::JoinKeys;
use super::layout::{Hashing, concat, piece_bytes};
use crate::batch::{Batch, Column, Selection};
use crate::config::BATCH_ROWS_MAX;
use crate::error::Result;
use crate::memory::Reservation;
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;
use crate::spill::Block;

/// One worker's way to disk.
pub(super) struct Diversion {
    shared: Arc<JoinShared>,
    /// All partitions that are on disk: the build side is complete.
    on_disk: Partitions,
    hashing: Hashing,
    /// Rows that go to disk, and their hashes, until there are enough to be cut.
    going: Vec<Vec<Column>>,
    hashes: Vec<u64>,
    cut_bytes: usize,
    reservation: Reservation,
    writer: Writer,
}

impl Diversion {
    /// `None` = all build rows are in memory.
    pub(super) fn of(shared: &Arc<JoinShared>, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Option<Self> {
        let on_disk = shared.disk.partitions();
        (!on_disk.is_empty()).then(|| Diversion {
            on_disk,
            hashing: Hashing::first(task),
            going: Vec::new(),
            hashes: Vec::new(),
            cut_bytes: cut_bytes(task),
            reservation: task.memory.spilling_reservation("Join spill"),
            writer: Writer::new(&shared.layout.probe_types, task, metrics),
            shared: shared.clone(),
        })
    }

    /// The rows that stay, with their keys, of the selected rows and theirs; `None` = none do.
    pub(super) fn stays(
        &mut self,
        batch: Batch,
        keys: Vec<Column>,
        forms: &JoinKeys,
    ) -> Result<Option<(Batch, Vec<Column>)>> {
        let rows = batch.selected_rows();
        let valid = forms.taking_part(&keys);
        let hashes = self.hashing.hashes(&keys, rows);
        let goes = |rank: usize| {
            self.on_disk.has(self.hashing.partition(hashes[rank])) && valid.as_ref().is_none_or(|valid| valid.get(rank))
        };
        let (going, staying): (Vec<u16>, Vec<u16>) = (0..rows as u16).partition(|&rank| goes(rank as usize));
        if going.is_empty() {
            return Ok(Some((batch, keys)));
        }
        let position = |rank: u16| batch.selection().map_or(rank, |selection| selection.positions()[rank as usize]);
        let positions: Vec<u16> = going.iter().map(|&rank| position(rank)).collect();
        let hashes = going.iter().map(|&rank| hashes[rank as usize]);
        self.collect(self.shared.layout.probe_columns(&batch, &positions), hashes)?;
        if staying.is_empty() {
            return Ok(None);
        }
        let positions = staying.iter().map(|&rank| position(rank)).collect();
        let keys = keys.iter().map(|key| key.gather(&staying)).collect();
        Ok(Some((batch.with_selection(Selection::new(positions)), keys)))
    }

    /// Holds rows until there are enough: many small pieces cost more than the rows.
    fn collect(&mut self, columns: Vec<Column>, hashes: impl ExactSizeIterator<Item = u64>) -> Result<()> {
        // They are cut as one batch.
        if self.hashes.len() + hashes.len() > BATCH_ROWS_MAX {
            self.cut()?;
        }
        self.hashes.extend(hashes);
        let has_room = self.reservation.try_grow(piece_bytes(&columns))?;
        self.going.push(columns);
        let is_enough = self.hashes.len() >= CUT_ROWS || self.reservation.held() >= self.cut_bytes;
        if has_room && !is_enough { Ok(()) } else { self.cut() }
    }

    fn cut(&mut self) -> Result<()> {
        let going = std::mem::take(&mut self.going);
        let columns = match &going[..] {
            [] => return Ok(()),
            [one] => one.clone(),
            several => concat(several, &self.shared.layout.probe_types)?,
        };
        drop(going);
        let batch = self.shared.layout.probe_batch(Block { columns, rows: self.hashes.len() })?;
        let keys = || self.shared.probe_keys(&batch);
        for (partition, columns, rows) in self.shared.layout.cut_probe(&batch, keys, &self.hashes, self.hashing)? {
            self.writer.add(&self.shared.disk.probe, partition, columns, rows)?;
        }
        self.hashes.clear();
        self.reservation.shrink(self.reservation.held());
        Ok(())
    }

    /// The worker's input is over.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.cut()?;
        self.writer.finish(&self.shared.disk.probe)
    }
}
