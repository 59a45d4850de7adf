//! The indented tree.

use std::fmt::Write;

use super::{DescribedNode, Measurement, NodeMetrics, Section, bytes, duration, grouped};

pub(super) fn render(sections: &[Section], measured: Option<&Measurement>) -> String {
    let mut out = String::new();
    let total = measured.map_or(1, Measurement::total_nanos);
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            let _ = writeln!(out, "\n{}", section.title);
        }
        node(&section.root, "", "", total, &mut out);
    }
    if let Some(measured) = measured {
        let _ = writeln!(
            out,
            "\nElapsed {}, worker time {}",
            duration(measured.elapsed_nanos),
            duration(measured.total_nanos())
        );
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
    let estimate = node.estimated_rows.map(|rows| format!("~{}", grouped(rows.round().max(0.0) as u64)));
    let Some(NodeMetrics { rows, batches, nanos, bytes_reserved, bytes_spilled, .. }) = &node.metrics else {
        return estimate.map(|e| format!("{e} rows")).unwrap_or_default();
    };
    let mut parts = vec![match estimate {
        Some(estimate) => format!("{} rows ({estimate})", grouped(*rows)),
        None => format!("{} rows", grouped(*rows)),
    }];
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
