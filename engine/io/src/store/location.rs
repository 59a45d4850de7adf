//! Locations: a file, a folder (searched through) or a pattern, on this machine or in an object store.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use plasmon_core::{Error, Result};

use super::file::DataFile;
use super::{client, runtime};
use crate::format::{Format, Options};

/// Where a location is.
#[derive(Debug, PartialEq)]
pub(crate) enum Place {
    Local(PathBuf),
    /// `root` names the store (`s3://bucket`), `key` what is in it; keys are taken literally, not URL-decoded.
    Remote {
        root: String,
        key: String,
    },
}

/// Tells the place of a location's text.
pub(crate) fn parse_location(location: &str) -> Result<Place> {
    let Some((scheme, rest)) = location.split_once("://") else { return Ok(Place::Local(location.into())) };
    if scheme == "file" {
        return Ok(Place::Local(rest.into()));
    }
    let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() {
        return Err(Error::user(format!("{location}: no host or bucket after {scheme}://")));
    }
    Ok(Place::Remote { root: format!("{}://{host}", scheme.to_lowercase()), key: key.to_string() })
}

impl Place {
    /// The client and the object's path of a remote place.
    pub(super) fn object(root: &str, key: &str, options: &Options) -> Result<(Arc<dyn ObjectStore>, ObjectPath)> {
        let path = if root.starts_with("http") { ObjectPath::from_url_path(key) } else { ObjectPath::parse(key) };
        let path = path.map_err(|e| Error::user(format!("{root}/{key}: {e}")))?;
        Ok((client::client(root, options)?, path))
    }
}

/// The files of a location in the order of their names; at least one. Of a folder or pattern those of `format` when there are such.
pub(crate) fn data_files(location: &str, format: Option<Format>, options: &Options) -> Result<Vec<Arc<DataFile>>> {
    let (mut files, is_single) = match parse_location(location)? {
        Place::Local(path) => local_files(location, &path)?,
        Place::Remote { root, key } => remote_files(&root, &key, options)?,
    };
    if files.is_empty() {
        return Err(Error::io(location, "no files there"));
    }
    let has_format = |f: &DataFile| Format::of_name(&f.name).ok() == format;
    if !is_single && format.is_some() && files.iter().any(has_format) {
        files.retain(has_format);
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files.into_iter().map(Arc::new).collect())
}

/// The one file or object at a path, which is taken as it is, or at a URI (`file:/…`, `s3://…`), in which `%XX` stands for a byte.
pub(crate) fn file_at(location: &str, options: &Options) -> Result<Arc<DataFile>> {
    match parse_uri(location)? {
        Place::Local(path) => DataFile::local(path).map(Arc::new),
        Place::Remote { root, key } => {
            let name = format!("{root}/{key}");
            let (store, path) = Place::object(&root, &key, options)?;
            let asked = store.clone();
            let object = runtime::wait_for(async move { asked.head(&path).await })?;
            let object = object.map_err(|e| Error::io(&name, client::message(&e)))?;
            Ok(Arc::new(DataFile::remote(name, store, object)))
        }
    }
}

/// Tells the place of a path or URI.
fn parse_uri(location: &str) -> Result<Place> {
    let Some((scheme, rest)) = location.split_once(':') else { return Ok(Place::Local(location.into())) };
    if scheme == "file" {
        // `file:/a`, or `file://host/a`, whose host is this one.
        let path = rest.strip_prefix("//").map_or(Some(rest), |rest| rest.find('/').map(|at| &rest[at..]));
        let path = path.ok_or_else(|| Error::user(format!("{location}: no path after file://")))?;
        return Ok(Place::Local(OsString::from_vec(percent_decoded(path)).into()));
    }
    match parse_location(location)? {
        Place::Remote { root, key } if !root.starts_with("http") => {
            let key = String::from_utf8(percent_decoded(&key));
            Ok(Place::Remote { root, key: key.map_err(|_| Error::user(format!("{location}: no UTF-8")))? })
        }
        place => Ok(place),
    }
}

/// The bytes that a part of a URI stands for.
fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// What a folder or file holds now; nothing when it does not exist.
pub(crate) fn list_folder(place: &Place, options: &Options) -> Result<Vec<Arc<DataFile>>> {
    let files = match place {
        Place::Local(path) if !path.exists() => Vec::new(),
        Place::Local(path) => {
            let mut found = Vec::new();
            collect(path, &mut found)?;
            found.into_iter().map(DataFile::local).collect::<Result<_>>()?
        }
        Place::Remote { root, key } => remote_files(root, key, options)?.0,
    };
    Ok(files.into_iter().map(Arc::new).collect())
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether a file is of other programs' bookkeeping (_SUCCESS, ._tmp), and no data.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn local_files(location: &str, path: &Path) -> Result<(Vec<DataFile>, bool)> {
    let mut files = Vec::new();
    // A file whose name looks like a pattern is that file.
    let is_single = path.is_file();
    if !is_single && is_pattern(location) {
        let matches = glob::glob(&path.to_string_lossy()).map_err(|e| Error::user(format!("{location}: {e}")))?;
        for entry in matches {
            collect(&entry.map_err(|e| Error::io(location, e))?, &mut files)?;
        }
    } else {
        collect(path, &mut files)?;
    }
    Ok((files.into_iter().map(DataFile::local).collect::<Result<_>>()?, is_single))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let error = |e: std::io::Error| Error::io(path.display().to_string(), e);
    if !std::fs::metadata(path).map_err(error)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(error)? {
        let entry = entry.map_err(error)?.path();
        if !entry.file_name().is_some_and(|n| is_hidden(&n.to_string_lossy())) {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn remote_files(root: &str, key: &str, options: &Options) -> Result<(Vec<DataFile>, bool)> {
    let name = format!("{root}/{key}");
    let file = |store: &Arc<dyn ObjectStore>, object: ObjectMeta| {
        DataFile::remote(format!("{root}/{}", object.location), store.clone(), object)
    };
    let error = |e: object_store::Error| Error::io(&name, client::message(&e));
    if is_pattern(key) {
        if root.starts_with("http") {
            return Err(Error::unsupported(format!(
                "{name}: a pattern over HTTP, which has no listing; name the file"
            )));
        }
        let pattern = glob::Pattern::new(key).map_err(|e| Error::user(format!("{name}: {e}")))?;
        let options_of_glob = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        let fixed = &key[..key.find(['*', '?', '[']).unwrap_or(key.len())];
        let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (store, prefix) = Place::object(root, folder, options)?;
        let objects = list(&store, &prefix).map_err(|e| at(e, &name))?;
        let matching = objects.into_iter().filter(|o| pattern.matches_with(o.location.as_ref(), options_of_glob));
        return Ok((matching.map(|o| file(&store, o)).collect(), false));
    }
    let (store, path) = Place::object(root, key, options)?;
    if !key.is_empty() && !key.ends_with('/') {
        let (asked, at) = (store.clone(), path.clone());
        match runtime::wait_for(async move { asked.head(&at).await })? {
            Ok(object) => return Ok((vec![file(&store, object)], true)),
            Err(object_store::Error::NotFound { .. }) if !root.starts_with("http") => {}
            Err(e) => return Err(error(e)),
        }
    }
    let depth = path.parts().count();
    let objects = list(&store, &path)
        .map_err(|e| at(e, &name))?
        .into_iter()
        .filter(|o| o.size > 0 && !o.location.parts().skip(depth).any(|part| is_hidden(part.as_ref())));
    Ok((objects.map(|o| file(&store, o)).collect(), false))
}

fn at(error: Error, name: &str) -> Error {
    match error {
        Error::Io { message, .. } => Error::io(name, message),
        other => other,
    }
}

fn list(store: &Arc<dyn ObjectStore>, prefix: &ObjectPath) -> Result<Vec<ObjectMeta>> {
    let (store, prefix) = (store.clone(), prefix.clone());
    let listing = runtime::wait_for(async move { store.list(Some(&prefix)).try_collect::<Vec<_>>().await })?;
    listing.map_err(|e| Error::io("", client::message(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        let local = |path: &str| Place::Local(path.into());
        for (uri, place) in [
            ("/a/b%20c", local("/a/b%20c")),
            ("file:/a/b%20c%25", local("/a/b c%")),
            ("file:///a/gr%C3%B6%C3%9Fe%zz", local("/a/größe%zz")),
            ("file://localhost/a", local("/a")),
            ("s3a://b/x%3D1/y", Place::Remote { root: "s3a://b".into(), key: "x=1/y".into() }),
        ] {
            assert_eq!(parse_uri(uri).unwrap(), place, "{uri}");
        }
        assert!(parse_uri("file://host").unwrap_err().to_string().contains("no path"));
        assert!(file_at("file:/no/such/file", &Options::default()).is_err());
    }

    #[test]
    fn places() {
        let remote = |root: &str, key: &str| Place::Remote { root: root.into(), key: key.into() };
        assert_eq!(parse_location("a/b.csv").unwrap(), Place::Local("a/b.csv".into()));
        assert_eq!(parse_location("file:///a/b").unwrap(), Place::Local("/a/b".into()));
        assert_eq!(parse_location("S3://bucket/a/*.csv").unwrap(), remote("s3://bucket", "a/*.csv"));
        assert_eq!(parse_location("http://host:80").unwrap(), remote("http://host:80", ""));
        assert!(parse_location("s3:///key").unwrap_err().to_string().contains("no host or bucket"));
    }
}
