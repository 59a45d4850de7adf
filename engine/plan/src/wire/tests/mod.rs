//! Plans there and back: SQL's own, random ones, damaged ones, and ones that must be refused.

mod damaged;
mod random;
mod refused;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeBinaryArray, Int32Array, IntervalDayTimeArray, ListArray, MapArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, Int32Type, IntervalDayTime, IntervalMonthDayNano, IntervalUnit, Schema, SchemaRef, TimeUnit, i256,
};
use plasmon_core::expression::{Expression, Scalar, SortKey};
use plasmon_core::operators::shuffle_write::SHUFFLE_WRITE_TYPES;
use plasmon_core::pipeline::Source;
use plasmon_core::table::{FileSplit, FileSplits, ScanRequest, Table};
use plasmon_core::{Config, Error, Result};
use prost::Message as _;

use super::{decode, encode, prepare, proto};
use crate::explain::explain;
use crate::function::Registry;
use crate::ir::{Node, Partitioning, Plan, Relation, ShuffleWrite, TableName, TableOrigin};
use crate::sql::{Catalog, ExplainOptions, Statement, View, plan_statement};
use crate::tests::catalog::TestCatalog;
use crate::tests::tpch::queries;

/// Column types of the table `t`: a, b, c, d.
const COLUMNS: [DataType; 4] = [DataType::Int64, DataType::Utf8View, DataType::Boolean, DataType::Float64];

fn schema_of(types: &[DataType]) -> SchemaRef {
    let field = |(i, t): (usize, &DataType)| Field::new(char::from(b'a' + i as u8).to_string(), t.clone(), true);
    Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// A table without rows.
#[derive(Debug)]
struct Nothing(SchemaRef);

impl Table for Nothing {
    fn schema(&self) -> SchemaRef {
        self.0.clone()
    }

    fn scan(&self, _: &ScanRequest) -> Result<Arc<dyn Source>> {
        Err(Error::internal("test tables cannot be scanned"))
    }

    fn describe(&self) -> String {
        "nothing".to_string()
    }
}

/// The table `t` and the view `v`.
struct One(Arc<dyn Table>);

impl One {
    fn new() -> Self {
        One(Arc::new(Nothing(schema_of(&COLUMNS))))
    }

    /// A scan of all columns of `t`.
    fn scan(&self) -> Relation {
        let node = Node::Scan {
            name: TableName::from("t"),
            table: self.0.clone(),
            projection: (0..COLUMNS.len()).collect(),
            filters: Vec::new(),
            fetch: None,
            runtime_filters: Vec::new(),
            threshold: None,
        };
        Relation::new(node, schema_of(&COLUMNS))
    }
}

impl Catalog for One {
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>> {
        Ok((name == ["t"]).then(|| self.0.clone()))
    }

    fn view(&self, name: &[String]) -> Result<Option<View>> {
        Ok((name == ["v"]).then(|| View { sql: "SELECT 1".to_string() }))
    }

    fn path_table(&self, path: &str, _: Option<&str>, _: &[(String, String)]) -> Result<Arc<dyn Table>> {
        Err(Error::user(format!("no file {path}")))
    }
}

fn plan_of(root: Relation) -> Plan {
    Plan { root, subqueries: Vec::new(), shared: Vec::new() }
}

fn column(index: usize) -> Expression {
    Expression::column(index, COLUMNS[index].clone())
}

fn planned(sql: &str, config: &Config) -> Plan {
    match plan_statement(sql, &TestCatalog::tpch(), config) {
        Ok(Statement::Query(plan)) => plan,
        other => panic!("{other:?}\n{sql}"),
    }
}

#[test]
fn every_tpch_plan_survives() {
    // Without what is of one process, the plan that comes out shows exactly as the one that went in.
    let names = ["runtime_filters", "top_n_threshold", "estimate"];
    let config = Config { disabled_passes: names.map(str::to_string).to_vec(), ..Config::default() };
    let options = ExplainOptions { verbose: true, ..ExplainOptions::default() };
    for (name, sql) in queries() {
        let plan = planned(&sql, &config);
        let bytes = encode(&plan).unwrap_or_else(|e| panic!("{name}: {e}"));
        let back = decode(&bytes, &TestCatalog::tpch()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(encode(&back).unwrap(), bytes, "{name}");
        assert_eq!(explain(&back, options, &[], None), explain(&plan, options, &[], None), "{name}");
        let whole = planned(&sql, &Config::default());
        let ready =
            prepare(decode(&encode(&whole).unwrap(), &TestCatalog::tpch()).unwrap(), &Config::default()).unwrap();
        let shown = |plan: &Plan| explain(plan, options, &[], None).matches("runtime filter").count();
        assert_eq!(shown(&ready) > 0, shown(&whole) > 0, "{name}: runtime filters are made anew");
    }
}

#[test]
fn every_function_is_found_by_its_own_name() {
    let registry = Registry::standard();
    for name in registry.scalar_names() {
        let function = registry.scalar(&name).unwrap();
        assert!(registry.scalar(function.name()).is_some_and(|f| f == function), "{name} is {}", function.name());
    }
    for name in registry.aggregate_names() {
        let function = registry.aggregate(&name).unwrap();
        assert!(registry.aggregate(function.name()).is_some_and(|f| f == function), "{name} is {}", function.name());
    }
}

/// Constants of every type, each as scalar and type.
fn constants() -> Vec<(Scalar, DataType)> {
    let nested = |array: ArrayRef| (Scalar::Nested(array.clone()), array.data_type().clone());
    let list = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)])]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a text that is longer than a view"]));
    let fields = vec![Field::new("t", DataType::Utf8, true), Field::new("v", DataType::Utf8View, false)];
    let pair = StructArray::new(fields.into(), vec![texts, views], None);
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int32, true)];
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["one", "two"]));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let entries = StructArray::new(entry.into(), vec![keys, values], None);
    let entries_field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let map = MapArray::new(entries_field, OffsetBuffer::from_lengths([2]), entries, None, false);
    let lists = Field::new("item", list.data_type().clone(), true);
    let deep = ListArray::new(Arc::new(lists), OffsetBuffer::from_lengths([1]), list.clone(), None);
    let binary = FixedSizeBinaryArray::try_from_iter([vec![1u8, 2, 3]].into_iter()).unwrap();
    let utc = Some(Arc::from("+00:00"));
    vec![
        (Scalar::Boolean(true), DataType::Boolean),
        (Scalar::Int64(-128), DataType::Int8),
        (Scalar::Int64(i64::MIN), DataType::Int64),
        (Scalar::UInt64(u64::MAX), DataType::UInt64),
        (Scalar::Float32(-0.0), DataType::Float32),
        (Scalar::Float64(f64::NAN), DataType::Float64),
        (Scalar::Int64(-719_162), DataType::Date32),
        (Scalar::Int64(86_399), DataType::Time32(TimeUnit::Second)),
        (Scalar::Int64(1), DataType::Timestamp(TimeUnit::Nanosecond, utc)),
        (Scalar::Int64(7), DataType::Duration(TimeUnit::Microsecond)),
        (Scalar::Int64(-12_345), DataType::Decimal128(15, 2)),
        (Scalar::Int64(5), DataType::Decimal128(38, 2)),
        (Scalar::Int128(-(10i128.pow(37))), DataType::Decimal128(38, 10)),
        (Scalar::Int256(i256::from_i128(-1)), DataType::Decimal256(76, 0)),
        (Scalar::Interval(IntervalMonthDayNano::new(-1, 2, -3)), DataType::Interval(IntervalUnit::MonthDayNano)),
        (Scalar::Bytes(Arc::from("naïve".as_bytes())), DataType::LargeUtf8),
        (Scalar::Bytes(Arc::from(&[0xff, 0][..])), DataType::BinaryView),
        (Scalar::Bytes(Arc::from(&b""[..])), DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))),
        (Scalar::Null, DataType::Null),
        (Scalar::Null, DataType::List(Arc::new(Field::new("item", DataType::Int8, true)))),
        nested(list),
        nested(Arc::new(deep)),
        nested(Arc::new(pair)),
        nested(Arc::new(map)),
        nested(Arc::new(binary)),
        nested(Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(-1, 5)]))),
    ]
}

#[test]
fn constants_of_every_type_survive() {
    for (scalar, data_type) in constants() {
        let schema = schema_of(std::slice::from_ref(&data_type));
        let rows = vec![vec![Expression::literal(scalar.clone(), data_type.clone())]];
        let bytes = encode(&plan_of(Relation::new(Node::Values { rows }, schema.clone()))).unwrap();
        let back = decode(&bytes, &One::new()).unwrap_or_else(|e| panic!("{data_type}: {e}"));
        assert_eq!(back.root.schema, schema);
        let Node::Values { rows } = back.root.node else { panic!("values") };
        assert_eq!(rows, [[Expression::literal(scalar, data_type)]]);
    }
}

/// A catalog whose split tables have no rows.
struct Splits(One);

impl Catalog for Splits {
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>> {
        self.0.table(name)
    }

    fn view(&self, name: &[String]) -> Result<Option<View>> {
        self.0.view(name)
    }

    fn path_table(&self, path: &str, format: Option<&str>, options: &[(String, String)]) -> Result<Arc<dyn Table>> {
        self.0.path_table(path, format, options)
    }

    fn split_table(&self, _: &FileSplits, schema: &SchemaRef) -> Result<Arc<dyn Table>> {
        Ok(Arc::new(Nothing(schema.clone())))
    }
}

#[test]
fn plans_say_the_lowest_version_that_has_what_they_use() {
    let version = |bytes: &[u8]| proto::Plan::decode(bytes).unwrap().version;
    assert_eq!(version(&encode(&plan_of(One::new().scan())).unwrap()), 1);
    let split = FileSplit {
        path: "file:/x".to_string(),
        start: 4,
        length: 1 << 40,
        partition_values: vec![Scalar::Null, Scalar::Float64(0.5)],
    };
    let splits =
        FileSplits { splits: vec![split], partition_columns: 2, case_sensitive: true, format: "parquet".to_string() };
    let table: Arc<dyn Table> = Arc::new(Nothing(schema_of(&COLUMNS)));
    let plan = plan_of(Relation::scan(TableName::of(TableOrigin::Splits(splits.clone())), table));
    let bytes = encode(&plan).unwrap();
    assert_eq!(version(&bytes), 2);
    let back = decode(&bytes, &Splits(One::new())).unwrap();
    assert!(matches!(&back.root.node, Node::Scan { name, .. } if name.origin == TableOrigin::Splits(splits)));
    assert_eq!(encode(&back).unwrap(), bytes);
}

#[test]
fn shuffles_survive() {
    let keys = vec![SortKey { expression: column(1), descending: true, nulls_first: false }];
    let text = |text: &str| vec![Scalar::Bytes(text.as_bytes().into())];
    let number = Expression::literal(Scalar::Int64(2), DataType::Int32);
    for partitioning in [
        Partitioning::Hash(vec![column(1), column(3)]),
        Partitioning::Range { keys, bounds: vec![text("b"), text("a"), vec![Scalar::Null]] },
        Partitioning::Single,
        Partitioning::RoundRobin(7),
        Partitioning::Computed(number),
    ] {
        let write = ShuffleWrite { partitioning, partitions: 4, path: "/tmp/f".to_string() };
        let node = Node::ShuffleWrite { input: Box::new(One::new().scan()), write };
        let plan = plan_of(Relation::new(node, schema_of(&SHUFFLE_WRITE_TYPES)));
        let bytes = encode(&plan).unwrap();
        let back = decode(&bytes, &One::new()).unwrap();
        assert_eq!(encode(&back).unwrap(), bytes);
        let options = ExplainOptions::default();
        let shown = explain(&prepare(back, &Config::default()).unwrap(), options, &[], None);
        assert!(shown.contains("ShuffleWrite") && shown.contains("/tmp/f"), "{shown}");
    }
}
