//! What a connection tells about its database: objects, statistics, the driver itself.

pub(crate) mod info;
pub(crate) mod objects;
pub(crate) mod statistics;

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use plasmon::Relation;
use plasmon::core::matches_like;

use crate::connection::Link;
use crate::error::Result;

/// A table, view or temporary table, as metadata lists it.
struct Listed {
    name: String,
    kind: &'static str,
    relation: Relation,
}

/// Kinds of tables that there are.
const KINDS: [&str; 3] = ["TABLE", "VIEW", "LOCAL TEMPORARY"];

/// All that statements of the connection can name, sorted by name. A temporary table hides what has its name.
fn listed(link: &Link) -> Vec<Listed> {
    let temporary = link.temporary();
    let mut all: Vec<Listed> = link
        .session
        .relations()
        .into_iter()
        .filter(|(name, _)| !temporary.contains_key(name))
        .map(|(name, relation)| {
            let kind = if matches!(relation, Relation::View(_)) { KINDS[1] } else { KINDS[0] };
            Listed { name, kind, relation }
        })
        .collect();
    all.extend(temporary.into_iter().map(|(name, table)| Listed {
        name,
        kind: KINDS[2],
        relation: Relation::Table(table),
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether a name is LIKE the filter; no filter takes all. Names are lower case, and letters of the filter are taken as such.
fn passes(name: &str, filter: Option<&str>) -> bool {
    filter.is_none_or(|pattern| matches_like(&name.to_lowercase(), &pattern.to_lowercase()))
}

/// Lists over `values`: as many of them, one list after the other, as `lengths` say; `None` is a list that is null.
fn list(list_type: &DataType, values: ArrayRef, lengths: &[Option<usize>]) -> Result<ArrayRef> {
    let DataType::List(field) = list_type else {
        return Err(plasmon::Error::internal(format!("{list_type} is no list")).into());
    };
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
    let nulls = NullBuffer::from_iter(lengths.iter().map(Option::is_some));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
}

/// Rows of a struct type.
fn rows(struct_type: &DataType, columns: Vec<ArrayRef>) -> Result<ArrayRef> {
    let DataType::Struct(fields) = struct_type else {
        return Err(plasmon::Error::internal(format!("{struct_type} is no struct")).into());
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
}

/// The type of a column of a struct type.
fn child_type(struct_type: &DataType, column: usize) -> DataType {
    match struct_type {
        DataType::Struct(fields) => fields[column].data_type().clone(),
        _ => DataType::Null,
    }
}
