//! Operators that are functions: `||`, regular expression matches.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion_expr::Operator;
use plasmon_core::batch::arrow::{export_column, import_column};
use plasmon_core::batch::{Bitmap, Column, Selection, Values};
use plasmon_core::expression::{Expression, FunctionCall, Kind, ScalarFunction, native_or};
use plasmon_core::{Error, Result};

/// The expression of an operator that the IR has no node for.
pub fn operator(operator: Operator, left: Expression, right: Expression) -> Result<Expression> {
    let (function, data_type): (Arc<dyn ScalarFunction>, DataType) = match operator {
        Operator::StringConcat => {
            let data_type = left.data_type.clone();
            (Arc::new(Concatenation), data_type)
        }
        Operator::RegexMatch => (Arc::new(RegexMatch { case_insensitive: false, negated: false }), DataType::Boolean),
        Operator::RegexIMatch => (Arc::new(RegexMatch { case_insensitive: true, negated: false }), DataType::Boolean),
        Operator::RegexNotMatch => (Arc::new(RegexMatch { case_insensitive: false, negated: true }), DataType::Boolean),
        Operator::RegexNotIMatch => (Arc::new(RegexMatch { case_insensitive: true, negated: true }), DataType::Boolean),
        other => return Err(Error::unsupported(format!("operator {other}"))),
    };
    let arguments = vec![left, right];
    let function = native_or(function, &arguments, &data_type);
    Ok(Expression { kind: Kind::Function(FunctionCall { function, arguments }), data_type })
}

/// The operator of a function's name, if it is one of these.
pub fn operator_of_name(name: &str) -> Option<Operator> {
    Some(match name {
        "||" => Operator::StringConcat,
        "~" => Operator::RegexMatch,
        "~*" => Operator::RegexIMatch,
        "!~" => Operator::RegexNotMatch,
        "!~*" => Operator::RegexNotIMatch,
        _ => return None,
    })
}

/// Both sides as text arrays.
fn texts(arguments: &[Column]) -> Result<(ArrayRef, ArrayRef)> {
    Ok((export_column(&arguments[0], &DataType::Utf8View)?, export_column(&arguments[1], &DataType::Utf8View)?))
}

/// Whether a row counts.
fn counted(rows: usize, selection: Option<&Selection>) -> Vec<bool> {
    match selection {
        None => vec![true; rows],
        Some(selection) => {
            let mut counted = vec![false; rows];
            selection.positions().iter().for_each(|&p| counted[p as usize] = true);
            counted
        }
    }
}

#[derive(Debug)]
struct Concatenation;

impl ScalarFunction for Concatenation {
    fn name(&self) -> &str {
        "||"
    }

    fn evaluate(
        &self,
        arguments: &[Column],
        rows: usize,
        selection: Option<&Selection>,
        _: &DataType,
    ) -> Result<Column> {
        let validity = Bitmap::and_optional(arguments[0].validity(), arguments[1].validity());
        let (Values::View(left), Values::View(right)) = (arguments[0].flat_values(), arguments[1].flat_values()) else {
            return Err(Error::internal("|| over values that are no text"));
        };
        let counted = counted(rows, selection);
        let joined = (0..rows).map(|row| {
            if counted[row] && validity.as_ref().is_none_or(|v| v.get(row)) {
                [left.value(row), right.value(row)].concat()
            } else {
                Vec::new()
            }
        });
        Ok(Column::flat_with_validity(Values::View(plasmon_core::Views::from_values(joined)), validity))
    }
}

#[derive(Debug)]
struct RegexMatch {
    case_insensitive: bool,
    negated: bool,
}

impl ScalarFunction for RegexMatch {
    fn name(&self) -> &str {
        match (self.case_insensitive, self.negated) {
            (false, false) => "~",
            (true, false) => "~*",
            (false, true) => "!~",
            (true, true) => "!~*",
        }
    }

    fn evaluate(&self, arguments: &[Column], rows: usize, _: Option<&Selection>, _: &DataType) -> Result<Column> {
        let flags = if self.case_insensitive { "i" } else { "" };
        let (texts, patterns) = texts(arguments)?;
        let bad = |e: arrow::error::ArrowError| Error::user(format!("regular expression: {e}"));
        let matches: BooleanArray = match arguments[1].as_constant() {
            Some((_, true)) if rows > 0 => {
                let pattern = patterns.as_string_view().value(0);
                arrow::compute::regexp_is_match_scalar(
                    texts.as_string_view(),
                    pattern,
                    (!flags.is_empty()).then_some(flags),
                )
                .map_err(bad)?
            }
            _ => {
                let flags = (!flags.is_empty()).then(|| arrow::array::StringViewArray::from(vec![flags; rows]));
                arrow::compute::regexp_is_match(texts.as_string_view(), patterns.as_string_view(), flags.as_ref())
                    .map_err(bad)?
            }
        };
        let matches = if self.negated { arrow::compute::not(&matches)? } else { matches };
        debug_assert_eq!(matches.len(), rows);
        let validity = Bitmap::and_optional(arguments[0].validity(), arguments[1].validity());
        Ok(import_column(&(Arc::new(matches) as ArrayRef))?.with_validity(validity))
    }
}
