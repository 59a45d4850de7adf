//! What a function of Spark's is to the planner library: a name for each mode, the type that it gives, and a body over whole columns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::DataFusionError;
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use plasmon_core::{Error, Result};

use super::columns::Call;
use crate::error::into_datafusion;

/// What happens to values that have no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// `spark.sql.ansi.enabled=false`: null, or what Java makes of them.
    Legacy,
    /// The query fails with Spark's error.
    Ansi,
    /// Null: `try_…`, and ANSI's inner steps that tolerate.
    Try,
}

impl Mode {
    /// `None` for a value that has no result, or the error that ANSI asks for.
    pub(super) fn absent<T>(self, error: impl FnOnce() -> Error) -> Result<Option<T>> {
        if self == Mode::Ansi { Err(error()) } else { Ok(None) }
    }
}

/// The type of the result for the types of the arguments.
pub(super) type ResultType = fn(&[DataType]) -> Result<DataType>;
/// Columns in, a column of as many rows out.
pub(super) type Body = fn(&Call) -> Result<ArrayRef>;

/// A function under one name, or one per mode.
pub(super) struct Definition {
    name: &'static str,
    has_modes: bool,
    result: ResultType,
    body: Body,
}

impl Definition {
    /// A function that does the same in all modes.
    pub(super) const fn new(name: &'static str, result: ResultType, body: Body) -> Self {
        Definition { name, has_modes: false, result, body }
    }

    /// The same with a name per mode.
    pub(super) const fn with_modes(self) -> Self {
        Definition { has_modes: true, ..self }
    }

    /// The planner library's functions for it.
    pub(super) fn planned(&self) -> Vec<Arc<ScalarUDF>> {
        let under = |suffix: &str, mode| {
            let (result, body) = (self.result, self.body);
            let signature = Signature::variadic_any(Volatility::Immutable);
            let name = format!("spark_{}{suffix}", self.name);
            Arc::new(ScalarUDF::from(SparkFunction { name, mode, result, body, signature }))
        };
        match self.has_modes {
            false => vec![under("", Mode::Legacy)],
            true => vec![under("", Mode::Legacy), under("_ansi", Mode::Ansi), under("_try", Mode::Try)],
        }
    }
}

/// One function in one mode.
pub(in crate::function) struct SparkFunction {
    name: String,
    mode: Mode,
    result: ResultType,
    body: Body,
    signature: Signature,
}

impl std::fmt::Debug for SparkFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SparkFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for SparkFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SparkFunction {}

impl Hash for SparkFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl SparkFunction {
    fn result_type(&self, arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        (self.result)(arguments).map_err(|error| match error {
            Error::User(message) => into_datafusion(Error::User(format!("{}: {message}", self.name))),
            other => into_datafusion(other),
        })
    }
}

impl ScalarUDFImpl for SparkFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        self.result_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        Ok(Arc::new(arrow::datatypes::Field::new(&self.name, self.result_type(&types)?, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let result = self.result_type(&types)?;
        let call = Call::new(arguments.args, arguments.number_rows, self.mode, result.clone())?;
        let array = (self.body)(&call).map_err(into_datafusion)?;
        if array.data_type() != &result {
            let message = format!("{} gave {} where {result} was said", self.name, array.data_type());
            return Err(into_datafusion(Error::internal(message)));
        }
        Ok(ColumnarValue::Array(array))
    }
}
