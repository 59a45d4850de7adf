//! The 22 TPC-H texts.

use std::path::PathBuf;
use std::time::Instant;

use super::plan;
use crate::explain::explain;
use crate::sql::{ExplainFormat, ExplainOptions};

fn queries() -> Vec<(String, String)> {
    let directory = std::env::var_os("PLASMON_TPCH_QUERIES")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../benchmarks/tpch/queries")), PathBuf::from);
    let query = |n: usize| {
        let path = directory.join(format!("q{n}.sql"));
        (format!("q{n}"), std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    (1..=22).map(query).collect()
}

#[test]
fn every_query_plans() {
    let formats = [ExplainFormat::Text, ExplainFormat::Json, ExplainFormat::Html];
    for (name, sql) in queries() {
        let start = Instant::now();
        let plan = plan(&sql);
        let elapsed = start.elapsed();
        let texts = formats.map(|format| explain(&plan, ExplainOptions { format, ..Default::default() }, None));
        println!("---- {name} in {elapsed:?}\n{}\n", texts[0]);
        assert!(serde_json::from_str::<serde_json::Value>(&texts[1]).is_ok(), "{name}");
        assert!(texts[2].ends_with("</html>\n"), "{name}");
    }
}
