//! The plan as JSON: `{"sections": [{"title", "plan": node}], "planning": [{"pass", "nanos"}], "elapsed_nanos", …}`.

use serde_json::{Map, Value, json};

use super::{DescribedNode, Document};

pub(super) fn render(document: &Document<'_>) -> String {
    let sections: Vec<Value> =
        document.sections.iter().map(|s| json!({ "title": s.title, "plan": node(&s.root) })).collect();
    let passes = document.passes.iter().map(|(pass, time)| json!({ "pass": pass, "nanos": time.as_nanos() as u64 }));
    let mut value = json!({ "sections": sections, "planning": passes.collect::<Vec<_>>() });
    if let Some(measured) = document.measured {
        value["elapsed_nanos"] = json!(measured.elapsed_nanos);
        value["worker_nanos"] = json!(measured.total_nanos());
        value["threads"] = json!(measured.threads);
        value["peak_bytes"] = json!(measured.peak_bytes);
        value["allocated_bytes"] = json!(measured.allocated_bytes);
        value["spilled_bytes"] = json!(measured.spilled_bytes());
    }
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn node(described: &DescribedNode) -> Value {
    let details: Map<String, Value> = described
        .description
        .details
        .iter()
        .map(|(label, text)| {
            ((if label.is_empty() { "expressions" } else { label }).to_string(), Value::String(text.clone()))
        })
        .collect();
    let mut value = json!({ "node": described.number, "name": described.description.name, "details": details });
    if let Some(rows) = described.estimated_rows {
        value["estimated_rows"] = json!(rows);
    }
    if let Some(metrics) = &described.metrics {
        value["rows_in"] = json!(metrics.rows_in);
        value["rows"] = json!(metrics.rows);
        value["batches"] = json!(metrics.batches);
        value["nanos"] = json!(metrics.nanos);
        value["bytes_reserved"] = json!(metrics.bytes_reserved);
        value["bytes_spilled"] = json!(metrics.bytes_spilled);
        value["notes"] =
            metrics.notes.iter().map(|(n, v)| (n.clone(), Value::String(v.clone()))).collect::<Map<_, _>>().into();
    }
    value["children"] = described.children.iter().map(node).collect();
    value
}
