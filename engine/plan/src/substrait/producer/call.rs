//! Calls of scalar functions under Substrait's names.

use arrow::datatypes::{DataType, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression, FunctionCall, Kind, Overflow, Scalar};
use substrait_prost as proto;
use substrait_prost::expression::RexType;
use substrait_prost::expression::literal::LiteralType;
use substrait_prost::function_argument::ArgType;

use super::expression::cast;
use super::{Producer, is_nullable, type_of};
use crate::path::Path;
use crate::substrait::functions::{Meaning, OWN, Row, SCALAR, STANDARD, abbreviation, extension_for};

/// Functions whose further whole-number arguments the standard extensions want in 32 bits.
const SHORT_NUMBERS: [&str; 6] = ["substring", "left", "right", "lpad", "rpad", "round"];

impl<'a> Producer<'a> {
    /// A call of what the table says of `meaning`, over written arguments of the types given.
    pub(super) fn meant(
        &mut self,
        meaning: Meaning,
        arguments: Vec<proto::Expression>,
        types: &[&DataType],
        (result, nullable): (&DataType, bool),
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        self.with_options(meaning, arguments, types, (result, nullable), Vec::new(), at)
    }

    /// As [`Producer::meant`], with options.
    pub(super) fn with_options(
        &mut self,
        meaning: Meaning,
        arguments: Vec<proto::Expression>,
        types: &[&DataType],
        (result, nullable): (&DataType, bool),
        options: Vec<proto::FunctionOption>,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let Some(row) = SCALAR.iter().find(|row| row.meaning == meaning) else {
            return Err(at.refuse(format!("{meaning:?}, which no extension has")));
        };
        let (urn, name) = named(row, &arguments, types, at)?;
        let function_reference = self.anchor(&urn, name);
        let value = |value| proto::FunctionArgument { arg_type: Some(ArgType::Value(value)) };
        Ok(called(proto::expression::ScalarFunction {
            function_reference,
            arguments: arguments.into_iter().map(value).collect(),
            options,
            output_type: Some(type_of(result, nullable, at)?),
        }))
    }

    /// A call of a library function.
    pub(super) fn function(
        &mut self,
        call: &FunctionCall,
        whole: &Expression,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let name = call.function.name();
        if let ("date_part", [part, value]) = (name, &call.arguments[..])
            && let Some(written) = self.extract(part, value, whole, schema, at)?
        {
            return Ok(written);
        }
        let mut arguments = call.arguments.clone();
        let meaning = match name {
            "||" | "concat" => Some(Meaning::Concat),
            _ => SCALAR.iter().map(|row| row.meaning).find(|m| matches!(m, Meaning::Library(l) if *l == name)),
        };
        let Some(meaning) = meaning else { return self.own(name, &arguments, whole, schema, at) };
        let row = SCALAR.iter().find(|row| row.meaning == meaning).map_or("", |row| row.name);
        if SHORT_NUMBERS.contains(&row) {
            arguments.iter_mut().skip(1).for_each(shorten);
        }
        match (row, arguments.len()) {
            ("round", 1) => arguments.push(Expression::literal(Scalar::Int64(0), DataType::Int32)),
            ("ltrim" | "rtrim" | "trim", 1) => {
                arguments.push(Expression::literal(Scalar::Bytes((*b" ").into()), DataType::Utf8));
            }
            // The standard forms have more arguments than the library's short ones.
            ("lpad" | "rpad", 2) => return self.own(name, &arguments, whole, schema, at),
            _ => {}
        }
        let options = match name {
            "||" => vec![option("null_handling", "ACCEPT_NULLS")],
            "concat" => vec![option("null_handling", "IGNORE_NULLS")],
            "substr" => vec![option("negative_start", "LEFT_OF_BEGINNING")],
            "round" => vec![option("rounding", "TIE_AWAY_FROM_ZERO")],
            _ => Vec::new(),
        };
        let types: Vec<&DataType> = arguments.iter().map(|a| &a.data_type).collect();
        let written = self.all(&arguments, schema, at)?;
        let nullable = is_nullable(whole, schema);
        self.with_options(meaning, written, &types, (&whole.data_type, nullable), options, at)
    }

    /// A function of our own extension.
    pub(super) fn own(
        &mut self,
        name: &str,
        arguments: &[Expression],
        whole: &Expression,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<proto::Expression> {
        let written = self.all(arguments, schema, at)?;
        let signature = signature(&written, arguments.iter().map(|a| &a.data_type), at)?;
        let function_reference = self.anchor(OWN, format!("{name}:{signature}"));
        let value = |value| proto::FunctionArgument { arg_type: Some(ArgType::Value(value)) };
        Ok(called(proto::expression::ScalarFunction {
            function_reference,
            arguments: written.into_iter().map(value).collect(),
            options: Vec::new(),
            output_type: Some(type_of(&whole.data_type, true, at)?),
        }))
    }

    /// `date_part('year', …)` as the standard's extract; parts that it counts otherwise stay the library's.
    fn extract(
        &mut self,
        part: &Expression,
        value: &Expression,
        whole: &Expression,
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<Option<proto::Expression>> {
        let Kind::Literal(Scalar::Bytes(part)) = &part.kind else { return Ok(None) };
        let (part, counts) = match String::from_utf8_lossy(part).to_lowercase().as_str() {
            "year" => ("YEAR", false),
            "month" => ("MONTH", true),
            "day" => ("DAY", true),
            "quarter" => ("QUARTER", true),
            _ => return Ok(None),
        };
        if !matches!(value.data_type, DataType::Date32 | DataType::Timestamp(_, None)) {
            return Ok(None);
        }
        let argument = self.expression(value, schema, at)?;
        let words = if counts { "req_req" } else { "req" };
        let signature = signature(std::slice::from_ref(&argument), [&value.data_type].into_iter(), at)?;
        let function_reference = self.anchor(&format!("{STANDARD}datetime"), format!("extract:{words}_{signature}"));
        let word = |word: &str| proto::FunctionArgument { arg_type: Some(ArgType::Enum(word.to_string())) };
        let mut arguments = vec![word(part)];
        if counts {
            arguments.push(word("ONE"));
        }
        arguments.push(proto::FunctionArgument { arg_type: Some(ArgType::Value(argument)) });
        let nullable = is_nullable(value, schema);
        let call = called(proto::expression::ScalarFunction {
            function_reference,
            arguments,
            options: Vec::new(),
            output_type: Some(type_of(&DataType::Int64, nullable, at)?),
        });
        // The library's part is of 32 bits.
        let call = cast(call, &whole.data_type, CastMode::Fail, nullable, at)?;
        Ok(Some(call))
    }

    fn all(&mut self, arguments: &[Expression], schema: &Schema, at: &Path<'_>) -> Result<Vec<proto::Expression>> {
        arguments.iter().enumerate().map(|(i, a)| self.expression(a, schema, &at.item("arguments", i))).collect()
    }
}

/// URN and compound name of a row for these arguments.
fn named(row: &Row, arguments: &[proto::Expression], types: &[&DataType], at: &Path<'_>) -> Result<(String, String)> {
    let extension = extension_for(row.extension, types.iter().copied().max_by_key(|t| t.is_decimal()));
    let types = match row.signature {
        "" => signature(arguments, types.iter().copied(), at)?,
        fixed => fixed.to_string(),
    };
    let urn = if extension.is_empty() { OWN.to_string() } else { format!("{STANDARD}{extension}") };
    Ok((urn, format!("{}:{types}", row.name)))
}

/// The abbreviations of the arguments' types; constants say their own, intervals among them.
fn signature<'t>(
    arguments: &[proto::Expression],
    types: impl Iterator<Item = &'t DataType>,
    at: &Path<'_>,
) -> Result<String> {
    let mut words = Vec::with_capacity(arguments.len());
    for (argument, data_type) in arguments.iter().zip(types) {
        let literal = match &argument.rex_type {
            Some(RexType::Literal(literal)) => literal.literal_type.as_ref(),
            _ => None,
        };
        words.push(match literal {
            Some(LiteralType::IntervalYearToMonth(_)) => "iyear",
            Some(LiteralType::IntervalDayToSecond(_)) => "iday",
            _ => abbreviation(&type_of(data_type, true, at)?),
        });
    }
    Ok(words.join("_"))
}

pub(super) fn called(call: proto::expression::ScalarFunction) -> proto::Expression {
    proto::Expression { rex_type: Some(RexType::ScalarFunction(call)) }
}

pub(super) fn option(name: &str, preference: &str) -> proto::FunctionOption {
    proto::FunctionOption { name: name.to_string(), preference: vec![preference.to_string()] }
}

/// What arithmetic says about overflow.
pub(super) fn overflow(overflow: Overflow, at: &Path<'_>) -> Result<Vec<proto::FunctionOption>> {
    match overflow {
        Overflow::Fail => Ok(vec![option("overflow", "ERROR")]),
        Overflow::Wrap => Ok(vec![option("overflow", "SILENT")]),
        Overflow::Null => Err(at.refuse("arithmetic that gives null on overflow")),
    }
}

/// A whole number in 32 bits.
fn shorten(argument: &mut Expression) {
    if argument.data_type != DataType::Int64 {
        return;
    }
    let fits = match &argument.kind {
        Kind::Literal(value) => value.is_null() || value.as_i64().is_some_and(|v| i32::try_from(v).is_ok()),
        _ => false,
    };
    if fits {
        argument.data_type = DataType::Int32;
    }
}
