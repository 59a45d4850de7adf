//! Constants of the planner library → scalars.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use plasmon_core::Result;
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{Expression, Scalar};

use crate::error::convert_error;

/// The value without its logical type, which is `value.data_type()`.
pub(crate) fn convert_scalar(value: &ScalarValue) -> Result<Scalar> {
    if value.is_null() {
        return Ok(Scalar::Null);
    }
    match value {
        ScalarValue::Utf8(Some(s)) | ScalarValue::Utf8View(Some(s)) | ScalarValue::LargeUtf8(Some(s)) => {
            Ok(Scalar::Bytes(Arc::from(s.as_bytes())))
        }
        ScalarValue::Dictionary(_, inner) | ScalarValue::RunEndEncoded(_, _, inner) => convert_scalar(inner),
        _ => {
            let array = value.to_array().map_err(convert_error)?;
            Ok(Scalar::from_column(&import_column(&array)?, 0))
        }
    }
}

/// A constant with its type.
pub(super) fn literal(value: &ScalarValue) -> Result<Expression> {
    Ok(Expression::literal(convert_scalar(value)?, value.data_type()))
}
