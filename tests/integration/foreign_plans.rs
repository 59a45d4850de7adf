//! TPC-H plans that other engines wrote (`tests/substrait`), over generated data: each gives the answer of its query's text, or is refused as
//! `refused.txt` says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use plasmon::{Config, Error, Session};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

const SCALE: f64 = 0.01;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn register(session: &Session, name: &str, reader: impl RecordBatchReader) {
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("generated");
    session.register_batches(name, schema, &batches).expect("a table");
}

fn tables(config: Config) -> Session {
    let session = Session::new(config).expect("valid configuration");
    register(&session, "region", RegionArrow::new(RegionGenerator::new(SCALE, 1, 1)));
    register(&session, "nation", NationArrow::new(NationGenerator::new(SCALE, 1, 1)));
    register(&session, "supplier", SupplierArrow::new(SupplierGenerator::new(SCALE, 1, 1)));
    register(&session, "customer", CustomerArrow::new(CustomerGenerator::new(SCALE, 1, 1)));
    register(&session, "part", PartArrow::new(PartGenerator::new(SCALE, 1, 1)));
    register(&session, "partsupp", PartSuppArrow::new(PartSuppGenerator::new(SCALE, 1, 1)));
    register(&session, "orders", OrderArrow::new(OrderGenerator::new(SCALE, 1, 1)));
    register(&session, "lineitem", LineItemArrow::new(LineItemGenerator::new(SCALE, 1, 1)));
    session
}

fn query(number: &str) -> String {
    let path = root().join("../benchmarks/tpch/queries").join(format!("{number}.sql"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| match c.data_type() {
                // Dates compare as dates, whatever a producer made of them.
                DataType::Timestamp(_, _) => arrow::compute::cast(c, &DataType::Date32).expect("a date"),
                _ => c.clone(),
            })
            .collect();
        let formatters: Vec<_> =
            columns.iter().map(|c| ArrayFormatter::try_new(c, &options).expect("printable")).collect();
        rows.extend((0..batch.num_rows()).map(|r| formatters.iter().map(|f| f.value(r).to_string()).collect()));
    }
    rows
}

/// Equal, or numbers within 1e-6 or one unit of the last place that both show: producers state averages with fewer digits.
fn same(given: &str, wanted: &str) -> bool {
    if given == wanted {
        return true;
    }
    let (Ok(a), Ok(b)) = (given.parse::<f64>(), wanted.parse::<f64>()) else { return false };
    let places = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
    let unit = match places(given).min(places(wanted)) {
        0 => 0.0,
        places => 10f64.powi(-places) * 1.000_001,
    };
    (a - b).abs() <= (1e-6 * b.abs()).max(unit)
}

/// The same rows in any order.
fn difference(mut given: Vec<Vec<String>>, wanted: Vec<Vec<String>>) -> Option<String> {
    if given.len() != wanted.len() {
        return Some(format!("{} rows, expected {}", given.len(), wanted.len()));
    }
    for row in wanted {
        let equal = |g: &Vec<String>| g.len() == row.len() && g.iter().zip(&row).all(|(g, w)| same(g, w));
        match given.iter().position(equal) {
            Some(position) => drop(given.swap_remove(position)),
            None => return Some(format!("{row:?} is missing; left over: {:?}", given.first())),
        }
    }
    None
}

/// `producer/query` → what is refused, from `refused.txt`.
fn expected_refusals() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("substrait/refused.txt")).expect("refused.txt");
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines.filter_map(|l| l.split_once(' ')).map(|(plan, reason)| (plan.to_string(), reason.to_string())).collect()
}

fn plans() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for producer in ["datafusion", "duckdb", "ibis", "isthmus"] {
        for entry in std::fs::read_dir(root().join("substrait").join(producer)).expect("a folder of plans") {
            let path = entry.expect("readable").path();
            let number = path.file_stem().expect("a name").to_string_lossy().into_owned();
            found.push((format!("{producer}/{number}"), path));
        }
    }
    found.sort();
    found
}

#[test]
fn plans_of_other_engines_agree() {
    for config in [
        Config { threads: 2, ..Config::default() },
        Config { threads: 1, disabled_passes: vec!["share".into(), "runtime_filters".into()], ..Config::default() },
    ] {
        let session = tables(config);
        let (mut agree, mut wrong, mut refused) = (0, Vec::new(), BTreeMap::new());
        for (name, path) in plans() {
            let plan = std::fs::read(&path).expect("readable");
            let number = name.rsplit('/').next().expect("a number");
            match session.substrait(&plan).run().and_then(|q| q.collect()) {
                Ok(batches) => {
                    let wanted = session.sql(&query(number)).and_then(|q| q.collect()).expect("the text runs");
                    match difference(rows(&batches), rows(&wanted)) {
                        Some(difference) => wrong.push(format!("{name}: {difference}")),
                        None => agree += 1,
                    }
                }
                Err(Error::At { path, error }) if matches!(*error, Error::Unsupported(_)) => {
                    refused.insert(name, format!("{path}: {error}"));
                }
                Err(other) => wrong.push(format!("{name}: {other}")),
            }
        }
        let told: Vec<String> = refused.iter().map(|(plan, reason)| format!("{plan} {reason}")).collect();
        println!("{agree} plans agree\n{}", told.join("\n"));
        assert!(wrong.is_empty(), "{agree} agree, {} do not\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(refused, expected_refusals(), "what is refused has changed:\n{}", told.join("\n"));
        assert!(agree >= 61, "only {agree} plans agree");
    }
}
