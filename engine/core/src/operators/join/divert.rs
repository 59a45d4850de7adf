//! Probe rows whose build rows are on disk: they go there, too, to be joined when all others are.
//!
//! Rows that cannot match anything stay: whatever the kind gives of them, they need no build row for it.

use std::sync::Arc;

use super::JoinShared;
use super::disk::{Partitions, Writer};
use super::keys::JoinKeys;
use super::layout::{Cut, Hashing};
use crate::batch::{Batch, Column, Selection};
use crate::error::Result;
use crate::metrics::OperatorMetrics;
use crate::pipeline::TaskContext;

/// One worker's way to disk.
pub(super) struct Diversion {
    shared: Arc<JoinShared>,
    /// All partitions that are on disk: the build side is complete.
    on_disk: Partitions,
    hashing: Hashing,
    writer: Writer,
}

impl Diversion {
    /// `None` = all build rows are in memory.
    pub(super) fn of(shared: &Arc<JoinShared>, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Option<Self> {
        let on_disk = shared.disk.partitions();
        (!on_disk.is_empty()).then(|| Diversion {
            on_disk,
            hashing: Hashing::first(task),
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
        let takes_part = |rank: u16| valid.as_ref().is_none_or(|valid| valid.get(rank as usize));
        let position = |rank: u16| batch.selection().map_or(rank, |selection| selection.positions()[rank as usize]);
        let mut staying: Vec<u16> = Vec::new();
        let cut = Cut::new(&self.hashing.hashes(&keys, rows), self.hashing.parts);
        for (partition, ranks) in cut.partitions() {
            if !self.on_disk.has(partition) {
                staying.extend(ranks);
                continue;
            }
            let (going, unmatched): (Vec<u16>, Vec<u16>) = ranks.iter().partition(|&&rank| takes_part(rank));
            staying.extend(unmatched);
            let positions: Vec<u16> = going.into_iter().map(position).collect();
            if !positions.is_empty() {
                let columns = self.shared.layout.probe_columns(&batch, &positions);
                self.writer.add(&self.shared.disk.probe, partition, columns, positions.len())?;
            }
        }
        if staying.is_empty() || staying.len() == rows {
            return Ok((!staying.is_empty()).then_some((batch, keys)));
        }
        staying.sort_unstable();
        let positions = staying.iter().map(|&rank| position(rank)).collect();
        let keys = keys.iter().map(|key| key.gather(&staying)).collect();
        Ok(Some((batch.with_selection(Selection::new(positions)), keys)))
    }

    /// The worker's input is over.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.writer.finish(&self.shared.disk.probe)
    }
}
