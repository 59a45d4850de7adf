//! The TPC-H schema at scale factor 10 with the statistics its files would give.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::expression::{Expression, Scalar};
use plasmon_core::pipeline::Source;
use plasmon_core::table::{ColumnStatistics, ScanRequest, Table, TableStatistics};
use plasmon_core::{Error, Result};

use crate::sql::{Catalog, View};

/// Rows of the scale factor 10 tables; keys run from 1 to the number of rows.
const TABLES: [(&str, u64, &str); 8] = [
    ("region", 5, "regionkey:i name:s comment:s"),
    ("nation", 25, "nationkey:i name:s regionkey:i/5 comment:s"),
    ("supplier", 100_000, "suppkey:k name:s address:s nationkey:i/25 phone:s acctbal:d comment:s"),
    ("customer", 1_500_000, "custkey:k name:s address:s nationkey:i/25 phone:s acctbal:d mktsegment:s/5 comment:s"),
    (
        "part",
        2_000_000,
        "partkey:k name:s mfgr:s/5 brand:s/25 type:s/150 size:i/50 container:s/40 retailprice:d comment:s",
    ),
    ("partsupp", 8_000_000, "partkey:i/2000000 suppkey:i/100000 availqty:i/9999 supplycost:d comment:s"),
    (
        "orders",
        15_000_000,
        "orderkey:k4 custkey:i/1500000 orderstatus:s/3 totalprice:d orderdate:t orderpriority:s/5 clerk:s shippriority:i/1 comment:s",
    ),
    (
        "lineitem",
        60_000_000,
        "orderkey:k4 partkey:i/2000000 suppkey:i/100000 linenumber:i/7 quantity:d extendedprice:d discount:d tax:d returnflag:s/3 \
         linestatus:s/2 shipdate:t commitdate:t receiptdate:t shipinstruct:s/4 shipmode:s/7 comment:s",
    ),
];

/// A table without rows.
#[derive(Debug)]
pub(super) struct TestTable {
    schema: SchemaRef,
    statistics: TableStatistics,
}

impl Table for TestTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn statistics(&self) -> TableStatistics {
        self.statistics.clone()
    }

    fn applies_filter(&self, _filter: &Expression) -> bool {
        true
    }

    fn numbers_rows(&self) -> bool {
        true
    }

    fn scan(&self, _request: &ScanRequest) -> Result<Arc<dyn Source>> {
        Err(Error::internal("test tables cannot be scanned"))
    }

    fn describe(&self) -> String {
        "test table".to_string()
    }
}

/// Tables by name, and a view.
pub(crate) struct TestCatalog {
    tables: Vec<(String, Arc<TestTable>)>,
}

impl TestCatalog {
    pub(crate) fn tpch() -> Self {
        TestCatalog {
            tables: TABLES
                .iter()
                .map(|(name, rows, columns)| (name.to_string(), Arc::new(table(name, *rows, columns))))
                .collect(),
        }
    }
}

/// `name:kind[/distinct]`: i integer, k key (`k4`: sparse), d decimal, s text, t date.
fn table(name: &str, rows: u64, columns: &str) -> TestTable {
    let prefix = match name {
        "partsupp" => "ps".to_string(),
        other => other[..1].to_string(),
    };
    let mut fields = Vec::new();
    let mut statistics = Vec::new();
    for column in columns.split_whitespace() {
        let (column, distinct) = column.split_once('/').map_or((column, None), |(c, d)| (c, Some(d.parse().unwrap())));
        let (column, kind) = column.split_once(':').unwrap();
        let data_type = match kind {
            "i" if matches!(column, "size" | "availqty" | "linenumber" | "shippriority") => DataType::Int32,
            "i" | "k" | "k4" => DataType::Int64,
            "d" => DataType::Decimal128(15, 2),
            "t" => DataType::Date32,
            _ => DataType::Utf8View,
        };
        fields.push(Field::new(format!("{prefix}_{column}"), data_type, false));
        statistics.push(column_statistics(kind, rows, distinct));
    }
    let statistics = TableStatistics { rows: Some(rows), bytes: Some(rows * 64), columns: statistics };
    TestTable { schema: Arc::new(Schema::new(fields)), statistics }
}

fn column_statistics(kind: &str, rows: u64, distinct: Option<u64>) -> ColumnStatistics {
    let (min, max) = match kind {
        "i" => (Some(0), Some(distinct.unwrap_or(rows) as i64)),
        "k" => (Some(1), Some(rows as i64)),
        "k4" => (Some(1), Some(60_000_000)),
        // 1992-01-01 … 1998-12-01.
        "t" => (Some(8_035), Some(10_561)),
        _ => (None, None),
    };
    let distinct = match (kind, distinct) {
        ("k", None) => Some(rows),
        ("k4", None) => Some(15_000_000),
        ("t", None) => Some(2_526),
        (_, distinct) => distinct,
    };
    ColumnStatistics {
        min: min.map(Scalar::Int64),
        max: max.map(Scalar::Int64),
        nulls: Some(0),
        distinct,
        bytes: None,
        is_clustered: kind.starts_with('k'),
    }
}

impl Catalog for TestCatalog {
    fn table(&self, name: &[String]) -> Result<Option<Arc<dyn Table>>> {
        let found = self.tables.iter().find(|(table, _)| name.last() == Some(table));
        Ok(found.map(|(_, table)| table.clone() as Arc<dyn Table>))
    }

    fn view(&self, name: &[String]) -> Result<Option<View>> {
        let sql = match name.last().map(String::as_str) {
            Some("big_orders") => "SELECT o_orderkey AS key FROM orders WHERE o_totalprice > 400000",
            Some("ouroboros") => "SELECT * FROM ouroboros",
            _ => return Ok(None),
        };
        Ok(Some(View { sql: sql.to_string() }))
    }

    fn path_table(&self, path: &str, _format: Option<&str>, _options: &[(String, String)]) -> Result<Arc<dyn Table>> {
        match self.table(&[path.trim_end_matches(".parquet").to_string()])? {
            Some(table) => Ok(table),
            None => Err(Error::user(format!("no file {path}"))),
        }
    }
}
