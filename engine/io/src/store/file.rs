//! One file or object of a table: its name, size and version, and how it is opened.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};

use super::remote::RemoteSource;
use super::source::{ByteSource, LocalSource};
use super::{client, runtime};

/// A file changed more recently than this may change again within the clock's resolution: its version says little.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// A file of a table.
#[derive(Debug)]
pub(crate) struct DataFile {
    /// Path or URL, as messages show it.
    pub(crate) name: String,
    pub(crate) size: u64,
    place: FilePlace,
    /// Entity tag, or time of the last change; `None` when it does not tell one content from another.
    version: Option<String>,
    etag: Option<String>,
}

#[derive(Debug)]
enum FilePlace {
    Local(PathBuf),
    Remote(Arc<dyn ObjectStore>, Path),
}

impl DataFile {
    /// The local file at `path`.
    pub(super) fn local(path: PathBuf) -> Result<Self> {
        let name = path.display().to_string();
        let metadata = std::fs::metadata(&path).map_err(|e| Error::io(&name, e))?;
        let changed = metadata.modified().ok();
        let settled = changed.filter(|&t| SystemTime::now().duration_since(t).is_ok_and(|age| age > SETTLED_AFTER));
        let version = settled.map(|t| format!("{t:?}"));
        Ok(DataFile { name, size: metadata.len(), place: FilePlace::Local(path), version, etag: None })
    }

    /// The object that a listing told of.
    pub(super) fn remote(name: String, store: Arc<dyn ObjectStore>, object: ObjectMeta) -> Self {
        let version = object.e_tag.clone().or_else(|| Some(object.last_modified.to_rfc3339()));
        DataFile {
            name,
            size: object.size,
            place: FilePlace::Remote(store, object.location),
            version,
            etag: object.e_tag,
        }
    }

    /// What tells this content from every other: name, size and version.
    pub(crate) fn identity(&self) -> Option<(String, u64, String)> {
        self.version.as_ref().map(|version| (self.name.clone(), self.size, version.clone()))
    }

    /// Whether reading costs round trips, so that it pays to announce ranges.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, FilePlace::Remote(..))
    }

    /// The file's bytes; who waits for them stops when `cancel` says so.
    pub(crate) fn open(&self, cancel: Option<&CancelToken>) -> Result<Arc<dyn ByteSource>> {
        Ok(match &self.place {
            FilePlace::Local(path) => Arc::new(LocalSource::open(path)?),
            FilePlace::Remote(store, path) => Arc::new(RemoteSource {
                name: self.name.clone(),
                store: store.clone(),
                path: path.clone(),
                size: self.size,
                etag: self.etag.clone(),
                cancel: cancel.cloned(),
                requests: Mutex::default(),
            }),
        })
    }

    /// Removes it.
    pub(crate) fn remove(&self) -> Result<()> {
        match &self.place {
            FilePlace::Local(path) => std::fs::remove_file(path).map_err(|e| Error::io(&self.name, e)),
            FilePlace::Remote(store, path) => {
                let (store, path) = (store.clone(), path.clone());
                let outcome = runtime::wait_for(async move { store.delete(&path).await })?;
                outcome.map_err(|e| Error::io(&self.name, client::message(&e)))
            }
        }
    }
}
