//! Functions that an embedder registers: a scalar function over Arrow arrays, an aggregate by the engine's own trait.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, not_impl_err};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion_functions_aggregate_common::accumulator::{AccumulatorArgs, StateFieldsArgs};
use plasmon_core::operators::aggregate::CustomAggregate;
use plasmon_core::{Error, Result};

use super::AggregateCall;
use crate::error::into_datafusion;

/// The body of a scalar function: arrays of equal length in and that length, one array of it out. Without arguments only the length is given.
pub type ScalarBody = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// When equal arguments give equal results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Volatility {
    /// Always: calls over constants are made once, while the statement is planned; over a dictionary's values once each.
    Immutable,
    /// Within one statement.
    Stable,
    /// Never, or a call has effects: one result is asked for each row, whatever the arguments.
    Volatile,
}

/// A scalar function of an embedder's.
pub struct UserFunction {
    /// Its name in SQL, lower case.
    pub name: String,
    /// Types of its arguments; what is given is cast to them.
    pub arguments: Vec<DataType>,
    /// Type of its result.
    pub result: DataType,
    pub volatility: Volatility,
    pub body: Arc<ScalarBody>,
}

impl UserFunction {
    /// The planner library's function.
    pub(super) fn planned(self) -> ScalarUDF {
        let volatility = match self.volatility {
            Volatility::Immutable => datafusion_expr::Volatility::Immutable,
            Volatility::Stable => datafusion_expr::Volatility::Stable,
            Volatility::Volatile => datafusion_expr::Volatility::Volatile,
        };
        let signature = match self.arguments.is_empty() {
            true => Signature::nullary(volatility),
            false => Signature::exact(self.arguments.clone(), volatility),
        };
        ScalarUDF::from(UserScalar { function: self, signature })
    }
}

/// A user's scalar function as the planner library calls it.
pub(super) struct UserScalar {
    function: UserFunction,
    signature: Signature,
}

impl std::fmt::Debug for UserScalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserScalar").field("name", &self.function.name).finish_non_exhaustive()
    }
}

impl PartialEq for UserScalar {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && Arc::ptr_eq(&self.function.body, &other.function.body)
    }
}

impl Eq for UserScalar {}

impl Hash for UserScalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for UserScalar {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.function.result.clone())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let rows = call.number_rows;
        let arrays = call.args.into_iter().map(|a| a.into_array(rows)).collect::<Result<Vec<_>, _>>()?;
        Ok(ColumnarValue::Array((self.function.body)(&arrays, rows).map_err(into_datafusion)?))
    }
}

/// A user's aggregate as the planner library sees it: a name and types. It is never run by the library.
#[derive(Debug)]
pub(super) struct UserAggregate {
    name: String,
    signature: Signature,
    result: DataType,
    function: Arc<dyn CustomAggregate>,
}

impl UserAggregate {
    /// The planner library's function for `function`.
    pub(super) fn planned(function: Arc<dyn CustomAggregate>, result: DataType) -> AggregateUDF {
        let name = function.name().to_lowercase();
        let signature = Signature::exact(function.argument_types(), datafusion_expr::Volatility::Immutable);
        AggregateUDF::from(UserAggregate { name, signature, result, function })
    }

    /// The user's aggregate that a call names, if it names one.
    pub(super) fn of_call(call: &AggregateCall<'_>) -> Result<Option<Arc<dyn CustomAggregate>>> {
        let Some(user) = call.function.inner().downcast_ref::<UserAggregate>() else { return Ok(None) };
        if call.distinct || !call.order_by.is_empty() {
            return Err(Error::unsupported(format!(
                "DISTINCT or ORDER BY inside the user function {}; aggregate over SELECT DISTINCT … instead",
                user.name
            )));
        }
        Ok(Some(user.function.clone()))
    }
}

impl PartialEq for UserAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.function, &other.function)
    }
}

impl Eq for UserAggregate {}

impl Hash for UserAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for UserAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.result.clone())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        not_impl_err!("{} is run by the engine", self.name)
    }

    fn state_fields(&self, _: StateFieldsArgs) -> Result<Vec<arrow::datatypes::FieldRef>, DataFusionError> {
        not_impl_err!("{} is run by the engine", self.name)
    }
}
