//! Every function against what Spark answered: the golden files beside this are written by `generate.py` from `cases.py`.
//!
//! Each line is run by itself, and all lines of a function that agree in their arguments but the first once more as one batch with nulls in between.

mod values;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};
use serde_json::Value;

use self::values::{array, data_type, render};
use crate::error::convert_error;
use crate::function::Registry;

/// One line of a golden file.
struct Case {
    function: String,
    types: Vec<DataType>,
    arguments: Vec<ArrayRef>,
    result: DataType,
    expected: Result<String, String>,
    /// All but the first argument: what cases of one batch have in common.
    group: String,
    line: String,
}

impl Case {
    fn read(line: &str) -> Case {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let given = parsed[1].as_array().expect("arguments");
        let name = |argument: &Value| argument[0].as_str().expect("a type").to_string();
        let types: Vec<DataType> = given.iter().map(|a| data_type(&name(a))).collect();
        let arguments = given.iter().zip(&types).map(|(a, t)| array(t, &[&a[1]])).collect();
        let result = data_type(parsed[2].as_str().expect("a type"));
        let expected = match parsed[3].get("error") {
            Some(message) => Err(message.as_str().expect("a message").to_string()),
            None => Ok(render(&array(&result, &[&parsed[3]]), 0)),
        };
        let common: Vec<String> = given.iter().skip(1).map(Value::to_string).collect();
        let function = parsed[0].as_str().expect("a name").to_string();
        let group = format!("{function} {} {} {result}", types[0], common.join(" "));
        Case { function, types, arguments, result, expected, group, line: line.to_string() }
    }
}

/// The function over these arguments.
fn call(function: &str, types: &[DataType], arguments: Vec<ColumnarValue>, rows: usize) -> Result<ArrayRef, String> {
    let udf = Registry::standard().scalar(function).ok_or(format!("there is no {function}"))?;
    let arg_fields: Vec<_> = types.iter().map(|t| Arc::new(Field::new("c", t.clone(), true))).collect();
    let scalars: Vec<Option<ScalarValue>> = arguments
        .iter()
        .map(|a| match a {
            ColumnarValue::Scalar(scalar) => Some(scalar.clone()),
            ColumnarValue::Array(array) if array.len() == 1 => ScalarValue::try_from_array(array, 0).ok(),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let scalar_arguments: Vec<Option<&ScalarValue>> = scalars.iter().map(Option::as_ref).collect();
    let message = |e| convert_error(e).to_string();
    let return_field = udf
        .return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &scalar_arguments })
        .map_err(message)?;
    let config_options = Arc::new(ConfigOptions::default());
    let given = ScalarFunctionArgs { args: arguments, arg_fields, number_rows: rows, return_field, config_options };
    udf.invoke_with_args(given).and_then(|v| v.into_array(rows)).map_err(message)
}

/// Why a case alone is not what Spark says.
fn difference(case: &Case) -> Option<String> {
    let arguments = case.arguments.iter().map(|a| ColumnarValue::Array(a.clone())).collect();
    let answer = call(&case.function, &case.types, arguments, 1);
    let answer = answer.map(|array| {
        assert_eq!(values::canonical(array.data_type()), values::canonical(&case.result), "{}", case.line);
        render(&array, 0)
    });
    match (&answer, &case.expected) {
        (Ok(answer), Ok(expected)) if answer == expected => None,
        (Err(answer), Err(expected)) if answer.trim() == expected => None,
        _ => Some(format!("{}\n    gives {answer:?}", case.line)),
    }
}

/// Differences of cases that are run as one batch: each value, a null, the next value.
fn batch_differences(cases: &[&Case]) -> Vec<String> {
    let first = cases[0];
    let null = new_null_array(&first.types[0], 1);
    let rows: Vec<&dyn arrow::array::Array> =
        cases.iter().flat_map(|case| [case.arguments[0].as_ref(), null.as_ref()]).collect();
    let column = arrow::compute::concat(&rows).expect("arrays of one type");
    let constants = first.arguments.iter().skip(1).map(|a| ScalarValue::try_from_array(a, 0).expect("a value"));
    let mut arguments = vec![ColumnarValue::Array(column)];
    arguments.extend(constants.map(ColumnarValue::Scalar));
    match call(&first.function, &first.types, arguments, cases.len() * 2) {
        Err(error) => vec![format!("{} in a batch: {error}", first.function)],
        Ok(answers) => cases
            .iter()
            .enumerate()
            .filter(|(index, case)| Some(render(&answers, index * 2)) != case.expected.clone().ok())
            .map(|(index, case)| format!("{}\n    gives {} in a batch", case.line, render(&answers, index * 2)))
            .collect(),
    }
}

fn check(golden: &str) {
    let cases: Vec<Case> = golden.lines().map(Case::read).collect();
    assert!(!cases.is_empty());
    let mut differences: Vec<String> = cases.iter().filter_map(difference).collect();
    if differences.is_empty() {
        let mut groups: HashMap<&str, Vec<&Case>> = HashMap::new();
        for case in cases.iter().filter(|c| c.expected.is_ok()) {
            groups.entry(&case.group).or_default().push(case);
        }
        differences = groups.values().flat_map(|cases| batch_differences(cases)).collect();
    }
    let shown: Vec<&str> = differences.iter().take(60).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), cases.len(), shown.join("\n"));
}

macro_rules! golden {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(include_str!(concat!(stringify!($name), ".txt")));
        })*
    };
}

golden!(cast_text_number, cast_text_time, cast_number, cast_time);
