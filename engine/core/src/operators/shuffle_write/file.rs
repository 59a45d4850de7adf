//! Runs → the file, partition after partition.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::Written;
use super::run::Run;
use crate::error::{Error, Result};
use crate::pipeline::CancelToken;

/// Smaller pieces are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes the file and tells what is in it. After a failure there is none.
pub(super) fn write(path: &Path, runs: &[Run], cancel: &CancelToken) -> Result<Vec<Written>> {
    cancel.check()?;
    let failed = |e: std::io::Error| Error::io(path.display().to_string(), e);
    let file = File::create(path).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let written = partitions(&mut writer, path, runs, cancel);
    let written = written.and_then(|written| writer.flush().map_err(failed).map(|()| written));
    if written.is_err() {
        // What is buffered must not be written to a file that is no more.
        let _ = writer.into_parts();
        // There is a failure to tell already.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn partitions(writer: &mut impl Write, path: &Path, runs: &[Run], cancel: &CancelToken) -> Result<Vec<Written>> {
    // The next part of each run.
    let mut next = vec![0; runs.len()];
    let mut written: Vec<Written> = Vec::new();
    let partition_of = |run: &Run, part: usize| run.parts.get(part).map(|part| part.partition);
    while let Some(partition) = runs.iter().zip(&next).filter_map(|(run, &part)| partition_of(run, part)).min() {
        cancel.check()?;
        let mut told = Written { partition: partition as i32, bytes: 0, rows: 0 };
        for (run, part) in runs.iter().zip(&mut next).filter(|(run, part)| partition_of(run, **part) == Some(partition))
        {
            let frames = run.frames(*part)?;
            writer.write_all(&frames).map_err(|e| Error::io(path.display().to_string(), e))?;
            told.bytes += frames.len() as i64;
            told.rows += run.parts[*part].rows as i64;
            *part += 1;
        }
        written.push(told);
    }
    Ok(written)
}
