//! Functions that an embedder registers: a scalar function over Arrow arrays, an aggregate by the engine's own trait.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, not_impl_err};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarUDF, Signature, Volatility, create_udf,
};
use datafusion_functions_aggregate_common::accumulator::{AccumulatorArgs, StateFieldsArgs};
use plasmon_core::operators::aggregate::CustomAggregate;
use plasmon_core::{Error, Result};

use super::AggregateCall;
use crate::error::into_datafusion;

/// The body of a scalar function: arrays of equal length in, one array of that length out.
pub type ScalarBody = dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync;

/// Name, argument types, result type and body as the planner library's function. Equal arguments must give equal results.
pub(super) fn scalar(name: &str, arguments: &[DataType], result: DataType, body: Arc<ScalarBody>) -> ScalarUDF {
    let invoke = move |values: &[ColumnarValue]| -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(values)?;
        Ok(ColumnarValue::Array(body(&arrays).map_err(into_datafusion)?))
    };
    create_udf(name, arguments.to_vec(), result, Volatility::Immutable, Arc::new(invoke))
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
        let signature = Signature::exact(function.argument_types(), Volatility::Immutable);
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
