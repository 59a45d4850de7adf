//! Sorted runs → batches in order: splits the output among workers, each of which merges its slice of every run and gathers payload.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use plasmon_kernels::sort::merge_runs;

use super::keys::Keys;
use super::rows::{retained_bytes, shared_bytes};
use super::run::Run;
use super::{RowSources, Shared};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::pipeline::{FinalizeTask, TaskContext};

/// A slice of the output should hold at least this many rows to be worth a task.
const SLICE_ROWS_MIN: usize = 1 << 14;
/// Nor should it hold many more than this, so that a query can be stopped between two.
const SLICE_ROWS_MAX: usize = 1 << 20;
/// Slices per thread, so that an unlucky split does not leave threads idle.
const SLICES_PER_THREAD: usize = 4;
/// Sampled rows per slice from which the splits are chosen.
const SAMPLES_PER_SLICE: usize = 32;

/// Bytes per row of the numbers of its run and its row there, while a slice is merged.
const ORDER_BYTES: usize = 16;

/// Runs ready to be merged: all keys of one layout.
struct Merge {
    runs: Vec<Run>,
    /// By payload column.
    columns: Vec<RowSources>,
    /// Rows of the merged output to give.
    wanted: Range<usize>,
    batch_rows: usize,
}

/// Tasks that each fill one slice of the output; `None` = there is no memory for it beside the runs, which stay where they are.
pub(super) fn finalize(shared: &Arc<Shared>, task: &TaskContext) -> Result<Option<Vec<FinalizeTask>>> {
    let (runs, metrics) = {
        let mut state = shared.state();
        (std::mem::take(&mut state.runs), state.metrics.clone())
    };
    let total: usize = runs.iter().map(Run::len).sum();
    let start = shared.spec.offset.min(total);
    let end = shared.spec.fetch.map_or(total, |fetch| start.saturating_add(fetch).min(total));
    if let Some(metrics) = metrics {
        metrics.note("runs", runs.len().to_string());
        if let Some(run) = runs.first() {
            metrics.note("keys", run.keys.describe());
        }
    }
    if start == end {
        return Ok(Some(Vec::new()));
    }
    let output = task.memory.spilling_reservation(format!("{} output", shared.consumer));
    if !output.try_grow(output_bytes(&runs, end - start, shared))? {
        shared.state().runs = runs;
        return Ok(None);
    }
    keep(&runs, output, shared);
    let runs = with_one_layout(runs, shared, task)?;
    let columns = (0..shared.run.payload)
        .map(|c| RowSources::new(runs.iter().map(|r| r.columns[c].clone()).collect(), &shared.run.types[c]))
        .collect();
    let merge = Arc::new(Merge { runs, columns, wanted: start..end, batch_rows: task.config.batch_rows });
    let most = (task.config.threads * SLICES_PER_THREAD).max(total / SLICE_ROWS_MAX);
    let slices = (total / SLICE_ROWS_MIN).clamp(1, most);
    let cuts = merge.cuts(slices);
    shared.state().slices = vec![Vec::new(); cuts.len() - 1];
    let tasks = (0..cuts.len() - 1)
        .map(|slice| {
            let (shared, merge, from, to) =
                (shared.clone(), merge.clone(), cuts[slice].clone(), cuts[slice + 1].clone());
            Box::new(move |task: &TaskContext| fill_slice(&shared, &merge, slice, &from, &to, task)) as FinalizeTask
        })
        .collect();
    Ok(Some(tasks))
}

/// Upper bound of what the merged rows take beside the runs: numbers of run and row, and a copy of all but long strings.
fn output_bytes(runs: &[Run], wanted: usize, shared: &Shared) -> usize {
    let total = runs.iter().map(Run::len).sum::<usize>().max(1);
    let columns = runs.iter().flat_map(|run| &run.columns[..shared.run.payload]);
    let held: usize = columns.map(|column| retained_bytes(column) - shared_bytes(column)).sum();
    let rows: usize = runs.iter().map(|run| run.columns.first().map_or(0, |c| c.len())).sum();
    // Runs that were cut still hold the columns of all their rows.
    wanted * ORDER_BYTES + (held as u128 * wanted.min(total) as u128).div_ceil(rows.max(1) as u128) as usize
}

/// Keeps the tokens of the output, and of the long strings that it shares with the runs.
fn keep(runs: &[Run], output: Reservation, shared: &Shared) {
    let mut state = shared.state();
    state.reservations.push(output.passive());
    for run in runs {
        let strings = run.columns[..shared.run.payload].iter().map(shared_bytes).sum();
        state.reservations.extend(run.reservation.as_ref().map(|token| token.split(strings)));
    }
}

/// Re-encodes keys where runs were given different layouts.
fn with_one_layout(runs: Vec<Run>, shared: &Shared, task: &TaskContext) -> Result<Vec<Run>> {
    let Some((first, rest)) = runs.split_first() else { return Ok(runs) };
    if rest.iter().all(|run| run.layout == first.layout) {
        return Ok(runs);
    }
    let stats = rest.iter().fold(first.stats.clone(), |all, run| all.union(&run.stats));
    let layout = shared.run.layout(&stats)?;
    let encode = |run: Run| {
        task.cancel.check()?;
        if run.layout == layout { Ok(run) } else { run.with_layout(&shared.run, &layout) }
    };
    runs.into_iter().map(encode).collect()
}

fn fill_slice(
    shared: &Shared,
    merge: &Merge,
    slice: usize,
    from: &[usize],
    to: &[usize],
    task: &TaskContext,
) -> Result<()> {
    let (runs, rows) = merge.order(from, to);
    let mut batches = Vec::with_capacity(runs.len().div_ceil(merge.batch_rows));
    for (runs, rows) in runs.chunks(merge.batch_rows).zip(rows.chunks(merge.batch_rows)) {
        task.cancel.check()?;
        let columns = merge.columns.iter().map(|c| c.gather(runs, rows)).collect::<Result<Vec<_>>>()?;
        batches.push(Batch::new(columns, rows.len()));
    }
    let mut state = shared.state();
    match state.slices.get_mut(slice) {
        Some(slot) => *slot = batches,
        None => return Err(Error::internal("a sorted slice has no place")),
    }
    Ok(())
}

impl Merge {
    /// `slices + 1` positions into every run: slice i covers `cuts[i][r]..cuts[i + 1][r]` of each run r, and every row of a slice sorts before
    /// every row of the next.
    fn cuts(&self, slices: usize) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = self.runs.iter().map(Run::len).collect();
        let mut cuts = vec![vec![0; lengths.len()]];
        if slices > 1 {
            let total: usize = lengths.iter().sum();
            let step = (total / (slices * SAMPLES_PER_SLICE)).max(1);
            let mut samples: Vec<(usize, usize)> = lengths
                .iter()
                .enumerate()
                .flat_map(|(run, &len)| (step / 2..len).step_by(step).map(move |index| (run, index)))
                .collect();
            samples.sort_unstable_by(|&a, &b| self.compare(a, b));
            for slice in 1..slices {
                let (run, index) = samples[slice * samples.len() / slices];
                cuts.push((0..lengths.len()).map(|r| self.rows_before(r, run, index)).collect());
            }
        }
        cuts.push(lengths);
        cuts
    }

    /// The total order of rows: by key, then run, then index.
    fn compare(&self, a: (usize, usize), b: (usize, usize)) -> Ordering {
        self.runs[a.0].keys.key(a.1).cmp(&self.runs[b.0].keys.key(b.1)).then(a.cmp(&b))
    }

    /// Rows of `run` that sort before row `index` of run `split`.
    fn rows_before(&self, run: usize, split: usize, index: usize) -> usize {
        if run == split {
            return index;
        }
        let (mut low, mut high) = (0, self.runs[run].len());
        while low < high {
            let middle = (low + high) / 2;
            if self.compare((run, middle), (split, index)) == Ordering::Less { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Run and row number of the wanted rows of one slice, in order.
    fn order(&self, from: &[usize], to: &[usize]) -> (Vec<u32>, Vec<u32>) {
        let first: usize = from.iter().sum();
        let lengths: Vec<usize> = from.iter().zip(to).map(|(a, b)| b - a).collect();
        let total: usize = lengths.iter().sum();
        let skip = self.wanted.start.saturating_sub(first).min(total);
        let end = self.wanted.end.saturating_sub(first).min(total);
        if skip >= end {
            return (Vec::new(), Vec::new());
        }
        if let [only] = self.runs.as_slice() {
            return (vec![0; end - skip], only.keys.rows(from[0] + skip, from[0] + end));
        }
        let (mut runs, mut indices) = (Vec::with_capacity(total), Vec::with_capacity(total));
        let mut emit = |run: usize, index: usize| {
            runs.push(run as u32);
            indices.push((from[run] + index) as u32);
        };
        match self.narrow(from, to) {
            Some((words, row_bits)) => {
                merge_runs(&lengths, |a, i, b, j| words[a][i] >> row_bits[a] < words[b][j] >> row_bits[b], &mut emit);
            }
            None => {
                let keys: Vec<&Keys> = self.runs.iter().map(|r| &r.keys).collect();
                merge_runs(&lengths, |a, i, b, j| keys[a].key(from[a] + i) < keys[b].key(from[b] + j), &mut emit);
            }
        }
        let runs = runs[skip..end].to_vec();
        let rows = runs
            .iter()
            .zip(&indices[skip..end])
            .map(|(&run, &index)| self.runs[run as usize].keys.row(index as usize))
            .collect();
        (runs, rows)
    }

    /// The slices of all runs when their keys are 64-bit words, and each run's bits of row number.
    fn narrow(&self, from: &[usize], to: &[usize]) -> Option<(Vec<&[u64]>, Vec<u32>)> {
        self.runs
            .iter()
            .enumerate()
            .map(|(run, r)| match &r.keys {
                Keys::Narrow { words, row_bits, .. } => Some((&words[from[run]..to[run]], *row_bits)),
                _ => None,
            })
            .collect()
    }
}
