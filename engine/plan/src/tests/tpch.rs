//! The 22 TPC-H texts.

use std::path::PathBuf;

use super::plan;
use crate::explain::explain;
use crate::sql::{ExplainFormat, ExplainOptions};

pub(crate) fn queries() -> Vec<(String, String)> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../benchmarks/tpch/queries"));
    let query = |n: usize| {
        let path = directory.join(format!("q{n:02}.sql"));
        (format!("q{n}"), std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    (1..=22).map(query).collect()
}

#[test]
fn every_query_plans() {
    let formats = [ExplainFormat::Text, ExplainFormat::Json, ExplainFormat::Html];
    for (name, sql) in queries() {
        let plan = plan(&sql);
        let texts = formats.map(|format| explain(&plan, ExplainOptions { format, ..Default::default() }, &[], None));
        assert!(texts[0].contains("Scan"), "{name}: {}", texts[0]);
        assert!(serde_json::from_str::<serde_json::Value>(&texts[1]).is_ok(), "{name}");
        assert!(texts[2].ends_with("</html>\n"), "{name}");
    }
}
