//! Bloom filters: a row group is left when a column has none of the constants of which a filter wants one.

use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescriptor;
use plasmon_core::expression::Scalar;
use plasmon_core::operators::runtime_filter::KeyFilter;
use plasmon_core::table::ScanRequest;

use super::super::native::Layout;
use super::super::scan::ScanContext;
use super::super::{ColumnPlace, Morsel, ParquetFile, guarded};
use super::compared_column;
use super::evidence::wanted_constants;
use crate::store::{ByteSource, ChunkSource};

/// Constants and keys that are looked up at most: of more, some is likely to seem present.
const CONSTANTS_MAX: usize = 64;

/// What Bloom filters may answer of a request: columns, each with the constants or keys of which a passing row has one.
#[derive(Debug)]
pub(in super::super) struct BloomTests(Vec<(usize, Vec<Scalar>)>);

impl BloomTests {
    /// Of the equalities, lists and few keys that columns with Bloom filters are compared with.
    pub(super) fn of(files: &[ParquetFile], request: &ScanRequest) -> Self {
        let has_filter = |column: usize| {
            files.iter().any(|file| {
                let leaf = file.flat_leaf(column);
                leaf.is_some_and(|leaf| {
                    file.row_groups().any(|group| group.column(leaf).bloom_filter_offset().is_some())
                })
            })
        };
        let constants = request.filters.iter().filter_map(|filter| {
            let constants = wanted_constants(filter).filter(|c| c.len() <= CONSTANTS_MAX)?;
            Some((compared_column(filter)?, constants.into_iter().cloned().collect()))
        });
        let keys = request.runtime_filters.iter();
        let keys = keys.filter_map(|target| Some((target.column, few_keys(target.filter.keys()?)?)));
        BloomTests(constants.chain(keys).filter(|(column, _)| has_filter(*column)).collect())
    }

    /// Whether a row of the morsel's row group may pass. A filter that cannot be read proves nothing.
    pub(in super::super) fn may_pass(
        &self,
        context: &ScanContext,
        morsel: &Morsel,
        source: &Arc<dyn ByteSource>,
    ) -> bool {
        self.0.iter().all(|(column, values)| {
            let Some((chunk, descriptor)) = stored_chunk(context, morsel, *column) else { return true };
            let Some(filter) = read(chunk, source) else { return true };
            values.iter().any(|value| may_contain(&filter, descriptor, value))
        })
    }
}

/// The keys, when they are few.
fn few_keys(keys: &KeyFilter) -> Option<Vec<Scalar>> {
    let KeyFilter::Bitmap { min, bits, .. } = keys else { return None };
    let mut few = Vec::new();
    for (index, &word) in bits.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            few.push(Scalar::Int64(min.wrapping_add(index as i64 * 64 + i64::from(left.trailing_zeros()))));
            left &= left - 1;
        }
        if few.len() > CONSTANTS_MAX {
            return None;
        }
    }
    Some(few)
}

/// The column's chunk, when it has a Bloom filter and stores the very values that the table shows: filters hash what is stored.
fn stored_chunk<'a>(
    context: &'a ScanContext,
    morsel: &Morsel,
    column: usize,
) -> Option<(&'a ColumnChunkMetaData, &'a ColumnDescriptor)> {
    let file = &context.files[morsel.file];
    let leaves = file.metadata.parquet_schema().columns();
    let leaf = file.flat_leaf(column)?;
    let chunk = file.metadata.metadata().row_group(morsel.group).column(leaf);
    let is_stored = file.columns[column] == ColumnPlace::Stored
        && Layout::of_type(&leaves[leaf], context.schema.field(column).data_type()).is_some();
    (is_stored && chunk.bloom_filter_offset().is_some()).then(|| (chunk, leaves[leaf].as_ref()))
}

fn read(chunk: &ColumnChunkMetaData, source: &Arc<dyn ByteSource>) -> Option<Sbbf> {
    let filter = guarded("", || Sbbf::read_from_column_chunk(chunk, &ChunkSource(source.clone()))).ok()??;
    (filter.num_blocks() > 0).then_some(filter)
}

/// Whether the value may be stored, of which filters hash the stored form.
fn may_contain(filter: &Sbbf, descriptor: &ColumnDescriptor, value: &Scalar) -> bool {
    let integer = match value {
        Scalar::Int64(v) => i128::from(*v),
        Scalar::UInt64(v) => i128::from(*v),
        Scalar::Int128(v) => *v,
        Scalar::Bytes(bytes) if descriptor.physical_type() == PhysicalType::BYTE_ARRAY => {
            return filter.check(bytes.as_ref());
        }
        // A comparison with null is true of no row.
        Scalar::Null => return false,
        // Floats that are equal may be stored differently.
        _ => return true,
    };
    match (descriptor.physical_type(), usize::try_from(descriptor.type_length())) {
        // Unsigned values are stored with the bits of signed ones.
        (PhysicalType::INT32, _) => filter.check(&(integer as i32)),
        (PhysicalType::INT64, _) => filter.check(&(integer as i64)),
        (PhysicalType::FIXED_LEN_BYTE_ARRAY, Ok(size @ 1..=16)) => filter.check(&integer.to_be_bytes()[16 - size..]),
        _ => true,
    }
}
