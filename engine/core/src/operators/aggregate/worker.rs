//! One worker's side of an aggregation: rows into its table, its table into runs, and all of that to the partitions when memory is short.

use std::sync::Arc;

use super::input::{Rows, id_column};
use super::merge::{Held, Place};
use super::operator::{Shared, WorkerEnd};
use super::pass::Passing;
use super::run::{PART_GROUPS, Run};
use super::share::{LOCAL_GROUPS, Share};
use crate::batch::arrow::null_column;
use crate::batch::{Batch, Column};
use crate::config::Driver;
use crate::error::{Error, Result};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, SinkState, TaskContext};

/// One in so many bytes held is reserved beside them, for copies while all is dealt to the partitions.
const DEALING_SHARE: usize = 8;

pub(super) struct AggregateState {
    shared: Arc<Shared>,
    /// Its reservation is for the runs too.
    share: Option<Share>,
    /// What was taken out of the table when it was full, and the bytes of that.
    runs: Vec<Run>,
    run_bytes: usize,
    passing: Passing,
    /// Rows that passed the table by, until they are so many that they are dealt; their bytes are among those of the runs.
    passed: Vec<Run>,
    /// Whether other workers may aggregate too.
    is_shared: bool,
    task: TaskContext,
    metrics: Arc<OperatorMetrics>,
}

impl AggregateState {
    pub(super) fn new(shared: Arc<Shared>, task: &TaskContext, metrics: &Arc<OperatorMetrics>) -> Result<Self> {
        Ok(AggregateState {
            share: Some(Share::new(&shared.spec, task)?),
            passing: Passing::new(&shared.spec),
            shared,
            runs: Vec::new(),
            run_bytes: 0,
            passed: Vec::new(),
            is_shared: task.config.threads > 1 && task.config.driver == Driver::Pool,
            task: task.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Takes all rows, a few at a time where states ask for it.
    fn take_all(&mut self, share: &mut Share, rows: &Rows) -> Result<()> {
        let mut start = 0;
        while start < rows.count {
            let end = rows.count.min(start.saturating_add(share.rows_at_once()));
            match end - start == rows.count {
                true => self.take(share, rows)?,
                false => self.take(share, &rows.slice(start..end))?,
            }
            start = end;
        }
        Ok(())
    }

    /// Takes some rows, once there is memory for what they may add; a part of them at a time, down to one, when there is not enough for all.
    fn take(&mut self, share: &mut Share, rows: &Rows) -> Result<()> {
        let sets = self.shared.spec.grouping_sets.len().max(1);
        let growth = |share: &mut Share| {
            share.growth(&rows.keys, rows.inputs.iter().map(|input| &input.columns[..]), rows.count, sets)
        };
        let mut more = growth(share);
        let held = share.footprint() + self.run_bytes;
        if !share.reservation.try_resize(held + held / DEALING_SHARE + more)? {
            // To an emptied table, more is new.
            if !self.is_empty(share) {
                self.spill(share)?;
                more = growth(share);
            }
            match share.reservation.resize(share.footprint() + more) {
                Err(Error::OutOfMemory { .. }) if rows.count > 1 => return self.take_halves(share, rows),
                other => other?,
            }
        }
        self.absorb(share, rows)
    }

    fn take_halves(&mut self, share: &mut Share, rows: &Rows) -> Result<()> {
        let half = rows.count / 2;
        self.take(share, &rows.slice(0..half))?;
        self.take(share, &rows.slice(half..rows.count))
    }

    fn absorb(&self, share: &mut Share, rows: &Rows) -> Result<()> {
        let spec = &self.shared.spec;
        if spec.grouping_sets.is_empty() {
            share.absorb(&rows.keys, &rows.inputs, rows.count, spec.phase)?;
        }
        for (ordinal, set) in spec.grouping_sets.iter().enumerate() {
            let mut kept: Vec<Column> = rows
                .keys
                .iter()
                .zip(set)
                .zip(&spec.group_by)
                .map(|((k, kept), e)| if *kept { k.clone() } else { null_column(&e.data_type, rows.count) })
                .collect();
            kept.extend(id_column(spec, ordinal, rows.count)?);
            share.absorb(&kept, &rows.inputs, rows.count, spec.phase)?;
        }
        Ok(())
    }

    /// Rows that are hardly fewer as groups go to the partitions by themselves, many at a time.
    fn pass(&mut self, share: &mut Share, rows: &Rows) -> Result<()> {
        self.passing.pass(rows.count);
        let run = Run::of_each_row(&self.shared.spec, rows)?;
        self.run_bytes += passed_bytes(&run);
        self.passed.push(run);
        let fits = share.reservation.try_resize(share.footprint() + self.run_bytes)?;
        let groups: usize = self.passed.iter().map(|run| run.groups).sum();
        if !fits || groups + rows.count > PART_GROUPS {
            self.deal_passed(share, if fits { Place::Memory } else { Place::Disk })?;
        }
        Ok(())
    }

    fn deal_passed(&mut self, share: &mut Share, to: Place) -> Result<()> {
        if self.passed.is_empty() {
            return Ok(());
        }
        let spilled = self.shared.spilled(share, &self.task, &self.metrics)?;
        let passed = std::mem::take(&mut self.passed);
        self.run_bytes -= passed.iter().map(passed_bytes).sum::<usize>();
        spilled.deal_together(passed, to)?;
        share.give_back(self.run_bytes);
        Ok(())
    }

    /// Makes a run of the groups of a table, or spills when there is no room for one.
    fn empty(&mut self, share: &mut Share) -> Result<()> {
        // A run holds no more than the table that it comes from.
        let wanted = share.footprint() + self.run_bytes + share.memory_bytes();
        if !share.reservation.try_resize(wanted)? {
            return self.spill(share);
        }
        let run = Run::take(share)?;
        self.run_bytes += run.memory_bytes();
        self.runs.push(run);
        share.clear(&self.shared.spec)?;
        share.give_back(self.run_bytes);
        Ok(())
    }

    /// Whether there is nothing to spill.
    fn is_empty(&self, share: &Share) -> bool {
        self.runs.is_empty() && self.passed.is_empty() && share.is_fresh()
    }

    /// Gives everything to the partitions, most of it to their files.
    fn spill(&mut self, share: &mut Share) -> Result<()> {
        if self.is_empty(share) {
            return Ok(());
        }
        self.deal_passed(share, Place::Disk)?;
        let spilled = self.shared.spilled(share, &self.task, &self.metrics)?;
        share.give_back(self.run_bytes);
        for run in std::mem::take(&mut self.runs) {
            let bytes = run.memory_bytes();
            spilled.deal_run(run)?;
            share.reservation.shrink(bytes);
        }
        self.run_bytes = 0;
        spilled.deal_share(share, Place::Disk)?;
        share.reset(&self.shared.spec)
    }

    /// What it has when its input ends.
    fn end(&mut self) -> Result<Option<WorkerEnd>> {
        let Some(mut share) = self.share.take() else { return Ok(None) };
        self.deal_passed(&mut share, Place::Memory)?;
        share.resize()?;
        share.give_back(self.run_bytes);
        // A large table that others' tables will have to be merged with is taken apart here, where workers do it side by side.
        if self.is_shared && share.groups.len() > LOCAL_GROUPS / 2 {
            self.empty(&mut share)?;
        }
        let runs = std::mem::take(&mut self.runs).into_iter().map(|run| {
            let reservation = share.reservation.split(run.memory_bytes());
            Held { run, reservation }
        });
        let runs = runs.collect();
        Ok(Some(WorkerEnd { share, runs }))
    }

    /// Gives what it has to the partitions, once its input ended.
    pub(super) fn deal(&mut self) -> Result<()> {
        let Some(WorkerEnd { mut share, runs }) = self.end()? else { return Ok(()) };
        let spilled = self.shared.spilled(&mut share, &self.task, &self.metrics)?;
        runs.into_iter().try_for_each(|run| spilled.cut(run))?;
        spilled.deal_share(&mut share, Place::Memory)
    }
}

/// What rows that passed take: they are copied when they are joined.
fn passed_bytes(run: &Run) -> usize {
    2 * run.memory_bytes()
}

impl SinkState for AggregateState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        let fed_late = || Error::internal("an aggregation was fed after its end");
        let mut share = self.share.take().ok_or_else(fed_late)?;
        let rows = Rows::of(&self.shared.spec, &self.shared.arguments, &batch, &share)?;
        if self.passing.passes() {
            self.pass(&mut share, &rows)?;
        } else {
            self.take_all(&mut share, &rows)?;
            self.passing.take(rows.count);
            if share.is_full() {
                self.passing.empty(share.groups.len());
                self.empty(&mut share)?;
            }
        }
        self.metrics.reserved(share.reservation.held());
        self.share = Some(share);
        Ok(Flow::NeedInput)
    }

    fn combine(&mut self) -> Result<()> {
        if let Some(share) = &self.share {
            self.metrics.note("mode", share.groups.mode());
        }
        if let Some(end) = self.end()? {
            if !end.runs.is_empty() {
                self.metrics.note("emptied", end.runs.len().to_string());
            }
            if self.passing.passed() > 0 {
                self.metrics.note("rows passed", self.passing.passed().to_string());
            }
            self.shared.gather(end);
        }
        Ok(())
    }
}
