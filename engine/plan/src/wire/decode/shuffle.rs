//! The file of a shuffle: only at the top, with a partitioning that every row has a place in.

use arrow::datatypes::DataType;
use plasmon_core::Result;
use plasmon_core::expression::{Kind, Scalar, SortKey, has_murmur3};
use plasmon_core::operators::shuffle_write::{SHUFFLE_PARTITIONS_MAX, SHUFFLE_WRITE_TYPES};
use proto::shuffle_write::Partitioning as Given;

use super::expression::Scope;
use super::relation::columns;
use super::{Decoder, check};
use crate::ir::{Node, Partitioning, ShuffleWrite};
use crate::path::Path;
use crate::wire::proto;

/// The depth of what a tree's top is made of.
const TOP: usize = 1;

impl Decoder<'_> {
    pub(super) fn shuffle_write(
        &mut self,
        given: &proto::ShuffleWrite,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<(Node, Vec<DataType>)> {
        if depth != TOP || self.tree != self.shared.len() + self.subqueries.len() {
            return Err(path.refuse("a shuffle is written below the root"));
        }
        let input = self.relation(&given.input, &path.field("input"), depth)?;
        let partitions = given.partitions as usize;
        if partitions == 0 || partitions > SHUFFLE_PARTITIONS_MAX {
            return Err(path.refuse(format!("{partitions} partitions; 1 to {SHUFFLE_PARTITIONS_MAX} are")));
        }
        if given.path.is_empty() {
            return Err(path.wrong("the path of the file is missing"));
        }
        let columns = columns(&input);
        let partitioning = match &given.partitioning {
            None => return Err(path.wrong("the partitioning is missing")),
            Some(Given::Single(_)) => Partitioning::Single,
            Some(Given::RoundRobinStart(start)) => Partitioning::RoundRobin(*start),
            Some(Given::Partition(partition)) => {
                let path = path.field("partition");
                let partition = self.expression(partition, Scope::over(&columns), &path)?;
                check::of_type(&partition, &DataType::Int32, &path)?;
                Partitioning::Computed(partition)
            }
            Some(Given::Hash(hash)) => {
                let path = path.field("hash");
                let keys = self.expressions(&hash.keys, Scope::over(&columns), &path, "keys")?;
                for (index, key) in keys.iter().enumerate() {
                    if !has_murmur3(&key.data_type) {
                        return Err(path.item("keys", index).refuse(format!("Spark's hash of {}", key.data_type)));
                    }
                }
                Partitioning::Hash(keys)
            }
            Some(Given::Range(range)) => {
                let path = path.field("range");
                let keys = self.sort_keys(&range.keys, Scope::over(&columns), &path, "keys")?;
                if keys.is_empty() {
                    return Err(path.wrong("ranges without keys"));
                }
                let bounds = self.bounds(&range.bounds, &keys, &path)?;
                if bounds.len() >= partitions {
                    return Err(path.wrong(format!("{} bounds between {partitions} partitions", bounds.len())));
                }
                Partitioning::Range { keys, bounds }
            }
        };
        let write = ShuffleWrite { partitioning, partitions, path: given.path.clone() };
        Ok((Node::ShuffleWrite { input: Box::new(input), write }, SHUFFLE_WRITE_TYPES.to_vec()))
    }

    /// Bounds of ranges: constants of the types of the keys.
    fn bounds(&mut self, rows: &[proto::Row], keys: &[SortKey], path: &Path<'_>) -> Result<Vec<Vec<Scalar>>> {
        let mut bounds = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let path = path.item("bounds", index);
            let values = self.expressions(&row.values, Scope::over(&[]), &path, "values")?;
            if values.len() != keys.len() {
                return Err(path.wrong(format!("{} values for {} keys", values.len(), keys.len())));
            }
            let mut bound = Vec::with_capacity(keys.len());
            for (column, (value, key)) in values.iter().zip(keys).enumerate() {
                let path = path.item("values", column);
                check::of_type(value, &key.expression.data_type, &path)?;
                let Kind::Literal(value) = &value.kind else { return Err(path.wrong("a bound is a constant")) };
                bound.push(value.clone());
            }
            bounds.push(bound);
        }
        Ok(bounds)
    }
}
