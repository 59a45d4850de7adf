//! Bulk ingest: what is bound becomes rows of a table in memory.

use std::sync::Arc;

use adbc_core::options::IngestMode;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use plasmon::MemoryTable;
use plasmon::core::pipeline::CancelToken;
use plasmon::core::table::Table;
use plasmon_boundary::Failure;

use crate::connection::Link;
use crate::error::{Result, Trouble};
use crate::metadata::objects::check_place;
use crate::run::Bound;

/// Where bound rows go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) table: Option<String>,
    pub(crate) catalog: Option<String>,
    pub(crate) db_schema: Option<String>,
    pub(crate) mode: IngestMode,
    /// Only the connection sees the table, and it goes with it.
    pub(crate) is_temporary: bool,
}

impl Default for Target {
    fn default() -> Self {
        Target { table: None, catalog: None, db_schema: None, mode: IngestMode::Create, is_temporary: false }
    }
}

/// Writes all that is bound; how many rows that were. Nothing is written when it fails.
pub(crate) fn ingest(link: &Link, target: &Target, bound: Bound, token: &CancelToken) -> Result<u64> {
    let name = target.table.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::argument("bulk ingest without adbc.ingest.target_table"))?.to_lowercase();
    check_place(target.catalog.as_deref(), target.db_schema.as_deref())?;
    let present = present(link, target, &name)?;
    let schema = present.as_ref().map_or_else(|| bound.schema(), |table| table.schema());
    let order = column_order(&name, &schema, &bound.schema())?;
    let batches = fitted(&schema, &order, bound, token)?;
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    match present {
        Some(table) => table.append(&batches)?,
        None => {
            let table = Arc::new(MemoryTable::new(schema, &batches)?);
            match target.is_temporary {
                true => link.define_temporary(&name, table),
                false => define(link, target, &name, table)?,
            }
        }
    }
    Ok(rows)
}

/// The table to add to; `None` when one is to be made.
fn present(link: &Link, target: &Target, name: &str) -> Result<Option<Arc<MemoryTable>>> {
    let own = match target.is_temporary {
        true => link.temporary().get(name).cloned(),
        false => link.session.memory_table(name),
    };
    let exists = own.is_some() || !target.is_temporary && link.session.relation(name).is_some();
    match target.mode {
        IngestMode::Create if exists => Err(exists_already(name)),
        IngestMode::Create | IngestMode::Replace => Ok(None),
        IngestMode::CreateAppend if !exists => Ok(None),
        IngestMode::Append if !exists => Err(Trouble::not_found(format!("there is no table {name} to append to"))),
        IngestMode::Append | IngestMode::CreateAppend => own.map(Some).ok_or_else(|| {
            Trouble::not_implemented(format!("{name} takes no rows: it is a view or lies in files"))
                .hint("only tables in memory are appended to; write files with COPY … TO")
        }),
    }
}

fn define(link: &Link, target: &Target, name: &str, table: Arc<MemoryTable>) -> Result<()> {
    let replace = target.mode == IngestMode::Replace;
    let defined = link.session.register_memory_table(name, table, replace);
    // Somebody else was faster.
    defined.map_err(|error| if link.session.relation(name).is_some() { exists_already(name) } else { error.into() })
}

fn exists_already(name: &str) -> Trouble {
    Trouble::already_exists(format!("there is a table or view {name} already")).hint("append to it, or replace it")
}

/// For each column of the table, which one of the data it takes: the one of its name.
fn column_order(table: &str, schema: &SchemaRef, given: &SchemaRef) -> Result<Vec<usize>> {
    let misfit = |what: String| Trouble::already_exists(format!("table {table} exists with other columns: {what}"));
    if schema.fields().len() != given.fields().len() {
        return Err(misfit(format!("it has {}, the data {}", schema.fields().len(), given.fields().len())));
    }
    // The table is made from the data: names may even be there twice.
    if schema == given {
        return Ok((0..schema.fields().len()).collect());
    }
    let columns = schema.fields().iter().map(|field| {
        let found = given.index_of(field.name()).ok();
        let index = found.ok_or_else(|| misfit(format!("the data has no column {}", field.name())))?;
        let (own, other) = (field.data_type(), given.field(index).data_type());
        match own == other || same_kind(own, other) {
            true => Ok(index),
            false => Err(misfit(format!("column {} is {own}, that of the data {other}", field.name()))),
        }
    });
    columns.collect()
}

/// Types whose values are the same, laid out differently.
fn same_kind(a: &DataType, b: &DataType) -> bool {
    let plain = |t: &DataType| match t {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    let (a, b) = (plain(a), plain(b));
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_binary = |t: &DataType| matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    a == b || is_text(&a) && is_text(&b) || is_binary(&a) && is_binary(&b)
}

/// The bound batches with the table's columns in the table's order and layout.
fn fitted(schema: &SchemaRef, order: &[usize], bound: Bound, token: &CancelToken) -> Result<Vec<RecordBatch>> {
    let given = match bound {
        Bound::Batch(batch) => vec![batch],
        Bound::Stream(mut stream) => {
            let mut batches = Vec::new();
            while let Some(batch) = stream.read()? {
                token.check()?;
                batches.push(batch);
            }
            batches
        }
    };
    let fit = |batch: RecordBatch| -> Result<RecordBatch> {
        let columns = order.iter().zip(schema.fields()).map(|(&index, field)| {
            let column = batch.column(index);
            match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => {
                    cast_with_options(column, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
                }
            }
        });
        let columns = columns.collect::<std::result::Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
    };
    given.into_iter().map(fit).collect()
}
