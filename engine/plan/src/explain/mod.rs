//! A plan made readable: an indented tree, JSON, or one HTML page with a picture; with what was measured when the plan has run.
//!
//! Nodes are numbered in pre-order over the root, then the scalar sub-queries, then the shared sub-plans, as lowering numbers them.

mod counters;
mod describe;
mod html;
mod json;
mod picture;
mod text;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use plasmon_core::metrics::OperatorMetrics;
use plasmon_core::pipeline::Graph;

use crate::ir::{Plan, Relation};
use crate::sql::{ExplainFormat, ExplainOptions};
pub use counters::{Counters, counters};
use describe::Description;

/// What one plan node did, summed over its parts and workers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeMetrics {
    /// Rows that went in: read by a scan, or given by the inputs.
    pub rows_in: u64,
    /// Rows and batches that came out.
    pub rows: u64,
    pub batches: u64,
    /// Worker time, in nanoseconds.
    pub nanos: u64,
    /// Peak bytes reserved, and bytes spilled.
    pub bytes_reserved: u64,
    pub bytes_spilled: u64,
    pub notes: Vec<(String, String)>,
}

/// What operators call a pass over rows on disk.
const PASSES: [&str; 4] = ["passes", "merge passes", "partitions cut", "partitions cut again"];

/// What was measured while a plan ran.
#[derive(Debug, Clone, Default)]
pub struct Measurement {
    /// Workers that could run at once.
    pub threads: usize,
    /// The most bytes reserved at once, by the whole query.
    pub peak_bytes: usize,
    /// The most bytes allocated at once; `None` = nobody counted them.
    pub allocated_bytes: Option<usize>,
    /// By node number; missing nodes were not run.
    pub nodes: Vec<NodeMetrics>,
    /// From start to end, in nanoseconds.
    pub elapsed_nanos: u64,
}

impl Measurement {
    /// Reads the counters of a graph that has run. A node's rows are those that left its last part in each pipeline.
    pub fn of_graph(graph: &Graph, elapsed_nanos: u64) -> Self {
        let mut measurement = Measurement { elapsed_nanos, ..Measurement::default() };
        let mut counted = HashSet::new();
        for pipeline in &graph.pipelines {
            let source = (pipeline.source.plan_node, &pipeline.source.metrics);
            let parts: Vec<_> =
                std::iter::once(source).chain(pipeline.operators.iter().map(|o| (o.plan_node, &o.metrics))).collect();
            for (position, (node, metrics)) in parts.iter().enumerate() {
                let is_first = !parts[..position].iter().any(|(other, _)| other == node);
                let is_last = !parts[position + 1..].iter().any(|(other, _)| other == node);
                measurement.add(*node, metrics, Ends { is_first, is_last }, &mut counted);
            }
        }
        for sink in &graph.sinks {
            // The query's own sink only hands the root's rows to the reader.
            let is_first = sink.part.name() != "Collect";
            measurement.add(sink.plan_node, &sink.metrics, Ends { is_first, is_last: false }, &mut counted);
        }
        measurement
    }

    fn add(
        &mut self,
        node: usize,
        metrics: &Arc<OperatorMetrics>,
        ends: Ends,
        counted: &mut HashSet<*const OperatorMetrics>,
    ) {
        // Operators that stand in several pipelines share their counters.
        if !counted.insert(Arc::as_ptr(metrics)) {
            return;
        }
        if self.nodes.len() <= node {
            self.nodes.resize(node + 1, NodeMetrics::default());
        }
        let total = &mut self.nodes[node];
        if ends.is_first {
            total.rows_in += metrics.rows_in.load(Relaxed);
        }
        if ends.is_last {
            total.rows += metrics.rows_out.load(Relaxed);
            total.batches += metrics.batches_out.load(Relaxed);
        }
        total.nanos += metrics.nanos.load(Relaxed);
        total.bytes_reserved += metrics.bytes_reserved.load(Relaxed);
        total.bytes_spilled += metrics.bytes_spilled.load(Relaxed);
        total.notes.extend(metrics.notes());
    }

    /// Bytes that all nodes wrote to disk because memory was short.
    pub fn spilled_bytes(&self) -> u64 {
        self.nodes.iter().map(|n| n.bytes_spilled).sum()
    }

    /// Passes over rows on disk, of all nodes: partitions cut again, runs merged into longer ones, pieces of a build side probed.
    pub fn passes(&self) -> u64 {
        let notes = self.nodes.iter().flat_map(|node| &node.notes);
        let passes = notes.filter(|(name, _)| PASSES.contains(&name.as_str()));
        passes.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
    }

    /// Worker time of all nodes, in nanoseconds; at least 1.
    fn total_nanos(&self) -> u64 {
        self.nodes.iter().map(|n| n.nanos).sum::<u64>().max(1)
    }
}

/// Where a part stands among its node's parts in one pipeline: the first takes the node's input, the last gives its output.
#[derive(Clone, Copy)]
struct Ends {
    is_first: bool,
    is_last: bool,
}

/// A step of planning, and what it took.
pub type PassTime = (&'static str, Duration);

/// The plan in the format that `options` ask for; `passes` are the steps of planning, when they are known.
pub fn explain(plan: &Plan, options: ExplainOptions, passes: &[PassTime], measured: Option<&Measurement>) -> String {
    let document = Document { sections: sections(plan, options.verbose, measured), passes, measured };
    match options.format {
        ExplainFormat::Text => text::render(&document, options.verbose),
        ExplainFormat::Json => json::render(&document),
        ExplainFormat::Html => html::render(&document),
    }
}

/// All that a format prints.
struct Document<'a> {
    sections: Vec<Section>,
    passes: &'a [PassTime],
    measured: Option<&'a Measurement>,
}

impl Document<'_> {
    /// Worker time of all nodes; 1 when nothing was measured.
    fn total_nanos(&self) -> u64 {
        self.measured.map_or(1, Measurement::total_nanos)
    }
}

/// One tree of the plan under its heading.
struct Section {
    title: String,
    root: DescribedNode,
}

/// A node ready to print.
struct DescribedNode {
    number: usize,
    description: Description,
    estimated_rows: Option<f64>,
    metrics: Option<NodeMetrics>,
    children: Vec<DescribedNode>,
}

fn sections(plan: &Plan, verbose: bool, measured: Option<&Measurement>) -> Vec<Section> {
    let mut number = 0;
    let mut section = |title: String, relation: &Relation| Section {
        title,
        root: described(relation, plan, verbose, measured, &mut number),
    };
    let mut sections = vec![section("Plan".to_string(), &plan.root)];
    for (index, (_, relation)) in plan.subqueries.iter().enumerate() {
        sections.push(section(format!("Sub-query ${index}"), relation));
    }
    for (index, relation) in plan.shared.iter().enumerate() {
        sections.push(section(format!("Shared {index}"), relation));
    }
    sections
}

fn described(
    relation: &Relation,
    plan: &Plan,
    verbose: bool,
    measured: Option<&Measurement>,
    number: &mut usize,
) -> DescribedNode {
    let own = *number;
    *number += 1;
    DescribedNode {
        number: own,
        description: describe::describe(relation, plan, verbose),
        estimated_rows: relation.estimated_rows,
        metrics: measured.map(|m| m.nodes.get(own).cloned().unwrap_or_default()),
        children: relation.children().into_iter().map(|c| described(c, plan, verbose, measured, number)).collect(),
    }
}

/// `1234567` → `1,234,567`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that suits.
fn duration(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

/// Bytes in the unit that suits.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
