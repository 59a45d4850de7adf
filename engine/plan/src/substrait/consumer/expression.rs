//! Expressions over the rows of one schema.

use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::batch::arrow::import_column;
use plasmon_core::expression::{CastMode, CompareOp, Expression, Kind, Scalar};
use plasmon_core::{Error, Result};
use substrait_prost as proto;
use substrait_prost::expression::cast::FailureBehavior;
use substrait_prost::expression::nested::NestedType;
use substrait_prost::expression::{Cast, IfThen, MultiOrList, Nested, RexType, SingularOrList, SwitchExpression};

use super::call::Arguments;
use super::{Consumer, as_stated};
use crate::path::Path;
use crate::sql::{cast_to, same_type};
use crate::substrait::types::same;

impl<'a> Consumer<'a> {
    /// The IR of an expression.
    pub(super) fn expression(
        &mut self,
        expression: &'a proto::Expression,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        self.enter(at)?;
        let converted = self.value_of(expression, schema, at).map_err(|e| at.locate(e));
        self.leave();
        converted
    }

    fn value_of(&mut self, expression: &'a proto::Expression, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let Some(kind) = &expression.rex_type else { return Err(at.wrong("an empty expression")) };
        match kind {
            RexType::Literal(literal) => self.types.constant(literal, at),
            RexType::Selection(reference) => self.selection(reference, schema, at),
            RexType::ScalarFunction(call) => self.scalar_function(call, schema, at),
            RexType::WindowFunction(call) => self.window_expression(call, schema, at),
            RexType::IfThen(case) => self.if_then(case, schema, at),
            RexType::SwitchExpression(switch) => self.switch(switch, schema, at),
            RexType::SingularOrList(list) => self.in_list(list, schema, at),
            RexType::MultiOrList(list) => self.in_records(list, schema, at),
            RexType::Cast(cast) => self.cast(cast, schema, at),
            RexType::Subquery(subquery) => self.subquery(subquery, schema, at),
            RexType::Nested(nested) => self.nested(nested, schema, at),
            RexType::DynamicParameter(parameter) => self.parameter(parameter, at),
            RexType::DetachedExpressionOrdinal(ordinal) => {
                let detached = self.plan.relations.get(self.current).map_or(&[][..], |r| &r.detached_expressions[..]);
                match detached.get(*ordinal as usize) {
                    Some(expression) => self.expression(expression, schema, at),
                    None => Err(at.wrong(format!("there is no detached expression {ordinal}"))),
                }
            }
            RexType::Lambda(_) | RexType::LambdaInvocation(_) | RexType::NamedLambdaReference(_) => {
                Err(at.refuse("lambdas"))
            }
            RexType::ExecutionContextVariable(_) => Err(at.refuse("variables of the execution context")),
        }
    }

    fn optional(
        &mut self,
        expression: Option<&'a proto::Expression>,
        schema: &SchemaRef,
        at: &Path<'_>,
    ) -> Result<Expression> {
        match expression {
            Some(expression) => self.expression(expression, schema, at),
            None => Err(at.wrong("an expression is missing")),
        }
    }

    fn if_then(&mut self, case: &'a IfThen, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let mut branches = Vec::with_capacity(case.ifs.len());
        for (index, clause) in case.ifs.iter().enumerate() {
            let at = at.item("ifs", index);
            let condition = self.optional(clause.r#if.as_ref(), schema, &at.field("if"))?;
            if !matches!(condition.data_type, DataType::Boolean | DataType::Null) {
                return Err(at.field("if").wrong(format!("a condition of type {}", condition.data_type)));
            }
            branches.push((condition, self.optional(clause.then.as_ref(), schema, &at.field("then"))?));
        }
        let otherwise = match case.r#else.as_deref() {
            Some(otherwise) => Some(self.expression(otherwise, schema, &at.field("else"))?),
            None => None,
        };
        unified(branches, otherwise, at)
    }

    fn switch(&mut self, switch: &'a SwitchExpression, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let operand = self.optional(switch.r#match.as_deref(), schema, &at.field("match"))?;
        self.spend(super::size(&operand).saturating_mul(switch.ifs.len()), at)?;
        let mut branches = Vec::with_capacity(switch.ifs.len());
        for (index, clause) in switch.ifs.iter().enumerate() {
            let at = at.item("ifs", index);
            let Some(value) = &clause.r#if else { return Err(at.wrong("a value is missing")) };
            let value = self.types.constant(value, &at.field("if"))?;
            let (left, right) = same_type(operand.clone(), value)?;
            let condition = Expression::compare(CompareOp::Equal, left, right);
            branches.push((condition, self.optional(clause.then.as_ref(), schema, &at.field("then"))?));
        }
        let otherwise = match switch.r#else.as_deref() {
            Some(otherwise) => Some(self.expression(otherwise, schema, &at.field("else"))?),
            None => None,
        };
        unified(branches, otherwise, at)
    }

    fn in_list(&mut self, list: &'a SingularOrList, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let operand = self.optional(list.value.as_deref(), schema, &at.field("value"))?;
        let mut items = Vec::with_capacity(list.options.len());
        for (index, option) in list.options.iter().enumerate() {
            let at = at.item("options", index);
            let item = self.expression(option, schema, &at)?;
            items.push(as_stated(item, Some(operand.data_type.clone()), "the option", &at)?);
        }
        if items.is_empty() {
            return Ok(Expression::literal(Scalar::Boolean(false), DataType::Boolean));
        }
        let items = items.into_iter().map(|i| cast_to(i, &operand.data_type, CastMode::Fail)).collect();
        let kind = Kind::InList { operand: Box::new(operand), list: items, negated: false };
        Ok(Expression { kind, data_type: DataType::Boolean })
    }

    fn in_records(&mut self, list: &'a MultiOrList, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let mut operands = Vec::with_capacity(list.value.len());
        for (index, value) in list.value.iter().enumerate() {
            operands.push(self.expression(value, schema, &at.item("value", index))?);
        }
        let repeated: usize = operands.iter().map(super::size).sum();
        self.spend(repeated.saturating_mul(list.options.len()), at)?;
        let mut alternatives = Vec::with_capacity(list.options.len());
        for (index, record) in list.options.iter().enumerate() {
            let at = at.item("options", index);
            if record.fields.len() != operands.len() {
                return Err(at.wrong(format!("{} fields for {} values", record.fields.len(), operands.len())));
            }
            let mut equal = Vec::with_capacity(operands.len());
            for (index, (field, operand)) in record.fields.iter().zip(&operands).enumerate() {
                let field = self.expression(field, schema, &at.item("fields", index))?;
                let (left, right) = same_type(operand.clone(), field)?;
                equal.push(Expression::compare(CompareOp::Equal, left, right));
            }
            alternatives.push(Expression::and(equal));
        }
        Ok(match alternatives.len() {
            0 => Expression::literal(Scalar::Boolean(false), DataType::Boolean),
            1 => alternatives.remove(0),
            _ => Expression { kind: Kind::Or(alternatives), data_type: DataType::Boolean },
        })
    }

    fn cast(&mut self, cast: &'a Cast, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let operand = self.optional(cast.input.as_deref(), schema, &at.field("input"))?;
        let Some(target) = self.types.stated(cast.r#type.as_ref(), &at.field("type"))? else {
            return Err(at.wrong("a cast to no type"));
        };
        let mode = match cast.failure_behavior() {
            FailureBehavior::ReturnNull => CastMode::Null,
            FailureBehavior::ThrowException | FailureBehavior::Unspecified => CastMode::Fail,
        };
        if same(&operand.data_type, &target) {
            return Ok(operand);
        }
        if !arrow::compute::can_cast_types(&operand.data_type, &target) {
            return Err(at.refuse(format!("a cast from {} to {target}", operand.data_type)));
        }
        Ok(cast_to(operand, &target, mode))
    }

    fn nested(&mut self, nested: &'a Nested, schema: &SchemaRef, at: &Path<'_>) -> Result<Expression> {
        let at = at.field("nested");
        let all = |consumer: &mut Self, values: &'a [proto::Expression], name: &str| {
            let values = values.iter().enumerate();
            values.map(|(i, v)| consumer.expression(v, schema, &at.item(name, i))).collect::<Result<Vec<_>>>()
        };
        let (name, values) = match &nested.nested_type {
            Some(NestedType::Struct(value)) => ("struct", all(self, &value.fields, "fields")?),
            Some(NestedType::List(value)) => ("make_array", all(self, &value.values, "values")?),
            Some(NestedType::Map(map)) => {
                let (mut keys, mut values) = (Vec::new(), Vec::new());
                for (index, pair) in map.key_values.iter().enumerate() {
                    let at = at.item("key_values", index);
                    keys.push(self.optional(pair.key.as_ref(), schema, &at.field("key"))?);
                    values.push(self.optional(pair.value.as_ref(), schema, &at.field("value"))?);
                }
                let array = |values| self.library("make_array", Arguments { values, words: Vec::new() }, &at);
                ("map", vec![array(keys)?, array(values)?])
            }
            None => return Err(at.wrong("a nested value of no kind")),
        };
        self.library(name, Arguments { values, words: Vec::new() }, &at)
    }

    /// A value that the plan binds, or else the statement's: parameter 0 is `$1`.
    fn parameter(&mut self, parameter: &'a proto::DynamicParameter, at: &Path<'_>) -> Result<Expression> {
        let reference = parameter.parameter_reference;
        let bound = self.plan.parameter_bindings.iter().find(|b| b.parameter_anchor == reference);
        let value = match bound.and_then(|b| b.value.as_ref()) {
            Some(literal) => self.types.constant(literal, at)?,
            None => match self.parameters.get(reference as usize) {
                Some(array) => {
                    let column = import_column(array)?;
                    Expression::literal(Scalar::from_column(&column, 0), array.data_type().clone())
                }
                None => return Err(at.wrong(format!("parameter {reference} has no value"))),
            },
        };
        let stated = self.types.stated(parameter.r#type.as_ref(), at)?;
        as_stated(value, stated, "the parameter", at)
    }
}

/// CASE whose results are of one type: that of the first that is not a null.
fn unified(
    branches: Vec<(Expression, Expression)>,
    otherwise: Option<Expression>,
    at: &Path<'_>,
) -> Result<Expression> {
    let is_null = |e: &Expression| matches!(&e.kind, Kind::Literal(v) if v.is_null());
    let results = || branches.iter().map(|b| &b.1).chain(&otherwise);
    let Some(data_type) = results().find(|e| !is_null(e)).or_else(|| results().next()).map(|e| e.data_type.clone())
    else {
        return Err(at.wrong("a conditional without branches"));
    };
    let cast = |value: Expression| {
        let value = as_stated(value, Some(data_type.clone()), "a branch", at)?;
        Ok::<_, Error>(cast_to(value, &data_type, CastMode::Fail))
    };
    let otherwise = otherwise.map(cast).transpose()?;
    if branches.is_empty() {
        return otherwise.ok_or_else(|| at.wrong("a conditional without branches"));
    }
    let branches = branches.into_iter().map(|(when, then)| Ok((when, cast(then)?))).collect::<Result<_>>()?;
    Ok(Expression { kind: Kind::Case { branches, otherwise: otherwise.map(Box::new) }, data_type })
}
