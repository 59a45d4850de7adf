//! The indented tree.

use std::fmt::Write;

use super::{DescribedNode, Document, NodeMetrics, bytes, duration, grouped};

/// Estimates that are off by more than this factor are marked.
const MISESTIMATE_FACTOR: f64 = 10.0;

pub(super) fn render(document: &Document<'_>, verbose: bool) -> String {
    let mut out = String::new();
    for (index, section) in document.sections.iter().enumerate() {
        if index > 0 {
            let _ = writeln!(out, "\n{}", section.title);
        }
        node(&section.root, "", "", document.total_nanos(), &mut out);
    }
    if let Some(measured) = document.measured {
        let spilled = Some(measured.spilled_bytes()).filter(|&spilled| spilled > 0);
        let _ = writeln!(
            out,
            "\nElapsed {}, worker time {} on {} thread{}, peak memory {} reserved{}{}",
            duration(measured.elapsed_nanos),
            duration(measured.total_nanos()),
            measured.threads,
            if measured.threads == 1 { "" } else { "s" },
            bytes(measured.peak_bytes as u64),
            measured.allocated_bytes.map_or(String::new(), |given| format!(", {} allocated", bytes(given as u64))),
            spilled.map_or(String::new(), |spilled| format!(", {} spilled", bytes(spilled)))
        );
    }
    if verbose || document.measured.is_some() {
        let steps: Vec<String> =
            document.passes.iter().map(|(name, time)| format!("{name} {}", duration(time.as_nanos() as u64))).collect();
        let total: u64 = document.passes.iter().map(|(_, time)| time.as_nanos() as u64).sum();
        let _ = writeln!(out, "Planning {}: {}", duration(total), steps.join(", "));
    }
    out.truncate(out.trim_end().len());
    out
}

fn node(node_: &DescribedNode, first: &str, rest: &str, total: u64, out: &mut String) {
    let details = node_
        .description
        .details
        .iter()
        .map(|(label, text)| if label.is_empty() { text.clone() } else { format!("{label}: {text}") });
    let details = details.collect::<Vec<_>>().join("; ");
    let _ = write!(out, "{first}{}", node_.description.name);
    if !details.is_empty() {
        let _ = write!(out, "  {details}");
    }
    let figures = figures(node_, total);
    if !figures.is_empty() {
        let _ = write!(out, "  [{figures}]");
    }
    out.push('\n');
    let count = node_.children.len();
    if let Some(metrics) = node_.metrics.as_ref().filter(|m| !m.notes.is_empty()) {
        let notes = metrics.notes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "{rest}{} {notes}", if count > 0 { "│ ·" } else { "  ·" });
    }
    for (index, child) in node_.children.iter().enumerate() {
        let (branch, below) = if index + 1 < count { ("├─ ", "│  ") } else { ("└─ ", "   ") };
        node(child, &format!("{rest}{branch}"), &format!("{rest}{below}"), total, out);
    }
}

fn figures(node: &DescribedNode, total: u64) -> String {
    let Some(NodeMetrics { rows_in, rows, batches, nanos, bytes_reserved, bytes_spilled, .. }) = &node.metrics else {
        return node.estimated_rows.map(|e| format!("{} rows", estimate(e))).unwrap_or_default();
    };
    let mut parts = vec![format!("{} rows", grouped(*rows))];
    if let Some(estimated) = node.estimated_rows {
        let off = is_misestimate(estimated, *rows);
        parts[0] = format!("{} rows ({}{})", grouped(*rows), estimate(estimated), if off { " !" } else { "" });
    }
    if *rows_in > 0 && rows_in != rows {
        parts.push(format!("{} in", grouped(*rows_in)));
    }
    parts.push(format!("{} batches", grouped(*batches)));
    parts.push(format!("{} {:.0}%", duration(*nanos), *nanos as f64 * 100.0 / total as f64));
    if *bytes_reserved > 0 {
        parts.push(bytes(*bytes_reserved));
    }
    if *bytes_spilled > 0 {
        parts.push(format!("{} spilled", bytes(*bytes_spilled)));
    }
    parts.join(", ")
}

fn estimate(rows: f64) -> String {
    format!("~{}", grouped(rows.round().max(0.0) as u64))
}

/// Whether an estimate was off by so much that it may have led the optimizer astray.
pub(super) fn is_misestimate(estimated: f64, rows: u64) -> bool {
    let (estimated, rows) = (estimated.max(1.0), (rows as f64).max(1.0));
    estimated / rows > MISESTIMATE_FACTOR || rows / estimated > MISESTIMATE_FACTOR
}
