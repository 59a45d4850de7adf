//! The scan: row groups, or parts of them, as morsels; in each, filters are applied to the columns that they read before any other column is
//! decoded.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arrow::datatypes::SchemaRef;
use plasmon_core::Result;
use plasmon_core::batch::Column;
use plasmon_core::expression::Scalar;
use plasmon_core::memory::Counted;
use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::{Next, Source, SourceState, TaskContext};
use plasmon_core::table::ScanRequest;

use super::ahead::{ReadAhead, needed_columns};
use super::coalesce::Coalescer;
use super::cut::cut;
use super::library::LibraryScan;
use super::native::{GroupScan, PassRates};
use super::prune::{self, Wanted};
use super::{Morsel, ParquetFile};
use crate::contain;
use crate::store::{BufferPool, ByteSource};

/// Scans files by row group.
#[derive(Debug)]
pub(super) struct ParquetScan {
    shared: Arc<ScanShared>,
}

/// What is scanned.
#[derive(Debug)]
pub(super) struct ScanContext {
    pub(super) files: Arc<Vec<ParquetFile>>,
    /// The table's columns, and the row number.
    pub(super) schema: SchemaRef,
    pub(super) request: ScanRequest,
}

#[derive(Debug)]
struct ScanShared {
    context: Arc<ScanContext>,
    /// Every morsel, once pruned: at open, when runtime filters are there.
    wanted: OnceLock<Wanted>,
    cursor: AtomicUsize,
    /// Row groups (and their files) of which no row passes, found when a part of them was opened.
    refused: Mutex<HashSet<(usize, usize)>>,
    ahead: ReadAhead,
}

impl ParquetScan {
    pub(super) fn new(files: Arc<Vec<ParquetFile>>, schema: SchemaRef, request: ScanRequest) -> Self {
        ParquetScan {
            shared: Arc::new(ScanShared {
                context: Arc::new(ScanContext { files, schema, request }),
                wanted: OnceLock::new(),
                cursor: AtomicUsize::new(0),
                refused: Mutex::default(),
                ahead: ReadAhead::default(),
            }),
        }
    }
}

impl ScanContext {
    /// A column that a file does not store.
    pub(super) fn constant_column(&self, file: usize, column: usize, rows: usize) -> Result<Column> {
        let data_type = self.schema.field(column).data_type();
        self.files[file].constant(column).unwrap_or(&Scalar::Null).to_column(data_type, rows)
    }
}

impl ScanShared {
    fn wanted(&self) -> &Wanted {
        self.wanted.get_or_init(|| {
            let ScanContext { files, schema, request } = &*self.context;
            let mut wanted = prune::wanted(files, schema, request);
            // How many workers there will be is not known yet; there are seldom more than processors.
            let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
            wanted.morsels = cut(wanted.morsels, files, &needed_columns(request), workers);
            wanted
        })
    }

    fn morsels(&self) -> &[Morsel] {
        &self.wanted().morsels
    }
}

impl Source for ParquetScan {
    fn name(&self) -> &'static str {
        "ParquetScan"
    }

    fn describe(&self) -> String {
        let ScanContext { files, schema, request } = &*self.shared.context;
        let columns: Vec<&str> = request.projection.iter().map(|&c| schema.field(c).name().as_str()).collect();
        format!("{} of {} files", columns.join(", "), files.len())
    }

    fn max_workers(&self) -> usize {
        self.shared.morsels().len()
    }

    fn open(&self, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn SourceState>> {
        self.shared.wanted().pruned.note(metrics);
        let ScanContext { schema, request, .. } = &*self.shared.context;
        Ok(Box::new(ScanState {
            shared: self.shared.clone(),
            metrics: metrics.clone(),
            task: task.clone(),
            reading: None,
            handle: None,
            pool: BufferPool::within(task.config.memory_bytes),
            held: task.memory.counted("Parquet scan"),
            rates: PassRates::new(),
            coalescer: Coalescer::new(schema, &request.projection, request.batch_rows, request.fetch),
        }))
    }
}

struct ScanState {
    shared: Arc<ScanShared>,
    metrics: Arc<OperatorMetrics>,
    task: TaskContext,
    reading: Option<Reading>,
    /// The file that was opened last.
    handle: Option<(usize, Arc<dyn ByteSource>)>,
    /// Buffers for the bytes of chunks and pages.
    pool: Arc<BufferPool>,
    /// For pages, dictionaries, chunks, and what waits to become a batch.
    held: Counted,
    rates: PassRates,
    coalescer: Coalescer,
}

/// A morsel being read.
enum Reading {
    /// By our own decoders.
    Native(Box<GroupScan>),
    Library(Box<LibraryScan>),
}

impl SourceState for ScanState {
    fn next(&mut self) -> Result<Next> {
        let shared = self.shared.clone();
        let at = self.shared.cursor.load(Ordering::Relaxed).saturating_sub(1);
        let context = || {
            shared.morsels().get(at).map_or_else(String::new, |morsel| {
                format!("{} near row group {}", shared.context.files[morsel.file].name(), morsel.group)
            })
        };
        let next = contain(context, || self.advance());
        self.count();
        next
    }
}

impl Drop for ScanState {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl ScanState {
    /// Counts what is in memory between two batches. What a batch keeps alive of pages that were left is for whoever keeps the batch.
    fn count(&self) {
        let reading = self.reading.as_ref().map_or(0, |reading| match reading {
            Reading::Native(group) => group.held(),
            Reading::Library(group) => group.held(),
        });
        let held = reading + self.pool.kept() + self.coalescer.held();
        self.held.set(held);
        self.metrics.reserved(held);
    }

    fn advance(&mut self) -> Result<Next> {
        loop {
            if let Some(batch) = self.coalescer.take() {
                return Ok(Next::Batch(batch));
            }
            let batch = match &mut self.reading {
                Some(Reading::Native(group)) => group.next(&mut self.rates)?,
                Some(Reading::Library(group)) => group.next()?,
                None => None,
            };
            // A group may be gone before there is a batch to give.
            self.count();
            match batch {
                Some(batch) => self.coalescer.push(batch)?,
                None if self.open_next()? => {}
                None => {
                    self.coalescer.flush()?;
                    return Ok(self.coalescer.take().map_or(Next::Finished, Next::Batch));
                }
            }
        }
    }

    /// Opens the next morsel that may have a passing row; false when there is none.
    fn open_next(&mut self) -> Result<bool> {
        let shared = self.shared.clone();
        loop {
            let index = shared.cursor.fetch_add(1, Ordering::Relaxed);
            let Some(morsel) = shared.morsels().get(index) else {
                self.reading = None;
                return Ok(false);
            };
            if self.refused().contains(&(morsel.file, morsel.group)) {
                continue;
            }
            let rows = morsel.rows.rows();
            self.metrics.rows_in.fetch_add(rows as u64, Ordering::Relaxed);
            self.coalescer.passed(rows)?;
            // Another part of the row group that is open: its readers go on. Of objects each part is fetched ahead by itself.
            if let Some(Reading::Native(group)) = &mut self.reading
                && !shared.context.files[morsel.file].file.is_remote()
                && group.extend(morsel)
            {
                return Ok(true);
            }
            let source = self.source(index)?;
            if !shared.wanted().bloom.may_pass(&shared.context, morsel, &source) {
                self.refuse(morsel, "row groups pruned by Bloom filters");
                continue;
            }
            self.reading = self.open(morsel, source)?;
            if self.reading.is_some() {
                return Ok(true);
            }
            self.refuse(morsel, "row groups pruned by dictionaries");
        }
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<(usize, usize)>> {
        self.shared.refused.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Remembers that no row of the morsel's row group passes; counts the row group once.
    fn refuse(&self, morsel: &Morsel, counter: &str) {
        if self.refused().insert((morsel.file, morsel.group)) {
            self.metrics.add(counter, 1);
        }
    }

    /// The scan of a morsel; `None` when no row passes.
    fn open(&self, morsel: &Morsel, source: Arc<dyn ByteSource>) -> Result<Option<Reading>> {
        let context = &self.shared.context;
        let native = GroupScan::open((source.clone(), self.pool.clone()), context, morsel, &self.rates);
        Ok(match native {
            Some(mut group) => group.may_pass()?.then(|| Reading::Native(Box::new(group))),
            None => {
                self.metrics.add("morsels read by the library", 1);
                Some(Reading::Library(Box::new(LibraryScan::open(context, morsel, source)?)))
            }
        })
    }

    /// The bytes that hold a morsel: of local files the last one stays open, of objects the requests run ahead.
    fn source(&mut self, morsel: usize) -> Result<Arc<dyn ByteSource>> {
        let (shared, morsels) = (&self.shared, self.shared.morsels());
        let ScanContext { files, request, .. } = &*shared.context;
        let index = morsels[morsel].file;
        if files[index].file.is_remote() {
            return shared.ahead.take(morsel, morsels, files, &needed_columns(request), &self.task);
        }
        if let Some((_, handle)) = self.handle.as_ref().filter(|(known, _)| *known == index) {
            return Ok(handle.clone());
        }
        let handle = files[index].file.open(Some(&self.task.cancel))?;
        self.handle = Some((index, handle.clone()));
        Ok(handle)
    }
}
