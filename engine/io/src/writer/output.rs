//! One file being written: locally under a temporary name, in a store as an upload that is not complete.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use plasmon_core::{Error, Result};

use crate::format::Options;
use crate::store::{Place, Upload};

const BUFFER_BYTES: usize = 1024 * 1024;

/// A file that does not exist for others before [`Output::publish`]; dropped before that, it leaves nothing.
pub(super) struct Output {
    name: String,
    /// Bytes taken so far; encoders that hide their output look here.
    written: Arc<AtomicUsize>,
    to: To,
}

enum To {
    Local(LocalFile),
    Remote(Option<Upload>),
}

struct LocalFile {
    writer: BufWriter<File>,
    unfinished: PathBuf,
    target: PathBuf,
    /// Folders made for it, outermost first.
    folders: Vec<PathBuf>,
    is_published: bool,
}

impl Output {
    /// Begins the file at `below` in `place` (empty: `place` itself).
    pub(super) fn create(place: &Place, below: &str, options: &Options) -> Result<Self> {
        match place {
            Place::Local(path) => {
                let target = if below.is_empty() { path.clone() } else { path.join(below) };
                let name = target.display().to_string();
                let local = LocalFile::create(target).map_err(|e| Error::io(&name, e))?;
                Ok(Output { name, written: Arc::default(), to: To::Local(local) })
            }
            Place::Remote { root, key } => {
                let key = match (below, key.trim_end_matches('/')) {
                    ("", key) => key.to_string(),
                    (below, "") => below.to_string(),
                    (below, folder) => format!("{folder}/{below}"),
                };
                let upload = Upload::create(root, &key, options)?;
                Ok(Output { name: format!("{root}/{key}"), written: Arc::default(), to: To::Remote(Some(upload)) })
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts the bytes taken so far.
    pub(super) fn counter(&self) -> Arc<AtomicUsize> {
        self.written.clone()
    }

    /// Gives the file its name.
    pub(super) fn publish(&mut self) -> Result<()> {
        match &mut self.to {
            To::Local(local) => local.publish().map_err(|e| Error::io(&self.name, e)),
            To::Remote(upload) => upload.take().map_or(Ok(()), Upload::finish),
        }
    }

    /// Takes back a published file, as far as that goes: a file beside it could not be published.
    pub(super) fn withdraw(&self) {
        if let To::Local(local) = &self.to {
            let _ = std::fs::remove_file(&local.target);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = match &mut self.to {
            To::Local(local) => local.writer.write(bytes)?,
            To::Remote(Some(upload)) => upload.write(bytes)?,
            To::Remote(None) => return Err(std::io::Error::other("written to after its end")),
        };
        self.written.fetch_add(len, Ordering::Relaxed);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            To::Local(local) => local.writer.flush(),
            To::Remote(_) => Ok(()),
        }
    }
}

impl LocalFile {
    fn create(target: PathBuf) -> std::io::Result<Self> {
        let mut folders = Vec::new();
        if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            folders = parent
                .ancestors()
                .take_while(|f| !f.as_os_str().is_empty() && !f.exists())
                .map(Path::to_path_buf)
                .collect();
            folders.reverse();
            std::fs::create_dir_all(parent)?;
        }
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let unfinished = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let writer = BufWriter::with_capacity(BUFFER_BYTES, File::create(&unfinished)?);
        Ok(LocalFile { writer, unfinished, target, folders, is_published: false })
    }

    fn publish(&mut self) -> std::io::Result<()> {
        self.writer.flush()?;
        std::fs::rename(&self.unfinished, &self.target)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = std::fs::remove_file(&self.unfinished);
            // Folders that hold something by now stay.
            self.folders.iter().rev().for_each(|f| drop(std::fs::remove_dir(f)));
        }
    }
}
