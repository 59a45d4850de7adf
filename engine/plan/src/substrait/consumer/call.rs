//! Calls of scalar functions: by the table of standard functions, else by the function library's names.

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{ArithmeticOp, CastMode, CompareOp, Expression, Kind, Overflow, Scalar};
use substrait_prost as proto;
use substrait_prost::function_argument::ArgType;

use super::options::Options;
use super::{Consumer, result_as_stated};
use crate::function::{call_arithmetic, call_scalar, operator};
use crate::path::Path;
use crate::sql::{cast_to, same_type};
use crate::substrait::functions::{Declared, Meaning};
use datafusion_expr::Operator;

/// Arguments as they are stated: values, and words that choose what is done.
pub(super) struct Arguments {
    pub(super) values: Vec<Expression>,
    pub(super) words: Vec<String>,
}

impl<'a> Consumer<'a> {
    pub(super) fn arguments(
        &mut self,
        arguments: &'a [proto::FunctionArgument],
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Arguments> {
        let (mut values, mut words) = (Vec::with_capacity(arguments.len()), Vec::new());
        for (index, argument) in arguments.iter().enumerate() {
            let at = at.item("arguments", index);
            match &argument.arg_type {
                Some(ArgType::Value(value)) => values.push(self.expression(value, schema, &at)?),
                Some(ArgType::Enum(word)) => words.push(word.to_uppercase()),
                Some(ArgType::Type(_)) => return Err(at.refuse("a type as an argument")),
                None => return Err(at.wrong("an empty argument")),
            }
        }
        Ok(Arguments { values, words })
    }

    pub(super) fn scalar_function(
        &mut self,
        call: &'a proto::expression::ScalarFunction,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let declared = self.function(call.function_reference, at)?;
        let arguments = self.arguments(&call.arguments, schema, at)?;
        let stated = self.types.stated(call.output_type.as_ref(), at)?;
        let mut options = Options::new(&call.options);
        let meaning = declared.meaning().filter(|m| self.applies(*m, &declared));
        let value = match meaning {
            Some(meaning) => self.by_table(meaning, &declared, arguments, stated.as_ref(), &mut options, at)?,
            None => self.undefined(&declared, arguments, at)?,
        };
        options.finish(at)?;
        // Some repeat their arguments.
        if matches!(
            meaning,
            None | Some(Meaning::Between | Meaning::Coalesce | Meaning::Strict(_) | Meaning::Library(_))
        ) {
            self.spend(super::size(&value), at)?;
        }
        let stated = stated.filter(|_| !self.habits.types_are_careless);
        result_as_stated(value, stated, &declared.name, at)
    }

    /// A function that no standard extension has here: the library's, when the arguments are of the types that the plan declares.
    fn undefined(&self, declared: &Declared, arguments: Arguments, at: &Path<'_>) -> Result<Expression> {
        let types: Vec<&DataType> = arguments.values.iter().map(|v| &v.data_type).collect();
        if self.registry.scalar(&declared.name).is_some() && !declared.takes(types.iter().copied()) {
            let types: Vec<String> = types.iter().map(|t| t.to_string()).collect();
            let signature = declared.signature.as_deref().unwrap_or_default();
            return Err(at.wrong(format!("function {}:{signature} of ({})", declared.name, types.join(", "))));
        }
        self.library(&declared.name, arguments, at)
    }

    /// DataFusion writes its own functions without an extension; its `concat` skips nulls.
    fn applies(&self, meaning: Meaning, declared: &Declared) -> bool {
        declared.extension.is_some() || meaning != Meaning::Concat
    }

    fn by_table(
        &mut self,
        meaning: Meaning,
        declared: &Declared,
        arguments: Arguments,
        stated: Option<&DataType>,
        options: &mut Options<'_>,
        at: &Path<'_>,
    ) -> Result<Expression> {
        let Arguments { values, words } = arguments;
        let (name, count) = (&declared.name, values.len());
        let bad = || at.wrong(format!("{name} of {count} arguments"));
        let located = |e| at.locate(e);
        let one = |values: Vec<Expression>| <[Expression; 1]>::try_from(values).map_err(|_| bad());
        let two = |values: Vec<Expression>| <[Expression; 2]>::try_from(values).map_err(|_| bad());
        let boxed = |kind: fn(Box<Expression>) -> Kind, values| one(values).map(|[e]| boolean(kind(Box::new(e))));
        match meaning {
            Meaning::Compare(op) => {
                let [left, right] = two(values)?;
                self.comparison(op, left, right, at)
            }
            Meaning::And | Meaning::Or => logical(meaning, values, at),
            Meaning::Xor => two(values).map(|[left, right]| Expression::compare(CompareOp::NotEqual, left, right)),
            Meaning::AndNot => {
                two(values).map(|[left, right]| Expression::and(vec![left, boolean(Kind::Not(Box::new(right)))]))
            }
            Meaning::Not => boxed(Kind::Not, values),
            Meaning::IsNull => boxed(Kind::IsNull, values),
            Meaning::IsNotNull => boxed(Kind::IsNotNull, values),
            Meaning::IsBoolean { value, negated } => {
                let [operand] = one(values)?;
                Ok(boolean(Kind::IsBoolean { operand: Box::new(operand), value, negated }))
            }
            Meaning::Between => between(<[Expression; 3]>::try_from(values).map_err(|_| bad())?).map_err(located),
            Meaning::Arithmetic(op) => {
                if count == 1 && op == ArithmeticOp::Subtract {
                    return negate(one(values)?, Overflow::Fail);
                }
                let [left, right] = two(values)?;
                arithmetic(op, left, right, stated, options, at)
            }
            Meaning::Negate => {
                let overflow = options.overflow(at)?;
                negate(one(values)?, overflow)
            }
            Meaning::Like => like(values, options, at),
            Meaning::Coalesce => coalesce(values, at),
            Meaning::Extract => self.extract(values, words, at),
            Meaning::Strict(library) => self.strict(library, values, at),
            Meaning::Concat => match options.take("null_handling", &["ACCEPT_NULLS", "IGNORE_NULLS"], at)? {
                Some("IGNORE_NULLS") => self.library("concat", Arguments { values, words }, at),
                _ => {
                    let mut values = values.into_iter();
                    let first = values.next().ok_or_else(bad)?;
                    values.try_fold(first, |left, right| operator(Operator::StringConcat, left, right)).map_err(located)
                }
            },
            Meaning::Operator(op) => {
                let [left, right] = two(values)?;
                operator(op, left, right).map_err(located)
            }
            Meaning::Library(library) => {
                library_options(library, &values, options, at)?;
                self.library(library, Arguments { values, words }, at)
            }
        }
    }

    fn comparison(&self, op: CompareOp, left: Expression, right: Expression, at: &Path<'_>) -> Result<Expression> {
        if op == CompareOp::NotEqual && self.habits.not_like_is_not_equal && may_be_pattern(&right) {
            return Err(at.refuse("not_equal by DuckDB, which writes NOT LIKE so too, with what may be a pattern"));
        }
        let (left, right) = same_type(left, right).map_err(|e| at.locate(e))?;
        Ok(Expression::compare(op, left, right))
    }

    /// The library's function where no argument is null.
    fn strict(&self, library: &str, values: Vec<Expression>, at: &Path<'_>) -> Result<Expression> {
        let nulls = values.iter().map(|v| boolean(Kind::IsNull(Box::new(v.clone())))).collect();
        let furthest = self.library(library, Arguments { values, words: Vec::new() }, at)?;
        let data_type = furthest.data_type.clone();
        let null = Expression::literal(Scalar::Null, data_type.clone());
        let branches = vec![(logical(Meaning::Or, nulls, at)?, null)];
        Ok(Expression { kind: Kind::Case { branches, otherwise: Some(Box::new(furthest)) }, data_type })
    }

    /// A function by its name in the library.
    pub(super) fn library(&self, name: &str, arguments: Arguments, at: &Path<'_>) -> Result<Expression> {
        if name == "coalesce" {
            return coalesce(arguments.values, at);
        }
        let Some(function) = self.registry.scalar(name) else {
            return Err(at.refuse(format!("function {name}")));
        };
        if let Some(word) = arguments.words.first() {
            return Err(at.refuse(format!("function {name} with the word {word} as an argument")));
        }
        call_scalar(&function, arguments.values).map_err(|e| at.locate(e))
    }

    fn extract(&self, mut values: Vec<Expression>, words: Vec<String>, at: &Path<'_>) -> Result<Expression> {
        // Some producers write the part as a constant text.
        let word = match (words.first(), values.first().map(|v| &v.kind)) {
            (Some(word), _) => word.clone(),
            (None, Some(Kind::Literal(Scalar::Bytes(text)))) if values.len() == 2 => {
                let word = String::from_utf8_lossy(text).to_uppercase();
                values.remove(0);
                word
            }
            _ => return Err(at.wrong("an extract of no part")),
        };
        if words.iter().skip(1).any(|w| w == "ZERO") {
            return Err(at.refuse("parts that count from zero"));
        }
        // A zone says where the part is taken; the engine's timestamps are taken in UTC.
        if values.len() == 2 {
            match values.pop().map(|zone| zone.kind) {
                Some(Kind::Literal(Scalar::Bytes(zone))) if matches!(&zone[..], b"UTC" | b"Z" | b"+00:00") => {}
                _ => return Err(at.refuse("an extract in a time zone other than UTC")),
            }
        }
        let part = match word.as_str() {
            "YEAR" | "MONTH" | "DAY" | "HOUR" | "MINUTE" | "SECOND" | "QUARTER" => word.to_lowercase(),
            "ISO_YEAR" => "isoyear".to_string(),
            "ISO_WEEK" | "WEEK" => "week".to_string(),
            "DAY_OF_YEAR" | "DOY" => "doy".to_string(),
            other => return Err(at.refuse(format!("extract {other}"))),
        };
        let part = Expression::literal(Scalar::Bytes(part.into_bytes().into()), DataType::Utf8);
        let values: Vec<Expression> = std::iter::once(part).chain(values).collect();
        let value = self.library("date_part", Arguments { values, words: Vec::new() }, at)?;
        Ok(cast_to(value, &DataType::Int64, CastMode::Fail))
    }
}

/// A text that matches more than itself when it is taken as a pattern.
fn may_be_pattern(value: &Expression) -> bool {
    value.data_type.is_string()
        && match &value.kind {
            Kind::Literal(Scalar::Bytes(text)) => text.iter().any(|b| matches!(b, b'%' | b'_')),
            Kind::Literal(_) => false,
            _ => true,
        }
}

fn boolean(kind: Kind) -> Expression {
    Expression { kind, data_type: DataType::Boolean }
}

fn logical(meaning: Meaning, mut values: Vec<Expression>, at: &Path<'_>) -> Result<Expression> {
    if let Some(other) = values.iter().find(|v| !matches!(v.data_type, DataType::Boolean | DataType::Null)) {
        return Err(at.wrong(format!("a value of type {} as a condition", other.data_type)));
    }
    let is_and = meaning == Meaning::And;
    match values.len() {
        0 => Ok(Expression::literal(Scalar::Boolean(is_and), DataType::Boolean)),
        1 => Ok(values.remove(0)),
        _ => Ok(boolean(if is_and { Kind::And(values) } else { Kind::Or(values) })),
    }
}

fn between([value, low, high]: [Expression; 3]) -> Result<Expression> {
    let (from, low) = same_type(value.clone(), low)?;
    let (to, high) = same_type(value, high)?;
    let low = Expression::compare(CompareOp::GreaterEqual, from, low);
    Ok(Expression::and(vec![low, Expression::compare(CompareOp::LessEqual, to, high)]))
}

fn negate([operand]: [Expression; 1], overflow: Overflow) -> Result<Expression> {
    let data_type = operand.data_type.clone();
    Ok(Expression { kind: Kind::Negate { operand: Box::new(operand), overflow }, data_type })
}

fn arithmetic(
    op: ArithmeticOp,
    left: Expression,
    right: Expression,
    stated: Option<&DataType>,
    options: &mut Options<'_>,
    at: &Path<'_>,
) -> Result<Expression> {
    let overflow = options.overflow(at)?;
    options.take("rounding", &["TIE_TO_EVEN"], at)?;
    options.take("division_type", &["TRUNCATE"], at)?;
    options.take("on_division_by_zero", &["ERROR"], at)?;
    options.take("on_domain_error", &["ERROR"], at)?;
    let mut value = call_arithmetic(op, overflow, left, right).map_err(|e| at.locate(e))?;
    // A decimal quotient is computed to the digits that the plan states; of anything else they are the engine's own to begin with.
    let both_decimal = |value: &Expression| value.children().iter().all(|c| c.data_type.is_decimal());
    if let (DataType::Decimal128(_, scale), Some(stated @ DataType::Decimal128(_, wanted))) = (&value.data_type, stated)
        && both_decimal(&value)
        && (scale == wanted || op == ArithmeticOp::Divide)
    {
        value.data_type = stated.clone();
    }
    Ok(value)
}

fn like(values: Vec<Expression>, options: &mut Options<'_>, at: &Path<'_>) -> Result<Expression> {
    let sensitivity = options.take("case_sensitivity", &["CASE_SENSITIVE", "CASE_INSENSITIVE"], at)?;
    let mut values = values.into_iter();
    let (Some(operand), Some(pattern)) = (values.next(), values.next()) else {
        return Err(at.wrong("a like of fewer than 2 arguments"));
    };
    let escape = match values.next().map(|e| e.kind) {
        None | Some(Kind::Literal(Scalar::Null)) => None,
        Some(Kind::Literal(Scalar::Bytes(text))) => String::from_utf8_lossy(&text).chars().next(),
        Some(_) => return Err(at.refuse("a like whose escape is no constant")),
    };
    let case_insensitive = sensitivity == Some("CASE_INSENSITIVE");
    let (operand, pattern) = (Box::new(operand), Box::new(pattern));
    Ok(boolean(Kind::Like { operand, pattern, escape, case_insensitive, negated: false }))
}

/// The first that is not null, as CASE: others are not computed.
fn coalesce(values: Vec<Expression>, at: &Path<'_>) -> Result<Expression> {
    let mut values = values.into_iter();
    let Some(mut first) = values.next() else { return Err(at.wrong("a coalesce of nothing")) };
    let mut rest = Vec::new();
    for value in values {
        let (a, b) = same_type(first, value).map_err(|e| at.locate(e))?;
        first = a;
        rest.push(b);
    }
    let data_type = rest.last().map_or(&first.data_type, |l| &l.data_type).clone();
    let mut values: Vec<Expression> =
        std::iter::once(first).chain(rest).map(|v| cast_to(v, &data_type, CastMode::Fail)).collect();
    let Some(last) = values.pop() else { return Err(at.wrong("a coalesce of nothing")) };
    if values.is_empty() {
        return Ok(last);
    }
    let branches = values.into_iter().map(|v| (boolean(Kind::IsNotNull(Box::new(v.clone()))), v)).collect();
    Ok(Expression { kind: Kind::Case { branches, otherwise: Some(Box::new(last)) }, data_type })
}

/// What the plan may say about functions of the library, and that they do it.
fn library_options(name: &str, values: &[Expression], options: &mut Options<'_>, at: &Path<'_>) -> Result<()> {
    match name {
        "round" => drop(options.take("rounding", &["TIE_AWAY_FROM_ZERO"], at)?),
        _ => drop(options.take("rounding", &["TIE_TO_EVEN"], at)?),
    }
    options.take("case_sensitivity", &["CASE_SENSITIVE"], at)?;
    options.take("char_set", &["UTF8"], at)?;
    options.take("on_domain_error", &["NAN"], at)?;
    options.take("on_log_zero", &["MINUS_INFINITY"], at)?;
    options.overflow(at)?;
    if name == "substr" {
        let starts_inside = values.get(1).is_some_and(|start| match &start.kind {
            Kind::Literal(value) => value.as_i64().is_some_and(|v| v > 0),
            _ => false,
        });
        let able: &[&'static str] = match starts_inside {
            true => &["LEFT_OF_BEGINNING", "WRAP_FROM_END", "ERROR"],
            false => &["LEFT_OF_BEGINNING"],
        };
        options.take("negative_start", able, at)?;
    }
    Ok(())
}
