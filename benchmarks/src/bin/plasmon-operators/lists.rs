//! An aggregate from outside whose state is all its values: their list.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Builder, ListBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use plasmon_core::Result;
use plasmon_core::operators::aggregate::{CustomAccumulator, CustomAggregate};

#[derive(Debug)]
pub(crate) struct Lists;

#[derive(Default)]
struct ListsState {
    lists: Vec<Vec<i64>>,
    /// Items that there is room for.
    room: usize,
}

pub(crate) fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

impl CustomAggregate for Lists {
    fn name(&self) -> &str {
        "lists"
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![list_type()]
    }

    fn argument_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn create(&self) -> Result<Box<dyn CustomAccumulator>> {
        Ok(Box::new(ListsState::default()))
    }
}

impl ListsState {
    fn extend(&mut self, group: usize, values: &[i64]) {
        let list = &mut self.lists[group];
        let before = list.capacity();
        list.extend_from_slice(values);
        self.room += list.capacity() - before;
    }
}

impl CustomAccumulator for ListsState {
    fn update(&mut self, arguments: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.lists.resize(group_count, Vec::new());
        let values = arguments[0].as_primitive::<Int64Type>().values();
        groups.iter().zip(values).for_each(|(&group, value)| self.extend(group, std::slice::from_ref(value)));
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], group_count: usize) -> Result<()> {
        self.lists.resize(group_count, Vec::new());
        let lists = states[0].as_list::<i32>();
        for (row, &group) in groups.iter().enumerate() {
            self.extend(group, lists.value(row).as_primitive::<Int64Type>().values());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(Int64Builder::new());
        for list in std::mem::take(self).lists {
            builder.values().append_slice(&list);
            builder.append(true);
        }
        Ok(Arc::new(builder.finish()))
    }

    fn memory_bytes(&self) -> usize {
        self.lists.capacity() * size_of::<Vec<i64>>() + self.room * size_of::<i64>()
    }
}
