//! Locations: a file, a folder (searched through), or a pattern.

use std::path::{Path, PathBuf};

use plasmon_core::{Error, Result};

/// The files of a location, sorted; at least one.
pub(crate) fn find_files(location: &str) -> Result<Vec<PathBuf>> {
    let location = location.strip_prefix("file://").unwrap_or(location);
    if let Some((scheme, _)) = location.split_once("://") {
        return Err(Error::unsupported(format!("{location}: locations of scheme {scheme}")));
    }
    let mut files = Vec::new();
    if location.contains(['*', '?', '[']) {
        let matches = glob::glob(location).map_err(|e| Error::user(format!("{location}: {e}")))?;
        for entry in matches {
            collect(&entry.map_err(|e| Error::io(location, e))?, &mut files)?;
        }
    } else {
        collect(Path::new(location), &mut files)?;
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::io(location, "no files there"));
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let error = |e: std::io::Error| Error::io(path.display().to_string(), e);
    if !std::fs::metadata(path).map_err(error)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(error)? {
        let entry = entry.map_err(error)?.path();
        // Files of other programs' bookkeeping (_SUCCESS, ._tmp) are no data.
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
        if !hidden {
            collect(&entry, files)?;
        }
    }
    Ok(())
}
