//! Row groups of objects, fetched ahead: when a worker takes one, the requests for the next ones start.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use plasmon_core::Result;
use plasmon_core::expression::Expression;
use plasmon_core::memory::Counted;
use plasmon_core::pipeline::TaskContext;
use plasmon_core::table::ScanRequest;

use super::{Morsel, ParquetFile, page_index};
use crate::store::ByteSource;

/// Row groups under way beyond those that workers read: enough to hide a store's latency, few enough to hold in memory.
const GROUPS_AHEAD: usize = 2;

/// The sources of morsels that no worker has taken yet.
#[derive(Debug, Default)]
pub(super) struct ReadAhead(Mutex<Started>);

#[derive(Debug, Default)]
struct Started {
    /// Morsels before this one have been started.
    next: usize,
    sources: HashMap<usize, Arc<dyn ByteSource>>,
    /// For what these have.
    held: Option<Counted>,
}

impl ReadAhead {
    /// The source of morsel `index`, its bytes under way; starts the ones behind it.
    pub(super) fn take(
        &self,
        index: usize,
        morsels: &[Morsel],
        files: &[ParquetFile],
        columns: &[usize],
        task: &TaskContext,
    ) -> Result<Arc<dyn ByteSource>> {
        let cancel = &task.cancel;
        let mut started = self.0.lock().unwrap_or_else(|e| e.into_inner());
        for morsel in started.next..morsels.len().min(index + 1 + GROUPS_AHEAD) {
            let file = &files[morsels[morsel].file];
            let source = file.file.open(Some(cancel))?;
            if file.file.is_remote() {
                source.announce(&wanted_bytes(file, &morsels[morsel], columns));
            }
            started.sources.insert(morsel, source);
            started.next = morsel + 1;
        }
        let taken = started.sources.remove(&index);
        let held = started.sources.values().map(|source| source.held()).sum();
        started.held.get_or_insert_with(|| task.memory.counted("Parquet read ahead")).set(held);
        match taken {
            Some(source) => Ok(source),
            None => files[morsels[index].file].file.open(Some(cancel)),
        }
    }
}

/// The columns that a request reads.
pub(super) fn needed_columns(request: &ScanRequest) -> Vec<usize> {
    let mut needed = request.projection.clone();
    needed.extend(request.filters.iter().flat_map(Expression::referenced_columns));
    needed.extend(request.runtime_filters.iter().map(|t| t.column));
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// Where a morsel's columns lie.
fn wanted_bytes(file: &ParquetFile, morsel: &Morsel, columns: &[usize]) -> Vec<Range<u64>> {
    let metadata = file.metadata.metadata();
    file.leaves(columns).flat_map(|leaf| page_index::byte_ranges(metadata, morsel.group, leaf, &morsel.rows)).collect()
}
