//! Aggregations, grouping sets among them.

use arrow::datatypes::{DataType, Field, Schema};
use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Kind, Scalar};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase, grouping_id};
use substrait_prost as proto;
use substrait_prost::AggregationPhase;
use substrait_prost::aggregate_function::AggregationInvocation;
use substrait_prost::aggregate_rel::{Grouping, Measure};
use substrait_prost::function_argument::ArgType;
use substrait_prost::rel::RelType;

use super::call::option;
use super::relation::{columns, direct, projected, rel};
use super::{Producer, is_nullable, type_of};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::substrait::functions::{AGGREGATE, OWN, STANDARD, abbreviation, extension_for};

impl<'a> Producer<'a> {
    pub(super) fn aggregate(&mut self, relation: &'a Relation, at: &Path<'_>) -> Result<proto::Rel> {
        let Node::Aggregate { input, group_by, grouping_sets, aggregates, phase } = &relation.node else {
            return Err(at.refuse("no aggregation"));
        };
        if *phase != AggregatePhase::Single {
            return Err(at.refuse("a part of a distributed aggregation"));
        }
        let mut below = Below::new(&input.schema);
        let mut grouping_expressions = Vec::with_capacity(group_by.len());
        for (index, key) in group_by.iter().enumerate() {
            let key = below.column(key);
            grouping_expressions.push(self.expression(
                &key,
                &below.schema(),
                &at.item("grouping_expressions", index),
            )?);
        }
        let mut measures = Vec::with_capacity(aggregates.len());
        for (index, call) in aggregates.iter().enumerate() {
            let arguments: Vec<Expression> = call.arguments.iter().map(|a| below.column(a)).collect();
            measures.push(self.measure(call, &arguments, &below.schema(), &at.item("measures", index))?);
        }
        let references = |keep: &dyn Fn(usize) -> bool| Grouping {
            expression_references: (0..group_by.len()).filter(|&k| keep(k)).map(|k| k as u32).collect(),
        };
        let groupings = match (&grouping_sets[..], group_by.is_empty()) {
            ([], true) => Vec::new(),
            ([], false) => vec![references(&|_| true)],
            (sets, _) => sets.iter().map(|set| references(&|k| set[k])).collect(),
        };
        let input = Some(Box::new(self.computed(input, &below.computed, &at.field("input"))?));
        let aggregate = rel(RelType::Aggregate(Box::new(proto::AggregateRel {
            common: direct(),
            input,
            groupings,
            measures,
            grouping_expressions,
            advanced_extension: None,
        })));
        if grouping_sets.is_empty() {
            return Ok(aggregate);
        }
        self.with_grouping_id(aggregate, relation, grouping_sets, (group_by.len(), aggregates.len()), at)
    }

    /// The input with further columns behind its own.
    fn computed(&mut self, input: &'a Relation, further: &[Expression], at: &Path<'_>) -> Result<proto::Rel> {
        let written = self.relation(input, at)?;
        if further.is_empty() {
            return Ok(written);
        }
        let width = input.schema.fields().len();
        let mut expressions = columns(width);
        for (index, expression) in further.iter().enumerate() {
            expressions.push(self.expression(expression, &input.schema, &at.item("expressions", width + index))?);
        }
        let outputs = (width..width + expressions.len()).collect();
        Ok(projected(written, expressions, outputs))
    }

    /// Our columns of an aggregation with grouping sets: the id of the set is behind the keys.
    fn with_grouping_id(
        &mut self,
        aggregate: proto::Rel,
        relation: &Relation,
        sets: &[Vec<bool>],
        (keys, measures): (usize, usize),
        at: &Path<'_>,
    ) -> Result<proto::Rel> {
        let id_type = relation.schema.field(keys).data_type().clone();
        let literal = |ordinal: usize| {
            let value = grouping_id(sets, ordinal);
            let value = match id_type.is_unsigned_integer() {
                true => Scalar::UInt64(value),
                false => Scalar::Int64(value as i64),
            };
            Expression::literal(value, id_type.clone())
        };
        // Only several sets have a column that tells them apart.
        let has_ordinal = sets.len() > 1;
        let ordinal_column = Expression::column(keys + measures, DataType::Int32);
        let branches = (1..sets.len()).map(|ordinal| {
            let number = Expression::literal(Scalar::Int64(ordinal as i64), DataType::Int32);
            (Expression::compare(CompareOp::Equal, ordinal_column.clone(), number), literal(ordinal))
        });
        let id = match has_ordinal {
            true => Expression {
                kind: Kind::Case { branches: branches.collect(), otherwise: Some(Box::new(literal(0))) },
                data_type: id_type.clone(),
            },
            false => literal(0),
        };
        let width = keys + measures + usize::from(has_ordinal);
        let fields = (0..width).map(|i| Field::new(format!("c{i}"), DataType::Int32, i < keys + measures));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let id = self.expression(&id, &schema, &at.field("grouping"))?;
        let mut expressions = columns(keys);
        expressions.push(id);
        expressions.extend(columns(keys + measures).split_off(keys));
        let outputs = (width..width + expressions.len()).collect();
        Ok(projected(aggregate, expressions, outputs))
    }

    fn measure(
        &mut self,
        call: &'a AggregateExpression,
        arguments: &[Expression],
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<Measure> {
        let filter = match &call.filter {
            Some(filter) => Some(self.expression(filter, schema, &at.field("filter"))?),
            None => None,
        };
        let at = at.field("measure");
        let sorts = self.sorts(&call.order_by, schema, &at)?;
        let (function_reference, arguments, options) = self.aggregate_call(&call.function, arguments, schema, &at)?;
        let invocation = invocation(call.distinct);
        let nullable = !matches!(call.function, AggregateFunction::Count | AggregateFunction::CountAll);
        let measure = proto::AggregateFunction {
            function_reference,
            arguments,
            options,
            output_type: Some(type_of(&call.data_type, nullable, &at)?),
            phase: AggregationPhase::InitialToResult as i32,
            sorts,
            invocation,
        };
        Ok(Measure { measure: Some(measure), filter })
    }

    /// Anchor, arguments and options of an aggregate function.
    pub(super) fn aggregate_call(
        &mut self,
        function: &AggregateFunction,
        arguments: &[Expression],
        schema: &Schema,
        at: &Path<'_>,
    ) -> Result<(u32, Vec<proto::FunctionArgument>, Vec<proto::FunctionOption>)> {
        let (library, options) = library_name(function, at)?;
        let standard = AGGREGATE
            .iter()
            .find(|row| row.2 == library && row.0 != "aggregate_generic" || row.2 == library && row.1 == "count");
        let mut words = Vec::with_capacity(arguments.len());
        for argument in arguments {
            words.push(abbreviation(&type_of(&argument.data_type, is_nullable(argument, schema), at)?));
        }
        let (urn, name, signature) = match (library, standard) {
            ("stddev" | "stddev_pop", _) => (format!("{STANDARD}arithmetic"), "std_dev", words.join("_")),
            ("var" | "var_pop", _) => (format!("{STANDARD}arithmetic"), "variance", words.join("_")),
            ("count", _) => {
                let signature = if arguments.is_empty() { "" } else { "any" };
                (format!("{STANDARD}aggregate_generic"), "count", signature.to_string())
            }
            (_, Some((extension, name, _))) if !name.starts_with("bitwise") => {
                let extension = extension_for(extension, arguments.first().map(|a| &a.data_type));
                (format!("{STANDARD}{extension}"), *name, words.join("_"))
            }
            (library, _) => (OWN.to_string(), library, words.join("_")),
        };
        let anchor = self.anchor(&urn, format!("{name}:{signature}"));
        let mut written = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let value = self.expression(argument, schema, &at.item("arguments", index))?;
            written.push(proto::FunctionArgument { arg_type: Some(ArgType::Value(value)) });
        }
        Ok((anchor, written, options))
    }
}

/// What a projection below an aggregation has to compute, since some readers take nothing but columns as keys and arguments.
struct Below<'s> {
    input: &'s Schema,
    computed: Vec<Expression>,
}

impl<'s> Below<'s> {
    fn new(input: &'s Schema) -> Below<'s> {
        Below { input, computed: Vec::new() }
    }

    /// A column with the value of that expression; constants stay, as some functions want them.
    fn column(&mut self, expression: &Expression) -> Expression {
        let mut has_columns = false;
        expression.visit(&mut |e| has_columns |= matches!(e.kind, Kind::Column(_)));
        if !has_columns || matches!(expression.kind, Kind::Column(_)) {
            return expression.clone();
        }
        self.computed.push(expression.clone());
        Expression::column(self.input.fields().len() + self.computed.len() - 1, expression.data_type.clone())
    }

    /// The input's columns, and the computed ones behind them.
    fn schema(&self) -> Schema {
        let computed = self.computed.iter().map(|e| Field::new("", e.data_type.clone(), is_nullable(e, self.input)));
        Schema::new(self.input.fields().iter().map(|f| Field::clone(f)).chain(computed).collect::<Vec<_>>())
    }
}

pub(super) fn invocation(distinct: bool) -> i32 {
    match distinct {
        true => AggregationInvocation::Distinct as i32,
        false => AggregationInvocation::All as i32,
    }
}

/// The library's name of an aggregate function, and what has to be said beside it.
fn library_name<'f>(function: &'f AggregateFunction, at: &Path<'_>) -> Result<(&'f str, Vec<proto::FunctionOption>)> {
    use AggregateFunction::*;
    let nulls = |ignore: bool| vec![option("ignore_nulls", if ignore { "TRUE" } else { "FALSE" })];
    let distribution = |kind: &str| vec![option("distribution", kind)];
    Ok(match function {
        CountAll | Count => ("count", Vec::new()),
        Sum => ("sum", vec![option("overflow", "ERROR")]),
        Min => ("min", Vec::new()),
        Max => ("max", Vec::new()),
        Avg => ("avg", Vec::new()),
        VariancePopulation => ("var_pop", distribution("POPULATION")),
        VarianceSample => ("var", distribution("SAMPLE")),
        DeviationPopulation => ("stddev_pop", distribution("POPULATION")),
        DeviationSample => ("stddev", distribution("SAMPLE")),
        First { ignore_nulls } => ("first_value", nulls(*ignore_nulls)),
        Last { ignore_nulls } => ("last_value", nulls(*ignore_nulls)),
        BoolAnd => ("bool_and", Vec::new()),
        BoolOr => ("bool_or", Vec::new()),
        BitAnd => ("bit_and", Vec::new()),
        BitOr => ("bit_or", Vec::new()),
        BitXor => ("bit_xor", Vec::new()),
        Custom(custom) if custom.name().contains(' ') => return Err(at.refuse(custom.name().to_string())),
        Custom(custom) => (custom.name(), Vec::new()),
    })
}
