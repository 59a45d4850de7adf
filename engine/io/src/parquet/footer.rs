//! Footers: read once per content of a file and kept, for objects many at a time.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use plasmon_core::Result;

use super::{guarded, int96, page_index, reading_schema};
use crate::schema::check_names;
use crate::store::{ByteSource, ChunkSource, DataFile};

/// Bytes fetched from an object's end at first: most footers with their indexes fit.
const TAIL_BYTES: u64 = 128 * 1024;
/// Objects whose tails are under way at once.
const AHEAD: usize = 32;
/// Footers kept; beyond that, those kept so far are forgotten.
const KEPT_MAX: usize = 4096;

type Kept = Mutex<HashMap<(Types, (String, u64, String)), ArrowReaderMetadata>>;

/// Whose types the columns of files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Types {
    /// Those of Arrow that the writer noted, where it did.
    Written,
    /// Those that follow from Parquet's own; INT96 has microseconds, in which no timestamp overflows.
    Stored,
}

static KEPT: LazyLock<Kept> = LazyLock::new(Kept::default);

/// The footers of all files, in their order.
pub(super) fn read_all(files: &[Arc<DataFile>], types: Types) -> Result<Vec<ArrowReaderMetadata>> {
    let mut footers = Vec::with_capacity(files.len());
    for some in files.chunks(AHEAD) {
        let mut waiting = Vec::with_capacity(some.len());
        for file in some {
            let known = kept(file, types);
            let source = if known.is_none() { Some(begin(file)?) } else { None };
            waiting.push((known, source));
        }
        for (file, (known, source)) in some.iter().zip(waiting) {
            footers.push(match (known, source) {
                (Some(footer), _) => footer,
                (None, source) => read(file, source.map_or_else(|| begin(file), Ok)?, types)?,
            });
        }
    }
    Ok(footers)
}

fn kept(file: &DataFile, types: Types) -> Option<ArrowReaderMetadata> {
    KEPT.lock().unwrap_or_else(|e| e.into_inner()).get(&(types, file.identity()?)).cloned()
}

fn begin(file: &DataFile) -> Result<Arc<dyn ByteSource>> {
    let source = file.open(None)?;
    source.announce(&[source.size().saturating_sub(TAIL_BYTES)..source.size()]);
    Ok(source)
}

fn read(file: &DataFile, source: Arc<dyn ByteSource>, types: Types) -> Result<ArrowReaderMetadata> {
    // Indexes of pages are optional: a file with broken ones is read without.
    let indexed = load(file, &source, PageIndexPolicy::Optional, types);
    let footer = match indexed.ok().filter(|footer| page_index::is_consistent(footer.metadata())) {
        Some(footer) => footer,
        None => load(file, &source, PageIndexPolicy::Skip, types)?,
    };
    check_names(footer.schema(), &file.name)?;
    if let Some(identity) = file.identity() {
        let mut kept = KEPT.lock().unwrap_or_else(|e| e.into_inner());
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert((types, identity), footer.clone());
    }
    Ok(footer)
}

fn load(
    file: &DataFile,
    source: &Arc<dyn ByteSource>,
    indexes: PageIndexPolicy,
    types: Types,
) -> Result<ArrowReaderMetadata> {
    guarded(&file.name, || {
        let options = ArrowReaderOptions::new().with_page_index_policy(indexes);
        let options = options.with_skip_arrow_metadata(types == Types::Stored);
        let metadata = ArrowReaderMetadata::load(&ChunkSource(source.clone()), options.clone())?;
        match types {
            Types::Written => {
                let options = options.with_schema(Arc::new(reading_schema(&metadata)));
                // A hint that the reader does not take is left out.
                Ok(ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).unwrap_or(metadata))
            }
            // Here a hint is more than that: without it, timestamps of INT96 would overflow.
            Types::Stored => {
                let options = options.with_schema(Arc::new(int96::in_microseconds(&metadata)));
                ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)
            }
        }
    })
}
