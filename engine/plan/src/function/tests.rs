//! Native functions against the library's own on random data: nulls, extremes, selections, dictionaries, constants.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_expr::ReturnFieldArgs;
use plasmon_core::batch::arrow::{export_column, import_column};
use plasmon_core::batch::{Batch, Column, Selection};
use plasmon_core::expression::{Expression, FunctionCall, Kind, Scalar, evaluate};

use super::{Registry, ScalarCall, scalar};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn maybe<T>(&mut self, value: T, nulls: bool) -> Option<T> {
        (!nulls || self.below(5) > 0).then_some(value)
    }
}

const ROWS: usize = 257;

const WORDS: [&str; 14] = [
    "",
    "a",
    " ",
    "  a b  ",
    "abcabc",
    "exactly12byt",
    "thirteen byte",
    "a much longer text than fits a view",
    "é",
    "naïve café",
    "日本語のテキスト",
    "aé🌏bc",
    "ABC, abc",
    "İstanbul straße",
];

/// Random values of a kind, with or without nulls; `wild` adds values that kernels may pass on.
fn array(kind: &DataType, random: &mut Random, nulls: bool, wild: bool) -> ArrayRef {
    macro_rules! numbers {
        ($array:ident, $of:expr) => {
            Arc::new($array::from(
                (0..ROWS)
                    .map(|_| {
                        let value = $of(random);
                        random.maybe(value, nulls)
                    })
                    .collect::<Vec<_>>(),
            )) as ArrayRef
        };
    }
    let stamp = |per_second: i64| {
        move |r: &mut Random| (r.next() as i64 % 8_000_000_000) * per_second + r.next() as i64 % per_second.max(2)
    };
    match kind {
        DataType::Utf8View => numbers!(StringViewArray, |r: &mut Random| r.pick(&WORDS)),
        DataType::Int64 => numbers!(Int64Array, |r: &mut Random| if wild && r.below(20) == 0 {
            r.next() as i64
        } else {
            r.below(12) as i64 - 3
        }),
        DataType::Float64 => numbers!(Float64Array, |r: &mut Random| match r.below(8) {
            0 =>
                r.pick(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.5, -0.5, 1.5, 2.5, f64::MAX, 1e-310]),
            _ => (r.next() as i64 >> 30) as f64 / 1000.0,
        }),
        DataType::Date32 => numbers!(Date32Array, |r: &mut Random| if wild && r.below(50) == 0 {
            r.next() as i32
        } else {
            r.next() as i32 % 1_000_000
        }),
        DataType::Timestamp(TimeUnit::Second, _) => numbers!(TimestampSecondArray, stamp(1)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbers!(TimestampMicrosecondArray, stamp(1_000_000)),
        DataType::Timestamp(_, _) => numbers!(TimestampNanosecondArray, |r: &mut Random| if wild && r.below(50) == 0 {
            r.pick(&[i64::MIN, i64::MAX])
        } else {
            stamp(1_000_000_000)(r)
        }),
        other => panic!("no values of {other}"),
    }
}

enum Argument {
    Column(DataType),
    Text(&'static str),
    Number(i64),
}

use Argument::{Column as Of, Number, Text};

fn expression(argument: &Argument, index: usize) -> Expression {
    match argument {
        Of(data_type) => Expression::column(index, data_type.clone()),
        Text(text) => Expression::literal(Scalar::Bytes(text.as_bytes().into()), DataType::Utf8View),
        Number(number) => Expression::literal(Scalar::Int64(*number), DataType::Int64),
    }
}

/// Both implementations of a call over the columns of a batch, for the selected rows.
fn compare(name: &str, arguments: &[Argument], random: &mut Random, wild: bool) {
    let registry = Registry::standard();
    let function = registry.scalar(name).expect("a function of the library");
    let expressions: Vec<Expression> = arguments.iter().enumerate().map(|(i, a)| expression(a, i)).collect();
    let fields: Vec<FieldRef> =
        expressions.iter().map(|e| Arc::new(Field::new("x", e.data_type.clone(), true)) as FieldRef).collect();
    let literals: Vec<_> = arguments
        .iter()
        .map(|a| match a {
            Of(_) => None,
            Text(text) => Some(datafusion_common::ScalarValue::Utf8View(Some(text.to_string()))),
            Number(number) => Some(datafusion_common::ScalarValue::Int64(Some(*number))),
        })
        .collect();
    let scalars: Vec<_> = literals.iter().map(Option::as_ref).collect();
    let return_field = function
        .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalars })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let call = || ScalarCall {
        function: &function,
        arguments: expressions.clone(),
        argument_fields: fields.clone(),
        return_field: return_field.clone(),
    };
    let library = Expression {
        kind: Kind::Function(FunctionCall { function: scalar::library(&call()), arguments: expressions.clone() }),
        data_type: return_field.data_type().clone(),
    };
    let native = scalar::adapt(call());
    for shape in 0..6u64 {
        let nulls = shape % 2 == 1;
        let columns: Vec<Column> = arguments
            .iter()
            .map(|a| match a {
                Of(data_type) if shape == 4 => dictionary(array(data_type, random, false, wild)),
                Of(data_type) => import_column(&array(data_type, random, nulls, wild)).expect("a column"),
                _ => Column::constant(plasmon_core::batch::Values::Int64(vec![0].into()), ROWS),
            })
            .collect();
        let mut batch = Batch::new(columns, ROWS);
        if shape >= 2 {
            let one_in = random.pick(&[2, 9, 60]);
            let positions: Vec<u16> = (0..ROWS as u16).filter(|_| random.below(one_in) == 0).collect();
            batch = batch.with_selection(Selection::new(positions));
        }
        let (expected, actual) = (evaluate(&library, &batch), evaluate(&native, &batch));
        match (expected, actual) {
            (Ok(expected), Ok(actual)) => {
                let (actual, expected) = (shown(&actual, &batch, &native), shown(&expected, &batch, &native));
                assert!(
                    actual.as_ref() == expected.as_ref(),
                    "{native} shape {shape}: {actual:?}, the library: {expected:?}"
                );
            }
            (Err(expected), Err(actual)) => assert_eq!(actual.to_string(), expected.to_string(), "{native}"),
            (expected, actual) => {
                panic!("{native}: the library gives {:?}, we {:?}", expected.map(|c| c.len()), actual.map(|c| c.len()))
            }
        }
    }
}

/// A dictionary of few values, each twice in it, so that rows outnumber them.
fn dictionary(values: ArrayRef) -> Column {
    let few = values.slice(0, 40);
    let all = concat(&[&few, &few, &few, &few, &few, &few, &few]).expect("concat");
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values.data_type().clone()));
    match cast(&all.slice(0, ROWS), &kind) {
        Ok(encoded) => import_column(&encoded).expect("a dictionary column"),
        Err(_) => import_column(&all.slice(0, ROWS)).expect("a column"),
    }
}

fn shown(column: &Column, batch: &Batch, of: &Expression) -> ArrayRef {
    let selected = match batch.selection() {
        Some(selection) => column.select(selection),
        None => column.clone(),
    };
    export_column(&selected, &of.data_type).expect("an array")
}

fn text() -> Argument {
    Of(DataType::Utf8View)
}

#[test]
fn text_functions() {
    let mut random = Random(7);
    for _ in 0..4 {
        for name in ["upper", "lower", "character_length", "octet_length", "btrim", "ltrim", "rtrim"] {
            compare(name, &[text()], &mut random, false);
        }
        for part in ["", "a", "ab", "é", "abca", "much longer", "text than fits a view", " "] {
            for name in ["starts_with", "ends_with", "contains", "strpos"] {
                compare(name, &[text(), Text(part)], &mut random, false);
            }
            compare("replace", &[text(), Text(part), Text("-*-")], &mut random, false);
            for name in ["btrim", "ltrim", "rtrim"] {
                compare(name, &[text(), Text(part)], &mut random, false);
            }
            compare("concat", &[text(), Text(part), text()], &mut random, false);
        }
        for name in ["strpos", "contains", "starts_with", "btrim"] {
            compare(name, &[text(), text()], &mut random, false);
        }
        for count in [i64::MIN, -40, -2, -1, 0, 1, 2, 3, 4, 5, 12, 13, 100, i64::MAX] {
            for name in ["left", "right", "substr"] {
                compare(name, &[text(), Number(count)], &mut random, false);
            }
            for start in [-5, 0, 1, 2, 3, 9, 14, 40] {
                compare("substr", &[text(), Number(start), Number(count)], &mut random, false);
            }
        }
        for wild in [false, true] {
            for name in ["left", "right", "substr"] {
                compare(name, &[text(), Of(DataType::Int64)], &mut random, wild);
            }
            compare("substr", &[text(), Of(DataType::Int64), Number(3)], &mut random, wild);
            compare("substr", &[text(), Number(2), Of(DataType::Int64)], &mut random, wild);
        }
    }
}

#[test]
fn temporal_functions() {
    let mut random = Random(11);
    let moments = [
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
    ];
    for moment in moments {
        for wild in [false, true] {
            for part in [
                "year",
                "YEAR",
                "isoyear",
                "quarter",
                "month",
                "week",
                "day",
                "doy",
                "dow",
                "isodow",
                "hour",
                "minute",
                "second",
                "millisecond",
                "microsecond",
                "epoch",
            ] {
                compare("date_part", &[Text(part), Of(moment.clone())], &mut random, wild);
            }
            if moment == DataType::Date32 {
                continue;
            }
            for part in
                ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"]
            {
                compare("date_trunc", &[Text(part), Of(moment.clone())], &mut random, wild);
            }
        }
    }
}

#[test]
fn numeric_functions() {
    let mut random = Random(13);
    for _ in 0..4 {
        for name in ["abs", "ceil", "floor", "round", "sqrt"] {
            compare(name, &[Of(DataType::Float64)], &mut random, false);
        }
    }
}
