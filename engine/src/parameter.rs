//! Values of `$1`, `$2` … in a statement.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringArray, UInt64Array,
};
use plasmon_core::{Error, Result};

/// One value of a statement's parameter, of any Arrow type.
///
/// ```
/// use plasmon::{Config, Parameter, Session};
///
/// let session = Session::new(Config::default())?;
/// let sql = "SELECT value FROM generate_series(1, 100) WHERE value BETWEEN $1 AND $2";
/// let batches = session.sql_with(sql, &[Parameter::from(10), Parameter::from(19)])?.collect()?;
/// assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 10);
/// # Ok::<(), plasmon::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Parameter(ArrayRef);

impl Parameter {
    /// The one value of an array of length 1: for dates, decimals, lists and every other type.
    pub fn new(value: ArrayRef) -> Result<Self> {
        match value.len() {
            1 => Ok(Parameter(value)),
            other => Err(Error::user(format!("a parameter is one value, not {other}"))),
        }
    }

    /// NULL.
    pub fn null() -> Self {
        Parameter(Arc::new(NullArray::new(1)))
    }

    /// A date by its days since 1970-01-01.
    pub fn date(days: i32) -> Self {
        Parameter(Arc::new(Date32Array::from(vec![days])))
    }

    pub(crate) fn array(&self) -> ArrayRef {
        self.0.clone()
    }
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Parameter(Arc::new(Int64Array::from(vec![value])))
    }
}

impl From<i32> for Parameter {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<u64> for Parameter {
    fn from(value: u64) -> Self {
        Parameter(Arc::new(UInt64Array::from(vec![value])))
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Self {
        Parameter(Arc::new(Float64Array::from(vec![value])))
    }
}

impl From<bool> for Parameter {
    fn from(value: bool) -> Self {
        Parameter(Arc::new(BooleanArray::from(vec![value])))
    }
}

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Parameter(Arc::new(StringArray::from(vec![value])))
    }
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        value.as_str().into()
    }
}

impl<T: Into<Parameter>> From<Option<T>> for Parameter {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Parameter::null, Into::into)
    }
}
