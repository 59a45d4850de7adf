//! An object being written: parts go out while later ones are made; the object appears when it is complete, or never.

use std::io::Write;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use plasmon_core::{Error, Result};
use tokio::sync::mpsc;

use super::client;
use super::location::Place;
use super::runtime::{self, Pending};
use crate::format::Options;

/// Bytes of one part; stores want at least 5 MiB and at most 10,000 parts.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts that wait for the network before the writer does.
const PARTS_WAITING: usize = 2;

/// A writer whose bytes become an object at [`Upload::finish`].
#[derive(Debug)]
pub(crate) struct Upload {
    name: String,
    store: Arc<dyn ObjectStore>,
    path: Path,
    buffer: Vec<u8>,
    /// The task that uploads parts, once there is more than one; dropping the sender ends it by abortion.
    parts: Option<(mpsc::Sender<Part>, Pending<Result<()>>)>,
}

enum Part {
    Bytes(Vec<u8>),
    /// No more bytes come: complete the object.
    End,
}

impl Upload {
    /// Prepares an object at `key` of the store `root`.
    pub(crate) fn create(root: &str, key: &str, options: &Options) -> Result<Self> {
        let (store, path) = Place::object(root, key, options)?;
        Ok(Upload { name: format!("{root}/{key}"), store, path, buffer: Vec::new(), parts: None })
    }

    /// Sends what is left and makes the object visible.
    pub(crate) fn finish(mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.buffer);
        let Some((sender, pending)) = self.parts.take() else {
            let (store, path, name) = (self.store.clone(), self.path.clone(), self.name.clone());
            let outcome = runtime::wait_for(async move { store.put(&path, rest.into()).await })?;
            return outcome.map(|_| ()).map_err(|e| Error::io(name, client::message(&e)));
        };
        // When the task is gone its outcome tells why.
        let _ = sender.blocking_send(Part::Bytes(rest)).and_then(|()| sender.blocking_send(Part::End));
        drop(sender);
        pending.wait(None)?
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.parts.is_none() {
            let (sender, receiver) = mpsc::channel(PARTS_WAITING);
            let task = upload(self.store.clone(), self.path.clone(), self.name.clone(), receiver);
            self.parts = Some((sender, runtime::start(task)?));
        }
        let Some((sender, pending)) = &self.parts else { return Ok(()) };
        if sender.blocking_send(Part::Bytes(bytes)).is_ok() {
            return Ok(());
        }
        pending.wait(None)?.and_then(|()| Err(Error::internal("an upload ended before its last part")))
    }
}

/// Uploads parts as they come; without an end among them, nothing stays.
async fn upload(store: Arc<dyn ObjectStore>, path: Path, name: String, mut parts: mpsc::Receiver<Part>) -> Result<()> {
    let error = |e: object_store::Error| Error::io(&name, client::message(&e));
    let mut upload = store.put_multipart(&path).await.map_err(error)?;
    let outcome = async {
        while let Some(part) = parts.recv().await {
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => upload.put_part(bytes.into()).await.map_err(error)?,
                Part::End => return upload.complete().await.map(|_| ()).map_err(error),
            }
        }
        Err(Error::io(&name, "the upload was given up"))
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        // The first error counts; a store that cannot even abort drops the parts by its own rules.
        let _ = upload.abort().await;
    }
    outcome
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            let part = std::mem::take(&mut self.buffer);
            self.send(part).map_err(std::io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Unfinished: let the task abort the upload at the store before it ends.
        if let Some((sender, pending)) = self.parts.take() {
            drop(sender);
            let _ = pending.wait(None);
        }
    }
}
