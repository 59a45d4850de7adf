//! Bytes → a plan that hangs together.
//!
//! What a tree may refer to is known before any tree is read: tables, and the columns of shared sub-plans and sub-queries as they declare them.

mod aggregate;
mod check;
mod expression;
mod function;
mod relation;
mod shuffle;
mod types;
mod value;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::ScalarSlot;
use plasmon_core::table::{FileSplit, FileSplits, Table};
use prost::bytes::Bytes;

use super::fields::message;
use super::{VERSION, proto};
use crate::function::Registry;
use crate::ir::{Constant, Plan, Relation, TableName, TableOrigin};
use crate::path::Path;
use crate::sql::Catalog;

/// Longer plans are read on a stack of their own: they may nest as deep as the limits allow.
const LONG_PLAN_BYTES: usize = 1024;

/// The plan in `bytes`, over the tables and functions of `catalog`; see the module's documentation.
pub fn decode(bytes: &[u8], catalog: &dyn Catalog) -> Result<Plan> {
    let bytes = Bytes::copy_from_slice(bytes);
    crate::stack::with_room(bytes.len() > LONG_PLAN_BYTES, || Decoder::plan(&bytes, catalog))
}

/// The columns in `bytes`, a `StructType`: those of a table of frames.
pub fn decode_fields(bytes: &[u8]) -> Result<SchemaRef> {
    let path = Path::root("fields");
    let given: proto::StructType = message(&Bytes::copy_from_slice(bytes), &path)?;
    types::schema(&given.fields, &path)
}

/// What the trees of a plan may refer to.
struct Decoder<'a> {
    functions: Arc<Registry>,
    catalog: &'a dyn Catalog,
    tables: Vec<(TableName, Arc<dyn Table>)>,
    shared: Vec<SchemaRef>,
    subqueries: Vec<(Arc<ScalarSlot>, DataType)>,
    /// Columns of the recursive relations whose steps are being read, by name, the innermost last.
    work_tables: Vec<(String, SchemaRef)>,
    /// The tree that is being decoded, by number: shared sub-plans, then sub-queries, then the root.
    tree: usize,
    /// Which trees each tree reads, as far as it is decoded.
    reads: Vec<BTreeSet<usize>>,
}

impl<'a> Decoder<'a> {
    fn plan(bytes: &Bytes, catalog: &'a dyn Catalog) -> Result<Plan> {
        let top = Path::root("plan");
        let version = version(bytes).map_err(|what| top.wrong(what))?;
        if version == 0 || version > VERSION {
            return Err(
                top.refuse(format!("version {version} of the wire format of plans; this library reads 1 to {VERSION}"))
            );
        }
        let plan: proto::Plan = message(bytes, &top)?;
        let mut decoder = Decoder {
            functions: catalog.functions(),
            catalog,
            tables: Vec::with_capacity(plan.tables.len()),
            shared: Vec::with_capacity(plan.shared.len()),
            subqueries: Vec::with_capacity(plan.subqueries.len()),
            work_tables: Vec::new(),
            tree: 0,
            reads: vec![BTreeSet::new(); plan.shared.len() + plan.subqueries.len() + 1],
        };
        for (index, table) in plan.tables.iter().enumerate() {
            let table = decoder.table(table, &Path::root_at("tables", index))?;
            decoder.tables.push(table);
        }
        decoder.declare(&plan)?;
        let mut decoded = decoder.trees(&plan)?;
        number(&mut decoded);
        decoder.check_circles()?;
        Ok(decoded)
    }

    /// Notes the columns that shared sub-plans and sub-queries declare.
    fn declare(&mut self, plan: &proto::Plan) -> Result<()> {
        for (index, bytes) in plan.shared.iter().enumerate() {
            let path = Path::root_at("shared", index);
            let relation: proto::Relation = message(bytes, &path)?;
            self.shared.push(types::schema(&relation.fields, &path)?);
        }
        for (index, bytes) in plan.subqueries.iter().enumerate() {
            let path = Path::root_at("subqueries", index);
            let relation: proto::Relation = message(bytes, &path)?;
            match types::schema(&relation.fields, &path)?.fields().as_ref() {
                [column] => self.subqueries.push((ScalarSlot::new(), column.data_type().clone())),
                columns => {
                    return Err(path.wrong(format!("a scalar sub-query gives one column, not {}", columns.len())));
                }
            }
        }
        Ok(())
    }

    fn trees(&mut self, plan: &proto::Plan) -> Result<Plan> {
        let mut shared = Vec::with_capacity(plan.shared.len());
        for (index, bytes) in plan.shared.iter().enumerate() {
            self.tree = index;
            shared.push(self.relation(bytes, &Path::root_at("shared", index), 0)?);
        }
        let mut subqueries = Vec::with_capacity(plan.subqueries.len());
        for (index, bytes) in plan.subqueries.iter().enumerate() {
            self.tree = self.shared.len() + index;
            let relation = self.relation(bytes, &Path::root_at("subqueries", index), 0)?;
            subqueries.push((self.subqueries[index].0.clone(), relation));
        }
        self.tree = self.shared.len() + self.subqueries.len();
        let path = Path::root("root");
        let root = self.relation(&plan.root, &path, 0)?;
        let metadata = plan.metadata.iter().map(|m| (m.key.clone(), m.value.clone())).collect();
        let schema = Schema::new_with_metadata(root.schema.fields().clone(), metadata);
        Ok(Plan { root: Relation { schema: Arc::new(schema), ..root }, subqueries, shared })
    }

    /// Refuses trees that wait for each other.
    fn check_circles(&self) -> Result<()> {
        let mut readers = vec![Vec::new(); self.reads.len()];
        for (reader, read) in self.reads.iter().enumerate() {
            read.iter().for_each(|&tree| readers[tree].push(reader));
        }
        let mut waits: Vec<usize> = self.reads.iter().map(BTreeSet::len).collect();
        let mut ready: Vec<usize> = (0..waits.len()).filter(|&tree| waits[tree] == 0).collect();
        while let Some(tree) = ready.pop() {
            for &reader in &readers[tree] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.push(reader);
                }
            }
        }
        // Nothing reads the root, so it is never part of a circle itself.
        let trees = self.shared.len() + self.subqueries.len();
        match (0..trees).find(|&tree| waits[tree] > 0) {
            None => Ok(()),
            Some(tree) => {
                let path = match tree.checked_sub(self.shared.len()) {
                    None => Path::root_at("shared", tree),
                    Some(index) => Path::root_at("subqueries", index),
                };
                Err(path.wrong("it waits for itself: shared sub-plans and sub-queries read each other in a circle"))
            }
        }
    }

    fn table(&self, table: &proto::Table, path: &Path<'_>) -> Result<(TableName, Arc<dyn Table>)> {
        let schema = types::schema(&table.fields, path)?;
        let origin = self.origin(table, &schema, path)?;
        let found = match &origin {
            TableOrigin::Named(parts) => match self.catalog.table(parts)? {
                Some(table) => table,
                None if self.catalog.view(parts)?.is_some() => {
                    return Err(path.wrong(format!("{} is a view; a plan reads tables", parts.join("."))));
                }
                None => return Err(path.wrong(format!("there is no table {}", parts.join(".")))),
            },
            TableOrigin::Files { path: files, format, options } => {
                self.catalog.path_table(files, format.as_deref(), options).map_err(|e| path.locate(e))?
            }
            TableOrigin::Splits(splits) => self.catalog.split_table(splits, &schema).map_err(|e| path.locate(e))?,
            TableOrigin::Function { name, arguments } => {
                let called = self.catalog.table_function(name, arguments).map_err(|e| path.locate(e))?;
                called.ok_or_else(|| path.wrong(format!("there is no table function {name}")))?
            }
        };
        check_columns(&schema, &found.schema(), path)?;
        Ok((TableName::of(origin), found))
    }

    fn origin(&self, table: &proto::Table, schema: &Schema, path: &Path<'_>) -> Result<TableOrigin> {
        use proto::table::Origin;
        Ok(match &table.origin {
            Some(Origin::Named(named)) => TableOrigin::Named(named.parts.clone()),
            Some(Origin::Files(files)) => TableOrigin::Files {
                path: files.path.clone(),
                format: (!files.format.is_empty()).then(|| files.format.clone()),
                options: files.options.iter().map(|o| (o.key.clone(), o.value.clone())).collect(),
            },
            Some(Origin::Splits(splits)) => TableOrigin::Splits(file_splits(splits, schema, path)?),
            Some(Origin::Function(function)) => {
                let arguments = function.arguments.iter().enumerate().map(|(i, literal)| {
                    let path = path.item("arguments", i);
                    let data_type = types::data_type(literal.r#type.as_ref(), &path)?;
                    let value = value::scalar(&literal.value, &data_type, &path.field("value"))?;
                    Ok(Constant { value, data_type })
                });
                TableOrigin::Function { name: function.name.clone(), arguments: arguments.collect::<Result<_>>()? }
            }
            None => return Err(path.wrong("the table's origin is missing")),
        })
    }
}

/// Parts of files, of which the last columns are given by values of their types.
fn file_splits(given: &proto::FileSplits, schema: &Schema, path: &Path<'_>) -> Result<FileSplits> {
    let partition_columns = given.partition_columns as usize;
    let Some(stored) = schema.fields().len().checked_sub(partition_columns) else {
        return Err(path.wrong(format!("{partition_columns} partition columns of {}", schema.fields().len())));
    };
    let partitions = &schema.fields()[stored..];
    let mut splits = Vec::with_capacity(given.splits.len());
    for (index, split) in given.splits.iter().enumerate() {
        let path = path.item("splits", index);
        if split.partition_values.len() != partition_columns {
            return Err(path
                .wrong(format!("{} values for {partition_columns} partition columns", split.partition_values.len())));
        }
        let values = split.partition_values.iter().zip(partitions).enumerate();
        let values = values
            .map(|(i, (value, field))| value::scalar(value, field.data_type(), &path.item("partition_values", i)));
        splits.push(FileSplit {
            path: split.path.clone(),
            start: split.start,
            length: split.length,
            partition_values: values.collect::<Result<_>>()?,
        });
    }
    Ok(FileSplits { splits, partition_columns, case_sensitive: given.case_sensitive, format: given.format.clone() })
}

/// Numbers the relations in pre-order: those of the root, then of shared sub-plans, then of sub-queries.
fn number(plan: &mut Plan) {
    fn visit(relation: &mut Relation, next: &mut usize) {
        relation.number = Some(*next);
        *next += 1;
        relation.children_mut().into_iter().for_each(|child| visit(child, next));
    }
    let mut next = 0;
    visit(&mut plan.root, &mut next);
    plan.shared.iter_mut().for_each(|relation| visit(relation, &mut next));
    plan.subqueries.iter_mut().for_each(|(_, relation)| visit(relation, &mut next));
}

/// The version field, read before the other fields are looked at: a newer plan is refused for what it is.
fn version(bytes: &Bytes) -> Result<u32, String> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Versioned {
        #[prost(uint32, tag = "1")]
        version: u32,
    }
    let versioned: Versioned =
        prost::Message::decode(bytes.clone()).map_err(|e| format!("the bytes are no plan: {e}"))?;
    Ok(versioned.version)
}

/// Refuses a table whose columns are not those that the sender believes.
fn check_columns(believed: &Schema, found: &Schema, path: &Path<'_>) -> Result<()> {
    if believed.fields().len() != found.fields().len() {
        return Err(path.wrong(format!(
            "the plan was made for {} columns, the table has {}",
            believed.fields().len(),
            found.fields().len()
        )));
    }
    for (index, (believed, found)) in believed.fields().iter().zip(found.fields()).enumerate() {
        if believed.name() != found.name() || !check::agree(believed.data_type(), found.data_type()) {
            return Err(path.item("fields", index).wrong(format!(
                "the plan was made for a column {} of type {}, the table's is {} of type {}",
                believed.name(),
                believed.data_type(),
                found.name(),
                found.data_type()
            )));
        }
    }
    Ok(())
}

/// The enum value of a number; unknown ones are refused, as is none.
fn known<E: TryFrom<i32>>(number: i32, name: &str, path: &Path<'_>) -> Result<E> {
    E::try_from(number)
        .map_err(|_| path.wrong(format!("{name} has no value {number} in version {VERSION} of the format")))
}

/// An ordinal below `count`.
fn ordinal(number: u32, count: usize, of: &str, path: &Path<'_>) -> Result<usize> {
    match usize::try_from(number) {
        Ok(index) if index < count => Ok(index),
        _ => Err(path.wrong(format!("{of} {number} of {count}"))),
    }
}
