//! Spark's errors: the class in brackets and Spark's own sentences, so that the plugin can turn a message into Spark's exception.

use plasmon_core::Error;

/// What ANSI mode's errors end with.
const SUGGEST_LEGACY: &str = "If necessary set \"spark.sql.ansi.enabled\" to \"false\" to bypass this error.";

/// A text that is none of the type.
pub(super) fn invalid_input(value: &str, from: &str, to: &str) -> Error {
    Error::data(format!(
        "[CAST_INVALID_INPUT] The value {} of the type \"{from}\" cannot be cast to \"{to}\" because it is malformed. Correct the value as per the \
         syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead.",
        value
    ))
}

/// A number outside of the type's range; `value` as a literal of SQL.
pub(super) fn cast_overflow(value: &str, from: &str, to: &str) -> Error {
    Error::data(format!(
        "[CAST_OVERFLOW] The value {value} of the type \"{from}\" cannot be cast to \"{to}\" due to an overflow. Use `try_cast` to tolerate overflow and \
         return NULL instead."
    ))
}

/// A decimal of more digits than its type has.
pub(super) fn decimal_overflow(value: &str, precision: u8, scale: i8) -> Error {
    Error::data(format!(
        "[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION]  {value} cannot be represented as Decimal({precision}, {scale}). If necessary set \
         \"spark.sql.ansi.enabled\" to \"false\" to bypass this error, and return NULL instead."
    ))
}

/// Integer arithmetic that does not fit; `what` is Spark's sentence without its full stop, `instead` the function that gives null.
pub(super) fn arithmetic_overflow(what: &str, instead: Option<&str>) -> Error {
    let instead =
        instead.map_or(String::new(), |f| format!(" Use '{f}' to tolerate overflow and return NULL instead."));
    Error::data(format!("[ARITHMETIC_OVERFLOW] {what}.{instead} {SUGGEST_LEGACY}"))
}

/// A quotient by zero.
pub(super) fn divide_by_zero() -> Error {
    Error::data(format!(
        "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. {SUGGEST_LEGACY}"
    ))
}

/// A remainder by zero.
pub(super) fn remainder_by_zero() -> Error {
    Error::data(format!(
        "[REMAINDER_BY_ZERO] Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead. {SUGGEST_LEGACY}"
    ))
}

/// A position outside of an array.
pub(super) fn invalid_index(index: i64, length: usize) -> Error {
    Error::data(format!(
        "[INVALID_ARRAY_INDEX] The index {index} is out of bounds. The array has {length} elements. Use the SQL function `get()` to tolerate accessing \
         element at invalid index and return NULL instead."
    ))
}
