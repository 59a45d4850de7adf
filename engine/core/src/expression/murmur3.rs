//! Spark's hash of rows, bit for bit: a column's hash is the seed of the next one; nulls leave it as it is; structs go field by field, lists element by element.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use plasmon_kernels::murmur3::{SPARK_SEED, SparkHash, fold_values, hash_bytes, hash_int};

use crate::batch::arrow::import_column;
use crate::batch::{Bitmap, Column, Dictionary, Encoding, Values};
use crate::error::{Error, Result};

/// Whether Spark hashes values of the type: of maps and of types that it does not have, there is no hash.
pub fn has_murmur3(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::Duration(TimeUnit::Microsecond)
        | DataType::Interval(IntervalUnit::YearMonth)
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => true,
        DataType::Dictionary(_, value) => has_murmur3(value),
        DataType::List(element) => has_murmur3(element.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| has_murmur3(field.data_type())),
        _ => false,
    }
}

/// The hash of each of `rows` rows of columns of these types, which [`has_murmur3`].
pub fn murmur3<'a>(columns: impl IntoIterator<Item = (&'a Column, &'a DataType)>, rows: usize) -> Result<Vec<i32>> {
    let mut hashes = vec![SPARK_SEED; rows];
    for (index, (column, data_type)) in columns.into_iter().enumerate() {
        match column.encoding() {
            // All rows have one seed yet: a value has one hash.
            Encoding::Dictionary { codes, dictionary } if index == 0 && dictionary.values.len() <= rows => {
                fold_codes(column, codes, dictionary, data_type, &mut hashes)?;
            }
            _ => fold_column(column, data_type, &mut hashes)?,
        }
    }
    Ok(hashes)
}

fn fold_codes(
    column: &Column,
    codes: &[u32],
    dictionary: &Dictionary,
    data_type: &DataType,
    hashes: &mut [i32],
) -> Result<()> {
    let mut of_values = vec![SPARK_SEED; dictionary.values.len()];
    fold_flat(&dictionary.values, None, data_type, &mut of_values)?;
    for (row, (hash, &code)) in hashes.iter_mut().zip(codes).enumerate() {
        if column.is_valid(row) {
            *hash = of_values[code as usize];
        }
    }
    Ok(())
}

fn fold_column(column: &Column, data_type: &DataType, hashes: &mut [i32]) -> Result<()> {
    let flat = column.flatten();
    match flat.encoding() {
        Encoding::Flat(values) => fold_flat(values, flat.validity(), data_type, hashes),
        other => Err(Error::internal(format!("a flat column is {other:?}"))),
    }
}

fn fold_flat(values: &Values, validity: Option<&Bitmap>, data_type: &DataType, hashes: &mut [i32]) -> Result<()> {
    let words = validity.map(Bitmap::words);
    let is_valid = |row: usize| validity.is_none_or(|validity| validity.get(row));
    let valid = |hashes: &mut [i32], hash: &dyn Fn(usize, i32) -> i32| {
        let rows = hashes.iter_mut().enumerate().filter(|(row, _)| is_valid(*row));
        rows.for_each(|(row, slot)| *slot = hash(row, *slot));
    };
    match values {
        Values::Boolean(bits) => valid(hashes, &|row, seed| hash_int(i32::from(bits.get(row)), seed)),
        Values::Int8(v) => fold_values(v, words, hashes),
        Values::Int16(v) => fold_values(v, words, hashes),
        Values::Int32(v) => fold_values(v, words, hashes),
        // Decimals of more digits hash as such however few bits they lie in.
        Values::Int64(v) if is_long_decimal(data_type) => {
            valid(hashes, &|row, seed| i128::from(v[row]).spark_hash(seed))
        }
        Values::Int64(v) => fold_values(v, words, hashes),
        Values::Int128(v) => fold_values(v, words, hashes),
        Values::Float32(v) => fold_values(v, words, hashes),
        Values::Float64(v) => fold_values(v, words, hashes),
        Values::View(views) => valid(hashes, &|row, seed| hash_bytes(views.value(row), seed)),
        Values::Nested(array) if data_type.is_null() => debug_assert!(array.len() == hashes.len()),
        Values::Nested(array) => {
            let node = Node::of(array)?;
            valid(hashes, &|row, seed| node.hash(row, seed));
        }
        other => return Err(Error::unsupported(format!("Spark's hash of {:?} values", other.physical()))),
    }
    Ok(())
}

fn is_long_decimal(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_long_decimal(value),
        DataType::Decimal128(precision, _) => *precision > 18,
        _ => false,
    }
}

/// Nested values, of which a row at a time is hashed.
enum Node {
    Leaf(Column, DataType),
    List(ArrayRef, Box<Node>),
    Struct(Option<NullBuffer>, Vec<Node>),
}

impl Node {
    fn of(array: &ArrayRef) -> Result<Node> {
        Ok(match array.data_type() {
            DataType::List(_) => Node::List(array.clone(), Box::new(Node::of(array.as_list::<i32>().values())?)),
            DataType::Struct(_) => {
                let fields = array.as_struct().columns().iter().map(Node::of).collect::<Result<_>>()?;
                Node::Struct(array.nulls().cloned(), fields)
            }
            other if has_murmur3(other) => Node::Leaf(import_column(array)?.flatten(), other.clone()),
            other => return Err(Error::unsupported(format!("Spark's hash of {other}"))),
        })
    }

    /// The hash of a row, whose fields and elements may still be null.
    fn hash(&self, row: usize, seed: i32) -> i32 {
        match self {
            Node::Leaf(column, data_type) => leaf(column, data_type, row, seed),
            Node::List(array, _) if array.is_null(row) => seed,
            Node::List(array, elements) => {
                let offsets = array.as_list::<i32>().value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                range.fold(seed, |seed, element| elements.hash(element, seed))
            }
            Node::Struct(nulls, _) if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => seed,
            Node::Struct(_, fields) => fields.iter().fold(seed, |seed, field| field.hash(row, seed)),
        }
    }
}

fn leaf(column: &Column, data_type: &DataType, row: usize, seed: i32) -> i32 {
    let Encoding::Flat(values) = column.encoding() else { return seed };
    if !column.is_valid(row) {
        return seed;
    }
    match values {
        Values::Boolean(bits) => hash_int(i32::from(bits.get(row)), seed),
        Values::Int8(v) => v[row].spark_hash(seed),
        Values::Int16(v) => v[row].spark_hash(seed),
        Values::Int32(v) => v[row].spark_hash(seed),
        Values::Int64(v) if is_long_decimal(data_type) => i128::from(v[row]).spark_hash(seed),
        Values::Int64(v) => v[row].spark_hash(seed),
        Values::Int128(v) => v[row].spark_hash(seed),
        Values::Float32(v) => v[row].spark_hash(seed),
        Values::Float64(v) => v[row].spark_hash(seed),
        Values::View(views) => hash_bytes(views.value(row), seed),
        // Of type null.
        _ => seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::physical_type;
    use crate::operators::random_rows::{self, Random};
    use arrow_array::{Int32Array, ListArray, StringArray, StructArray};
    use arrow_schema::Field;
    use std::sync::Arc;

    /// `SELECT hash(…)` of Spark 4.0.5.
    #[test]
    fn nested_values_hash_as_in_spark() {
        let numbers = Int32Array::from(vec![Some(1), None, Some(2), Some(1)]);
        let offsets = arrow_buffer::OffsetBuffer::new(vec![0, 3, 3, 4].into());
        let element = Arc::new(Field::new_list_field(DataType::Int32, true));
        let list: ArrayRef = Arc::new(ListArray::new(element, offsets, Arc::new(numbers), None));
        let columns: Vec<(Arc<Field>, ArrayRef)> = vec![
            (
                Arc::new(Field::new("a", DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![Some(1), None, Some(1)])),
            ),
            (
                Arc::new(Field::new("b", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![Some("y"), Some("y"), None])),
            ),
        ];
        let structs: ArrayRef = Arc::new(StructArray::from(columns));
        let hash = |array: &ArrayRef| {
            let column = import_column(array).unwrap();
            murmur3([(&column, array.data_type())], array.len()).unwrap()
        };
        let one = hash_int(1, SPARK_SEED);
        assert_eq!(hash(&list), [hash_int(2, one), SPARK_SEED, one]);
        assert_eq!(hash(&structs), [hash_bytes(b"y", one), hash_bytes(b"y", SPARK_SEED), one]);
    }

    #[test]
    fn encodings_and_widths_do_not_matter() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let types: Vec<DataType> = random_rows::types().into_iter().filter(has_murmur3).collect();
            let picked = [random.pick(&types), random.pick(&types)];
            let columns = picked.clone().map(|data_type| random_rows::column(&mut random, &data_type, 77));
            let plain: Vec<Column> =
                columns.iter().zip(&picked).map(|(c, t)| c.flatten().widen(physical_type(t))).collect();
            let hashes = murmur3(columns.iter().zip(&picked), 77).unwrap();
            assert_eq!(hashes, murmur3(plain.iter().zip(&picked), 77).unwrap(), "seed {seed}: {picked:?}");
            for row in [0, 76] {
                let alone: Vec<Column> = plain.iter().map(|column| column.slice(row, 1)).collect();
                assert_eq!(hashes[row], murmur3(alone.iter().zip(&picked), 1).unwrap()[0], "seed {seed}");
            }
        }
    }

    #[test]
    fn types_without_a_hash() {
        let map = DataType::Map(Arc::new(Field::new("entries", DataType::Null, false)), false);
        for data_type in [map, DataType::UInt8, DataType::Timestamp(TimeUnit::Second, None), DataType::Float16] {
            assert!(!has_murmur3(&data_type), "{data_type}");
        }
    }
}
