//! What was measured, by the relations of the plan that was given: the optimizer may have made one of two.

use super::{Measurement, NodeMetrics};
use crate::ir::{Plan, Relation};

/// Counters of one relation of a given plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows that came out.
    pub rows: u64,
    /// Batches that came out.
    pub batches: u64,
    /// Worker time, in nanoseconds.
    pub nanos: u64,
    /// Bytes written to disk because memory was short.
    pub bytes_spilled: u64,
    /// The most bytes reserved at once.
    pub bytes_peak: u64,
    /// Bytes of frames that a scan read, or that a shuffle wrote.
    pub bytes: u64,
    /// Rows that a scan looked at, or that went in.
    pub rows_in: u64,
    /// Row groups that a scan read some of.
    pub row_groups_read: u64,
    /// Row groups that a scan was over.
    pub row_groups: u64,
}

impl Counters {
    fn of(metrics: &NodeMetrics) -> Self {
        let note =
            |wanted: &str| metrics.notes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (wanted, all) = note("row groups").and_then(|groups| groups.split_once(" of ")).unzip();
        // These are found out when their turn comes.
        let late =
            number(note("row groups pruned by Bloom filters")) + number(note("row groups pruned by dictionaries"));
        Counters {
            rows: metrics.rows,
            batches: metrics.batches,
            nanos: metrics.nanos,
            bytes_spilled: metrics.bytes_spilled,
            bytes_peak: metrics.bytes_reserved,
            bytes: number(note("bytes read")) + number(note("bytes written")),
            rows_in: metrics.rows_in,
            row_groups_read: number(wanted).saturating_sub(late),
            row_groups: number(all),
        }
    }
}

/// Counters of every relation of a plan as it was given in the wire format, in its order. A relation that another one does the work of (a filter that a scan
/// applies) gives the rows that that one gives, and takes no time.
pub fn counters(plan: &Plan, measured: &Measurement) -> Vec<Counters> {
    let (mut counted, mut node) = (Vec::new(), 0);
    let trees = std::iter::once(&plan.root).chain(plan.subqueries.iter().map(|(_, tree)| tree)).chain(&plan.shared);
    trees.for_each(|tree| visit(tree, measured, &mut node, &mut counted));
    // What is gone stood right before its one input.
    let mut below = Counters::default();
    for slot in counted.iter_mut().rev() {
        let gone = Counters { rows: below.rows, batches: below.batches, ..Counters::default() };
        below = *slot.get_or_insert(gone);
    }
    counted.into_iter().flatten().collect()
}

fn visit(relation: &Relation, measured: &Measurement, node: &mut usize, counted: &mut Vec<Option<Counters>>) {
    let own = measured.nodes.get(*node).map(Counters::of).unwrap_or_default();
    *node += 1;
    if let Some(number) = relation.number {
        if counted.len() <= number {
            counted.resize(number + 1, None);
        }
        counted[number] = Some(own);
    }
    relation.children().into_iter().for_each(|child| visit(child, measured, node, counted));
}
