//! A plan → bytes.

mod expression;
mod function;
mod relation;
mod types;
mod value;

use std::sync::Arc;

use plasmon_core::expression::ScalarSlot;
use plasmon_core::table::{FileSplit, FileSplits, Table};
use plasmon_core::{Error, Result};
use prost::Message as _;

use super::{VERSION, proto};
use crate::ir::{Plan, TableName, TableOrigin};

/// The bytes of a plan; see the module's documentation. What has no form in the format (a plan that nests too deeply) is refused.
pub fn encode(plan: &Plan) -> Result<Vec<u8>> {
    crate::stack::with_room(true, || encode_here(plan))
}

fn encode_here(plan: &Plan) -> Result<Vec<u8>> {
    let mut encoder = Encoder {
        slots: plan.subqueries.iter().map(|(slot, _)| slot.clone()).collect(),
        tables: Vec::new(),
        version: 1,
    };
    let shared = plan.shared.iter().map(|r| encoder.relation(r, 0)).collect::<Result<_>>()?;
    let subqueries = plan.subqueries.iter().map(|(_, r)| encoder.relation(r, 0)).collect::<Result<_>>()?;
    let root = encoder.relation(&plan.root, 0)?;
    let mut metadata = types::key_values(plan.root.schema.metadata());
    metadata.sort_by(|a, b| a.key.cmp(&b.key));
    let version = encoder.version;
    let tables = encoder.tables.into_iter().map(|(_, table)| table).collect();
    Ok(proto::Plan { version, tables, shared, subqueries, root, metadata }.encode_to_vec())
}

struct Encoder {
    /// Slots of the sub-queries, in order.
    slots: Vec<Arc<ScalarSlot>>,
    tables: Vec<(Arc<dyn Table>, proto::Table)>,
    /// The lowest one that has all that was written.
    version: u32,
}

impl Encoder {
    /// The ordinal of a table, which is written when it is met for the first time.
    fn table(&mut self, name: &TableName, table: &Arc<dyn Table>) -> Result<u32> {
        let known = self.tables.iter().position(|(known, _)| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(table)));
        let index = match known {
            Some(index) => index,
            None => {
                if matches!(name.origin, TableOrigin::Splits(_)) {
                    self.version = VERSION;
                }
                let fields = types::fields(table.schema().fields())?;
                self.tables.push((table.clone(), proto::Table { origin: Some(origin(&name.origin)?), fields }));
                self.tables.len() - 1
            }
        };
        u32::try_from(index).map_err(|_| Error::unsupported("so many tables in the wire format of plans"))
    }

    /// The ordinal of a sub-query.
    fn slot(&self, slot: &Arc<ScalarSlot>) -> Result<u32> {
        let index = self.slots.iter().position(|known| Arc::ptr_eq(known, slot));
        index.map(ordinal).unwrap_or_else(|| Err(Error::internal("a plan reads a sub-query that it does not have")))
    }
}

fn origin(origin: &TableOrigin) -> Result<proto::table::Origin> {
    use proto::table::Origin;
    Ok(match origin {
        TableOrigin::Named(parts) => Origin::Named(proto::NamedTable { parts: parts.clone() }),
        TableOrigin::Files { path, format, options } => Origin::Files(proto::FileTable {
            path: path.clone(),
            format: format.clone().unwrap_or_default(),
            options: types::key_values(options.iter().map(|(k, v)| (k, v))),
        }),
        TableOrigin::Splits(splits) => Origin::Splits(file_splits(splits)?),
        TableOrigin::Function { name, arguments } => {
            let arguments = arguments.iter().map(|constant| {
                let (data_type, value) = (types::data_type(&constant.data_type)?, value::scalar(&constant.value)?);
                Ok(proto::Literal { r#type: Some(data_type), value })
            });
            let arguments = arguments.collect::<Result<_>>()?;
            Origin::Function(proto::TableFunction { name: name.clone(), arguments })
        }
    })
}

fn file_splits(splits: &FileSplits) -> Result<proto::FileSplits> {
    let split = |split: &FileSplit| {
        Ok(proto::FileSplit {
            path: split.path.clone(),
            start: split.start,
            length: split.length,
            partition_values: split.partition_values.iter().map(value::scalar).collect::<Result<_>>()?,
        })
    };
    Ok(proto::FileSplits {
        splits: splits.splits.iter().map(split).collect::<Result<_>>()?,
        partition_columns: ordinal(splits.partition_columns)?,
        case_sensitive: splits.case_sensitive,
        format: splits.format.clone(),
    })
}

/// An ordinal in 32 bits.
fn ordinal(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| Error::unsupported("an ordinal of more than 32 bits in the wire format of plans"))
}
