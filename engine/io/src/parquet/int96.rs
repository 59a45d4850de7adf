//! INT96, the timestamps of old: days and nanoseconds, of which 64 bits of nanoseconds hold only the years 1677 to 2262. Read as microseconds they all fit.

use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::SchemaDescriptor;

use super::reading_schema;

/// How columns are best read, with every INT96 in microseconds.
pub(super) fn in_microseconds(metadata: &ArrowReaderMetadata) -> Schema {
    let schema = reading_schema(metadata);
    let mut leaves = Leaves { descriptor: metadata.parquet_schema(), next: 0 };
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| leaves.field(field)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// The leaves of a file, which types are gone through in the order of.
struct Leaves<'a> {
    descriptor: &'a SchemaDescriptor,
    next: usize,
}

impl Leaves<'_> {
    fn field(&mut self, field: &FieldRef) -> FieldRef {
        let data_type = self.data_type(field.data_type());
        field.as_ref().clone().with_data_type(data_type).into()
    }

    fn data_type(&mut self, data_type: &DataType) -> DataType {
        match data_type {
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| self.field(field)).collect()),
            DataType::List(element) => DataType::List(self.field(element)),
            DataType::Map(entries, sorted) => DataType::Map(self.field(entries), *sorted),
            leaf => self.leaf(leaf),
        }
    }

    fn leaf(&mut self, data_type: &DataType) -> DataType {
        let leaf = self.next;
        self.next += 1;
        let is_int96 =
            leaf < self.descriptor.num_columns() && self.descriptor.column(leaf).physical_type() == PhysicalType::INT96;
        match data_type {
            DataType::Timestamp(_, zone) if is_int96 => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            other => other.clone(),
        }
    }
}
