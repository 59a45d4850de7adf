//! `GetStatistics`: what tables know of themselves without being read.

use std::sync::Arc;

use adbc_core::constants::{
    ADBC_STATISTIC_DISTINCT_COUNT_KEY, ADBC_STATISTIC_MAX_VALUE_KEY, ADBC_STATISTIC_MIN_VALUE_KEY,
    ADBC_STATISTIC_NULL_COUNT_KEY, ADBC_STATISTIC_ROW_COUNT_KEY,
};
use adbc_core::schemas::{
    GET_STATISTIC_NAMES_SCHEMA, GET_STATISTICS_SCHEMA, STATISTIC_VALUE_SCHEMA, STATISTICS_DB_SCHEMA_SCHEMA,
    STATISTICS_SCHEMA,
};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int16Array, Int64Array, RecordBatch, StringArray, UInt64Array,
    UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use plasmon::Relation;
use plasmon::core::expression::Scalar;
use plasmon::core::table::{ColumnStatistics, TableStatistics};

use super::info::push;
use super::{child_type, list, listed, passes, rows};
use crate::connection::Link;
use crate::error::Result;
use crate::{CATALOG, SCHEMA};

/// Bytes that a table, or a column of it, takes where it is kept. Keys of drivers start here.
const BYTES_KEY: i16 = 1024;
const BYTES_NAME: &str = "plasmon.statistic.bytes";

/// The statistics that other drivers do not have.
pub(crate) fn names() -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec![BYTES_NAME])), Arc::new(Int16Array::from(vec![BYTES_KEY]))];
    Ok(RecordBatch::try_new(GET_STATISTIC_NAMES_SCHEMA.clone(), columns)?)
}

/// The batch of `GetStatistics`; estimates only when they are good enough for the caller.
pub(crate) fn batch(
    link: &Link,
    catalog: Option<&str>,
    db_schema: Option<&str>,
    table_name: Option<&str>,
    estimates: bool,
) -> Result<RecordBatch> {
    let (catalogs, db_schemas) = (usize::from(passes(CATALOG, catalog)), usize::from(passes(SCHEMA, db_schema)));
    let mut found = Found::default();
    if catalogs * db_schemas == 1 {
        for table in listed(link).iter().filter(|table| passes(&table.name, table_name)) {
            if let Relation::Table(known) = &table.relation {
                found.table(&table.name, &known.schema(), &known.statistics(), estimates);
            }
        }
    }
    let count = found.keys.len();
    let kind = &*STATISTICS_DB_SCHEMA_SCHEMA;
    let schemas = if catalogs == 1 { db_schemas } else { 0 };
    let lists = list(&child_type(kind, 1), found.rows()?, &vec![Some(count); schemas])?;
    let inner = rows(kind, vec![Arc::new(StringArray::from(vec![SCHEMA; schemas])), lists])?;
    let schema = GET_STATISTICS_SCHEMA.clone();
    let outer = list(schema.field(1).data_type(), inner, &vec![Some(schemas); catalogs])?;
    Ok(RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![CATALOG; catalogs])), outer])?)
}

/// Statistics of all tables, a row each.
#[derive(Default)]
struct Found {
    tables: Vec<String>,
    columns: Vec<Option<String>>,
    keys: Vec<i16>,
    estimated: Vec<bool>,
    kinds: Vec<i8>,
    offsets: Vec<i32>,
    integers: Vec<i64>,
    naturals: Vec<u64>,
    floats: Vec<f64>,
    bytes: Vec<Vec<u8>>,
}

impl Found {
    fn table(&mut self, name: &str, schema: &SchemaRef, known: &TableStatistics, estimates: bool) {
        let count = |value: u64| Scalar::Int64(i64::try_from(value).unwrap_or(i64::MAX));
        let totals = [(ADBC_STATISTIC_ROW_COUNT_KEY, known.rows), (BYTES_KEY, known.bytes)];
        for (key, value) in totals {
            self.add(name, None, key, value.map(count), false);
        }
        for (field, column) in schema.fields().iter().zip(&known.columns) {
            let column_name = Some(field.name().as_str());
            let ColumnStatistics { min, max, nulls, distinct, bytes, .. } = column;
            // ADBC has no form for decimals, and digits without their point would be wrong values.
            let has_form = !field.data_type().is_decimal();
            for (key, bound) in [(ADBC_STATISTIC_MIN_VALUE_KEY, min), (ADBC_STATISTIC_MAX_VALUE_KEY, max)] {
                self.add(name, column_name, key, bound.clone().filter(|_| has_form), false);
            }
            self.add(name, column_name, ADBC_STATISTIC_NULL_COUNT_KEY, nulls.map(count), false);
            self.add(name, column_name, BYTES_KEY, bytes.map(count), false);
            let distinct = distinct.filter(|_| estimates).map(|d| Scalar::Float64(d as f64));
            self.add(name, column_name, ADBC_STATISTIC_DISTINCT_COUNT_KEY, distinct, true);
        }
    }

    /// A row, unless nothing is known or ADBC has no form for the value.
    fn add(&mut self, table: &str, column: Option<&str>, key: i16, value: Option<Scalar>, estimated: bool) {
        let (kind, offset) = match value {
            Some(Scalar::Int64(value)) => (0, push(&mut self.integers, value)),
            Some(Scalar::Boolean(value)) => (0, push(&mut self.integers, i64::from(value))),
            Some(Scalar::UInt64(value)) => (1, push(&mut self.naturals, value)),
            Some(Scalar::Float32(value)) => (2, push(&mut self.floats, f64::from(value))),
            Some(Scalar::Float64(value)) => (2, push(&mut self.floats, value)),
            Some(Scalar::Bytes(value)) => (3, push(&mut self.bytes, value.to_vec())),
            _ => return,
        };
        self.tables.push(table.to_string());
        self.columns.push(column.map(str::to_string));
        self.keys.push(key);
        self.estimated.push(estimated);
        self.kinds.push(kind);
        self.offsets.push(offset);
    }

    fn rows(self) -> Result<ArrayRef> {
        let DataType::Union(fields, _) = &*STATISTIC_VALUE_SCHEMA else {
            return Err(plasmon::Error::internal("the schema of statistics has no union").into());
        };
        let children: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.integers)),
            Arc::new(UInt64Array::from(self.naturals)),
            Arc::new(Float64Array::from(self.floats)),
            Arc::new(BinaryArray::from_iter_values(&self.bytes)),
        ];
        let offsets = ScalarBuffer::from(self.offsets);
        let values = UnionArray::try_new(fields.clone(), self.kinds.into(), Some(offsets), children)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.tables)),
            Arc::new(StringArray::from(self.columns)),
            Arc::new(Int16Array::from(self.keys)),
            Arc::new(values),
            Arc::new(BooleanArray::from(self.estimated)),
        ];
        rows(&STATISTICS_SCHEMA, columns)
    }
}
