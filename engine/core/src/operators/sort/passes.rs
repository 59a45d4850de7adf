//! From runs to one merge that the memory can hold: all runs to disk, then passes that merge some of them into longer ones.
//!
//! ```text
//! stage 0    runs in memory ──▶ disk                   (a task and a file for each worker)
//! stage 1 …  more runs than one merge can hold? the smallest are merged, in lanes of as many as fit at a time
//! then       the source merges what is left
//! ```
//! The fan-in is how many blocks fit a quarter of the budget, or what of that can be had, at least 2 and at most [`FAN_IN_MAX`]. What grows: nothing.

use std::sync::Arc;

use super::Shared;
use super::external::ExternalMerge;
use super::run::Run;
use super::spilled::{RunWriter, SpilledRun};
use crate::error::Result;
use crate::memory::Reservation;
use crate::pipeline::{FinalizeTask, TaskContext};
use crate::spill::SpillFile;

/// More runs than this are not merged at a time: reading would be all seeking.
const FAN_IN_MAX: usize = 256;
/// What a merge may take: so many times what a consumer may always hold, a quarter of the budget.
const FLOORS: usize = 16;
/// Blocks that are let go only when a batch is done, and that batch.
const SPARE_BLOCKS: usize = 2;
/// Runs that a lane of a pass merges at least before the memory is shared among more lanes.
const LANE_RUNS_MIN: usize = 16;

/// The work of the next stage; none when the rest is one merge, for which memory is then reserved.
pub(super) fn finalize(shared: &Arc<Shared>, task: &TaskContext) -> Result<Vec<FinalizeTask>> {
    let (resident, mut spilled) = {
        let mut state = shared.state();
        (std::mem::take(&mut state.runs), std::mem::take(&mut state.spilled))
    };
    if !resident.is_empty() {
        shared.state().spilled = spilled;
        let tasks = task.config.threads.clamp(1, resident.len());
        let mut lots: Vec<Vec<Run>> = (0..tasks).map(|_| Vec::new()).collect();
        resident.into_iter().enumerate().for_each(|(index, run)| lots[index % tasks].push(run));
        return Ok(lots.into_iter().map(|runs| spill_task(shared, runs)).collect());
    }
    // Short runs are cheapest to write again.
    spilled.sort_by_key(|run| run.rows);
    let reservation = task.memory.spilling_reservation(format!("{} merge", shared.consumer));
    let fan_in = reserve(&spilled, &reservation, task)?;
    if spilled.len() <= fan_in {
        let mut state = shared.state();
        if let Some(metrics) = &state.metrics {
            metrics.note("merged from disk", spilled.len().to_string());
        }
        state.spilled = spilled;
        state.reservations.push(reservation.passive());
        return Ok(Vec::new());
    }
    Ok(pass(shared, spilled, fan_in, reservation, task))
}

/// A task that writes runs to one file, each of which is gone when it is written.
fn spill_task(shared: &Arc<Shared>, runs: Vec<Run>) -> FinalizeTask {
    let shared = shared.clone();
    Box::new(move |task: &TaskContext| {
        let file = shared.file(task)?;
        for run in runs {
            let spilled = run.spill(&shared.run, &file, task)?;
            drop(run);
            shared.state().spilled.push(spilled);
        }
        Ok(())
    })
}

/// Most bytes of one block.
fn largest_block(runs: &[SpilledRun]) -> usize {
    runs.iter().map(|run| run.block_bytes).max().unwrap_or(0)
}

/// Reserves memory to merge all `runs`, or as many as it can, at least 2; how many.
fn reserve(runs: &[SpilledRun], reservation: &Reservation, task: &TaskContext) -> Result<usize> {
    let block = largest_block(runs).max(1);
    let room = FLOORS * task.memory.floor();
    let wanted = (room / block).saturating_sub(SPARE_BLOCKS).clamp(2, FAN_IN_MAX);
    let mut fan_in = wanted.min(runs.len());
    loop {
        let bytes = (fan_in + SPARE_BLOCKS) * block;
        if runs.is_empty() || reservation.try_grow(bytes)? {
            return Ok(fan_in);
        }
        if fan_in <= 2 {
            reservation.grow(bytes)?;
            return Ok(fan_in);
        }
        fan_in = (fan_in / 2).max(2);
    }
}

/// Tasks that merge as many of the first runs as it takes for the rest to be merged at once, or all into fewer.
fn pass(
    shared: &Arc<Shared>,
    runs: Vec<SpilledRun>,
    fan_in: usize,
    reservation: Reservation,
    task: &TaskContext,
) -> Vec<FinalizeTask> {
    let lanes = (fan_in / LANE_RUNS_MIN).clamp(1, task.config.threads.max(1));
    let lane_runs = ((fan_in + SPARE_BLOCKS) / lanes).saturating_sub(SPARE_BLOCKS).max(2);
    let wanted = (runs.len() - fan_in).div_ceil(lane_runs - 1);
    let groups = wanted.min((runs.len() / lane_runs).max(1));
    let mut runs = runs.into_iter();
    let mut lots: Vec<Vec<Vec<SpilledRun>>> = (0..lanes.min(groups)).map(|_| Vec::new()).collect();
    let count = lots.len();
    for group in 0..groups {
        lots[group % count].push(runs.by_ref().take(lane_runs).collect());
    }
    shared.state().spilled.extend(runs);
    if let Some(metrics) = &shared.state().metrics {
        metrics.add("merge passes", 1);
    }
    // All lanes share the token, which goes with the last of them.
    let reservation = Arc::new(reservation);
    lots.into_iter().map(|groups| lane(shared, groups, reservation.clone())).collect()
}

/// A task that merges one group of runs after the other.
fn lane(shared: &Arc<Shared>, groups: Vec<Vec<SpilledRun>>, reservation: Arc<Reservation>) -> FinalizeTask {
    let shared = shared.clone();
    Box::new(move |task: &TaskContext| {
        let file = shared.file(task)?;
        for group in groups {
            let merged = merge(&shared, group, &file, task)?;
            shared.state().spilled.push(merged);
        }
        drop(reservation);
        Ok(())
    })
}

/// Merges runs into one, as far as it is wanted.
fn merge(shared: &Shared, runs: Vec<SpilledRun>, file: &Arc<SpillFile>, task: &TaskContext) -> Result<SpilledRun> {
    let spec = &shared.run;
    let stats = runs.iter().skip(1).fold(runs[0].stats.clone(), |all, run| all.union(&run.stats));
    let mut merge = ExternalMerge::new(runs, spec, task)?;
    let mut writer = RunWriter::new(spec, file, task);
    let mut left = shared.spec.rows_to_sort().unwrap_or(usize::MAX);
    while left > 0 {
        let rows = merge.next(spec, left.min(task.config.batch_rows))?;
        if rows.len() == 0 {
            break;
        }
        left -= rows.len();
        writer.append(&rows.gather(spec, spec.types.len())?, rows.len())?;
    }
    Ok(writer.finish(stats))
}
