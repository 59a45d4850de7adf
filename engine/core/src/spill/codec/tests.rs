//! What is encoded comes back: every type and shape, and malformed bytes are refused.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder, StringViewBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, LargeStringArray, NullArray, RunArray,
    StructArray,
};
use arrow_schema::{DataType, Field};

use super::*;
use crate::batch::Views;
use crate::batch::arrow::{default_value, import_column, null_column};
use crate::expression::Scalar;
use crate::operators::random_rows::{Random, column, types as all_types};

fn round_trip(column: &Column) -> Column {
    let (types, mut bytes) = (Types::default(), Vec::new());
    encode(column, &types, &mut bytes).unwrap();
    decode(&bytes, &types).unwrap()
}

/// Values bit by bit, where `Scalar` would call them equal or different.
fn shown(column: &Column, row: usize) -> String {
    if !column.is_valid(row) {
        return "null".to_string();
    }
    match Scalar::from_column(column, row) {
        Scalar::Float32(v) => format!("{:x}", v.to_bits()),
        Scalar::Float64(v) => format!("{:x}", v.to_bits()),
        other => format!("{other:?}"),
    }
}

fn assert_same(read: &Column, written: &Column) {
    assert_eq!(read.len(), written.len());
    assert_eq!(read.physical(), written.physical());
    assert_eq!((read.bounds, read.is_ascii), (written.bounds, written.is_ascii));
    assert_eq!(read.as_constant().map(|c| c.1), written.as_constant().map(|c| c.1));
    assert!(!matches!(read.encoding(), Encoding::Dictionary { .. }));
    if !read.is_empty() {
        assert_eq!(read.validity().map(Bitmap::words), written.validity().map(Bitmap::words));
    }
    for row in 0..read.len() {
        assert_eq!(shown(read, row), shown(written, row), "row {row}");
    }
}

#[test]
fn every_type_in_every_shape_comes_back() {
    let mut random = Random(1);
    for data_type in all_types() {
        for len in [0, 1, 2, 7, 63, 64, 65, 1000] {
            for _ in 0..8 {
                let mut written = column(&mut random, &data_type, len);
                written.is_ascii = random.below(2) == 0;
                if random.below(2) == 0 {
                    written = written.with_bounds(Some(Bounds { min: i64::MIN, max: 17 }));
                }
                assert_same(&round_trip(&written), &written);
                let (at, rows) = (len / 3, len / 2);
                assert_same(&round_trip(&written.slice(at, rows)), &written.slice(at, rows));
            }
        }
    }
}

#[test]
fn nulls_come_back_even_of_no_rows() {
    for physical in PHYSICAL {
        for len in [0, 1, 100] {
            let null = Column::constant_null(default_value(physical), len);
            assert_same(&round_trip(&null), &null);
            if physical != Physical::Nested {
                assert_same(&round_trip(&null.flatten()), &null.flatten());
            }
        }
    }
    let lists = null_column(&DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), 5);
    assert_same(&round_trip(&lists), &lists);
}

#[test]
fn integers_take_the_bytes_that_they_need() {
    let bytes_of = |values: Vec<i64>| {
        let written = Column::flat(Values::Int64(values.into()));
        assert_same(&round_trip(&written), &written);
        let mut bytes = Vec::new();
        encode(&written, &Types::default(), &mut bytes).unwrap();
        bytes.len()
    };
    let head = bytes_of(vec![-5; 1000]);
    assert!(head < 40);
    for (span, width) in [(1, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (u32::MAX as i64, 4)] {
        let base = i64::MIN + 3;
        assert_eq!(bytes_of((0..1000).map(|i| base + if i == 500 { span } else { 0 }).collect()), head + width * 1000);
    }
    assert!(bytes_of((0..1000).map(|i| if i == 1 { 1 << 40 } else { 0 }).collect()) <= head + 8000);
    assert!(bytes_of((0..1000).map(|i| if i == 1 { i64::MAX } else { i64::MIN }).collect()) <= head + 8000);
}

#[test]
fn wide_integers_are_cut_to_what_they_hold() {
    for far in [0, 1, 300, 70_000, 1 << 40, (1 << 64) - 1, 1 << 64, i128::MAX] {
        for base in [0, i128::MIN, -(1 << 70)] {
            let values: Vec<i128> =
                (0..100).map(|i| if i % 3 == 0 { base } else { base.saturating_add(far) }).collect();
            let written = Column::flat(Values::Int128(values.into()));
            assert_same(&round_trip(&written), &written);
        }
    }
    let written = Column::flat(Values::Int128(vec![i128::MIN, i128::MAX].into()));
    assert_same(&round_trip(&written), &written);
    let written = Column::flat(Values::UInt64(vec![0, u64::MAX, 7].into()));
    assert_same(&round_trip(&written), &written);
}

#[test]
fn long_strings_come_back_without_their_neighbours() {
    let texts: Vec<String> = (0..500).map(|i| "ö".repeat(i % 90) + &i.to_string()).collect();
    let views = Views::from_values(texts.iter());
    let written = Column::flat(Values::View(views)).slice(100, 20);
    let read = round_trip(&written);
    assert_same(&read, &written);
    let Encoding::Flat(Values::View(views)) = read.encoding() else { panic!("views") };
    let long: usize = texts[100..120].iter().map(String::len).filter(|&len| len > 12).sum();
    assert_eq!(views.buffers.iter().map(|b| b.len()).sum::<usize>(), long);
    let short = Column::flat(Values::View(Views::from_values(["", "a", "zwölf bytes", "twelve bytes"].into_iter())));
    assert_same(&round_trip(&short), &short);
}

#[test]
fn views_of_nulls_may_point_anywhere() {
    let mut views = Views::from_values(["a long string that is there", "b"].into_iter());
    views.views = vec![views.views[0], u128::MAX, views.views[1]].into();
    let written =
        Column::flat_with_validity(Values::View(views), Some(Bitmap::from_bools([true, false, true].into_iter())));
    assert_same(&round_trip(&written), &written);
    let anything = Views { views: vec![u128::MAX].into(), buffers: [].into() };
    let null = Column::constant_null(Values::View(anything), 3);
    assert_same(&round_trip(&null), &null);
}

#[test]
fn dictionaries_are_written_as_codes_of_used_values() {
    let values: Vec<String> = (0..1000).map(|i| format!("a rather long value, number {i}")).collect();
    let dictionary = Arc::new(Dictionary::new(Values::View(Views::from_values(values.iter()))));
    let written = Column::dictionary((0..4000).map(|i| 990 + i % 7).collect(), dictionary.clone(), None);
    assert_same(&round_trip(&written), &written);
    let mut bytes = Vec::new();
    encode(&written, &Types::default(), &mut bytes).unwrap();
    assert!(bytes.len() < 4400, "{}", bytes.len());
    let few = Column::dictionary((0..5).map(|i| i * 3).collect(), dictionary, None);
    assert_same(&round_trip(&few), &few);
}

/// Arrays of the long tail of types, each with nulls and longer than what is used of it.
fn nested_arrays() -> Vec<ArrayRef> {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    let mut views = ListBuilder::new(StringViewBuilder::new());
    for row in 0..200 {
        for item in 0..row % 4 {
            map.keys().append_value(format!("key {item}"));
            map.values().append_option((item % 3 != 1).then_some(row * item));
            views.values().append_option((item % 3 != 2).then(|| "long enough for a buffer ".repeat(item as usize)));
        }
        map.append(row % 5 != 0).unwrap();
        views.append(row % 7 != 0);
    }
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter((0..200).map(|i| (i % 3 != 0).then_some(i))));
    let codes: DictionaryArray<Int8Type> = (0..200).map(|i| (i % 4 != 0).then_some(["x", "y", "z"][i % 3])).collect();
    let ends = Int32Array::from_iter_values((1..=50).map(|i| i * 4));
    let runs = RunArray::try_new(&ends, &LargeStringArray::from_iter_values((0..50).map(|i| i.to_string()))).unwrap();
    let fixed =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size((0..200u8).map(|i| (i % 9 != 0).then_some([i; 5])), 5);
    let (map, views): (ArrayRef, ArrayRef) = (Arc::new(map.finish()), Arc::new(views.finish()));
    let fields = vec![
        (Arc::new(Field::new("m", map.data_type().clone(), true)), map.clone()),
        (Arc::new(Field::new("v", views.data_type().clone(), true)), views.clone()),
        (Arc::new(Field::new("n", DataType::Int32, true)), numbers),
        (Arc::new(Field::new("d", codes.data_type().clone(), true)), Arc::new(codes) as ArrayRef),
        (Arc::new(Field::new("r", runs.data_type().clone(), true)), Arc::new(runs) as ArrayRef),
        (Arc::new(Field::new("0", DataType::Null, true)), Arc::new(NullArray::new(200)) as ArrayRef),
    ];
    vec![map, views, Arc::new(fixed.unwrap()), Arc::new(StructArray::from(fields))]
}

#[test]
fn nested_arrays_come_back_and_take_only_their_rows() {
    for array in nested_arrays() {
        for (at, len) in [(0, 200), (3, 0), (17, 1), (1, 199), (64, 77)] {
            let part = array.slice(at, len);
            let written = import_column(&part).unwrap();
            let read = round_trip(&written);
            assert_eq!(read.validity().map(Bitmap::words), written.validity().map(Bitmap::words));
            let Encoding::Flat(Values::Nested(read)) = read.encoding() else { panic!("nested") };
            assert_eq!(read, &part);
        }
        let size = |len| {
            let (types, mut bytes) = (Types::default(), Vec::new());
            encode(&import_column(&array.slice(100, len)).unwrap(), &types, &mut bytes).unwrap();
            bytes.len()
        };
        assert!(size(1) * 4 < size(100), "{}: {} {}", array.data_type(), size(1), size(100));
    }
}

#[test]
fn malformed_bytes_are_refused() {
    let mut random = Random(7);
    let mut columns: Vec<Column> = all_types().iter().map(|t| column(&mut random, t, 40)).collect();
    columns.extend(nested_arrays().iter().map(|a| import_column(&a.slice(10, 40)).unwrap()));
    for written in columns {
        let (types, mut bytes) = (Types::default(), Vec::new());
        encode(&written, &types, &mut bytes).unwrap();
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], &types).is_err(), "{len} of {} bytes", bytes.len());
        }
        assert!(decode(&[&bytes[..], &[0]].concat(), &types).is_err());
    }
}
