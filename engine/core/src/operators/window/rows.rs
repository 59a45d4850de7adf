//! The rows of one group in order, with their partitions and peers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::DataType;

use super::Shared;
use super::partition::{Argument, Collected, Group, Input};
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::expression::Scalar;
use crate::operators::sort::{KeyOrder, KeyParts, Keys, Layout};
use crate::pipeline::{CancelToken, TaskContext};

/// Rows sorted by partition and order key.
pub(super) struct SortedRows<'a> {
    input: Arc<Input>,
    collected: &'a Collected,
    /// Worker of each row …
    runs: Vec<u32>,
    /// … and its number there.
    rows: Vec<u32>,
    /// Starts of partitions, and the number of rows.
    pub(super) partitions: Vec<u32>,
    /// Starts of groups of rows with equal partition and order keys, and the number of rows.
    pub(super) peers: Vec<u32>,
    /// Collected columns in sorted order, once gathered.
    columns: RefCell<HashMap<usize, Column>>,
    /// Asked between the pieces of what takes long.
    pub(super) cancel: CancelToken,
}

impl<'a> SortedRows<'a> {
    /// Sorts a group.
    pub(super) fn new(group: Group, shared: &'a Shared, cancel: &CancelToken) -> Result<Self> {
        let collected = &shared.collected;
        let (runs, rows) = group.rows();
        let order: Vec<(usize, KeyOrder)> =
            collected.partition.iter().map(|&c| (c, KeyOrder::ANY)).chain(collected.order.iter().copied()).collect();
        let len = rows.len();
        let mut sorted = SortedRows {
            input: group.input.clone(),
            collected,
            runs,
            rows,
            partitions: vec![0, len as u32],
            peers: vec![0, len as u32],
            columns: RefCell::default(),
            cancel: cancel.clone(),
        };
        if !order.is_empty() {
            sorted.sort(&order)?;
        }
        Ok(sorted)
    }

    fn sort(&mut self, order: &[(usize, KeyOrder)]) -> Result<()> {
        let len = self.len();
        let columns = order
            .iter()
            .map(|(c, _)| self.input.columns[*c].gather(&self.runs, &self.rows))
            .collect::<Result<Vec<_>>>()?;
        let key = |from: usize, to: usize| {
            let keys = order[from..to]
                .iter()
                .zip(&columns[from..to])
                .map(|((c, o), column)| (column, &self.collected.types[*c], *o));
            KeyParts::new(keys, len)
        };
        let parts = key(0, order.len())?;
        let layout = Layout::new(&parts, &parts.stats()?);
        let mut keys = layout.encode(&parts)?;
        keys.sort(&self.cancel)?;
        let sorted = keys.rows(0, len);
        let peers = keys.group_starts(0);
        let partition_keys = self.collected.partition.len();
        if partition_keys > 0 {
            let partition = key(0, partition_keys)?;
            self.partitions = match layout.bits_from(partition.len()) {
                Some(order_bits) => keys.group_starts(order_bits),
                None => partition_starts(&partition, &sorted)?,
            };
        }
        self.peers = if partition_keys == order.len() { self.partitions.clone() } else { peers };
        self.runs = sorted.iter().map(|&row| self.runs[row as usize]).collect();
        self.rows = sorted.iter().map(|&row| self.rows[row as usize]).collect();
        Ok(())
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A collected column in sorted order.
    pub(super) fn column(&self, index: usize) -> Result<Column> {
        if let Some(known) = self.columns.borrow().get(&index) {
            return Ok(known.clone());
        }
        let column = self.input.columns[index].gather(&self.runs, &self.rows)?;
        self.columns.borrow_mut().insert(index, column.clone());
        Ok(column)
    }

    /// An argument's value for every row, and its type.
    pub(super) fn argument(&self, argument: &Argument) -> Result<(Column, DataType)> {
        match argument {
            Argument::Column(index) => Ok((self.column(*index)?, self.collected.types[*index].clone())),
            Argument::Constant(value, data_type) => {
                Ok((value.to_column(data_type, self.len())?.flatten(), data_type.clone()))
            }
        }
    }

    /// An argument that is the same for all rows.
    pub(super) fn constant(&self, argument: &Argument) -> Result<Scalar> {
        match argument {
            Argument::Constant(value, _) => Ok(value.clone()),
            Argument::Column(index) => Ok(Scalar::from_column(&self.column(*index)?, 0)),
        }
    }

    /// The one order key: its values in sorted order, its type and order.
    pub(super) fn order_key(&self) -> Result<(Column, &DataType, KeyOrder)> {
        let (index, order) = self.collected.order_key()?;
        Ok((self.column(index)?, &self.collected.types[index], order))
    }

    /// The rows with the function columns behind the first `payload` collected columns.
    pub(super) fn batches(&self, payload: usize, computed: &[Column], task: &TaskContext) -> Result<Vec<Batch>> {
        let step = task.config.batch_rows;
        let known = self.columns.borrow();
        (0..self.len())
            .step_by(step)
            .map(|start| {
                task.cancel.check()?;
                let end = (start + step).min(self.len());
                let input = (0..payload).map(|c| match known.get(&c) {
                    Some(column) => Ok(column.slice(start, end - start)),
                    None => self.input.columns[c].gather(&self.runs[start..end], &self.rows[start..end]),
                });
                let functions = computed.iter().map(|c| Ok(c.slice(start, end - start)));
                Ok(Batch::new(input.chain(functions).collect::<Result<Vec<_>>>()?, end - start))
            })
            .collect()
    }
}

/// Partition starts where keys are byte rows: the partition fields encoded apart and compared in sorted order.
fn partition_starts(parts: &KeyParts, order: &[u32]) -> Result<Vec<u32>> {
    let layout = Layout::new(parts, &parts.stats()?);
    let keys: Keys = layout.encode(parts)?.in_order(order.to_vec());
    Ok(keys.group_starts(0))
}
