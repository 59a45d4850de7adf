//! How far a running query is, as seen from any thread.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use plasmon_core::Driver;
use plasmon_core::admission::Place;
use plasmon_core::pipeline::{CancelToken, Graph, TaskContext};
use plasmon_plan::explain::{Counters, Measurement, counters, explain};
use plasmon_plan::ir::{Node, Plan, Relation};
use plasmon_plan::sql::{ExplainFormat, ExplainOptions};

use crate::allocated::Allocated;

/// Watches one query; cheap to clone, and may outlive it.
#[derive(Clone)]
pub struct Monitor {
    task: TaskContext,
    graph: Option<Arc<Graph>>,
    plan: Option<Arc<Plan>>,
    /// Where it stands or stood in line, under the pool driver.
    place: Option<Arc<Place>>,
    allocated: Arc<Allocated>,
    /// Rows of all scanned tables, when every table knows its own.
    rows_total: Option<u64>,
}

/// What a query has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows read by scans.
    pub rows_read: u64,
    /// Rows of all scanned tables: what `rows_read` comes to when nothing is skipped. `None` = unknown.
    pub rows_total: Option<u64>,
    /// Bytes reserved now, and the most so far.
    pub bytes_reserved: usize,
    /// The most bytes reserved at once so far.
    pub bytes_peak: usize,
    /// Bytes written to disk so far because memory was short.
    pub bytes_spilled: u64,
    /// Passes over rows on disk so far: partitions cut again, runs merged into longer ones, pieces of a build side probed.
    pub passes: u64,
    /// Whether it has not begun: it stands in line until there is memory for it.
    pub is_waiting: bool,
}

impl Monitor {
    pub(crate) fn new(
        task: TaskContext,
        graph: Option<Arc<Graph>>,
        plan: Option<Arc<Plan>>,
        place: Option<Arc<Place>>,
        allocated: Arc<Allocated>,
    ) -> Self {
        let rows_total = plan.as_deref().and_then(|plan| {
            let trees = std::iter::once(&plan.root).chain(plan.subqueries.iter().map(|(_, r)| r)).chain(&plan.shared);
            trees.map(scanned_rows).sum()
        });
        Monitor { task, graph, plan, place, allocated, rows_total }
    }

    /// What the query has done so far.
    ///
    /// ```
    /// use plasmon::{Config, Session};
    ///
    /// let session = Session::new(Config::default())?;
    /// let query = session.sql("SELECT count(*) FROM generate_series(1, 10000)")?;
    /// let monitor = query.monitor();
    /// query.collect()?;
    /// assert_eq!(monitor.progress().rows_read, 10_000);
    /// assert_eq!(monitor.progress().rows_total, Some(10_000));
    /// # Ok::<(), plasmon::Error>(())
    /// ```
    pub fn progress(&self) -> Progress {
        Progress {
            rows_read: self.graph.as_deref().map_or(0, rows_read),
            rows_total: self.rows_total,
            bytes_reserved: self.task.memory.used(),
            bytes_peak: self.task.memory.peak(),
            bytes_spilled: self.task.spill.written(),
            passes: self.graph.as_deref().map_or(0, |graph| Measurement::of_graph(graph, 0).passes()),
            is_waiting: self.place.as_ref().is_some_and(|place| place.is_waiting()),
        }
    }

    /// What every plan node did so far; `elapsed_nanos` is the caller's clock. `None` for statements that run no pipelines.
    pub fn measure(&self, elapsed_nanos: u64) -> Option<Measurement> {
        let mut measurement = Measurement::of_graph(self.graph.as_ref()?, elapsed_nanos);
        measurement.threads = if self.task.config.driver == Driver::Inline { 1 } else { self.task.config.threads };
        measurement.peak_bytes = self.task.memory.peak();
        measurement.allocated_bytes = self.allocated.peak();
        Some(measurement)
    }

    /// The plan with what was measured so far, as `EXPLAIN (ANALYZE, FORMAT …)` shows it. `None` for statements that run no pipelines.
    pub fn explain(&self, format: ExplainFormat, elapsed_nanos: u64) -> Option<String> {
        let measurement = self.measure(elapsed_nanos)?;
        let options = ExplainOptions { analyze: true, format, ..ExplainOptions::default() };
        Some(explain(self.plan.as_ref()?, options, &[], Some(&measurement)))
    }

    /// What every relation of a plan in the wire format did so far, in the order of the plan that was given: the relations of `root` in pre-order, then those of
    /// `shared`, then of `subqueries`. Empty for other statements.
    pub fn counters(&self) -> Vec<Counters> {
        match (&self.plan, self.measure(0)) {
            (Some(plan), Some(measured)) => counters(plan, &measured),
            _ => Vec::new(),
        }
    }

    /// The query's cancel token.
    pub fn cancel_token(&self) -> CancelToken {
        self.task.cancel.clone()
    }
}

/// Rows that the sources over tables and values have read. A scan that filters counts what it looked at.
fn rows_read(graph: &Graph) -> u64 {
    let sources = graph.pipelines.iter().map(|p| &p.source);
    let tables = sources.filter(|s| {
        let name = s.part.name();
        name == "Values" || (name.ends_with("Scan") && name != "MaterializedScan")
    });
    tables.map(|s| s.metrics.rows_in.load(Relaxed).max(s.metrics.rows_out.load(Relaxed))).sum()
}

fn scanned_rows(relation: &Relation) -> Option<u64> {
    let own = match &relation.node {
        Node::Scan { table, .. } => table.statistics().rows?,
        _ => 0,
    };
    relation.children().into_iter().try_fold(own, |sum, child| Some(sum + scanned_rows(child)?))
}
