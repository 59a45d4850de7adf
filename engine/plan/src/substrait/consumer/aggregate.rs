//! Aggregations: grouping sets, filters, DISTINCT, orders, phases.
//!
//! An intermediate result is one column in Substrait. So phases can be run for functions whose intermediate is of the result's own kind
//! (count, sum, min, max, …): merging counts sums them, merging the others is the function itself. Others are refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, CompareOp, Expression, Kind, Scalar};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase, grouping_id};
use substrait_prost as proto;
use substrait_prost::AggregationPhase;
use substrait_prost::aggregate_function::AggregationInvocation;
use substrait_prost::aggregate_rel::Measure;

use super::options::Options;
use super::relation::emit;
use super::{Consumer, as_stated, plain, project, result_as_stated};
use crate::function::{AggregateOptions, call_aggregate};
use crate::ir::{Node, Relation};
use crate::path::Path;
use crate::sql::cast_to;
use crate::substrait::functions::Declared;

/// A measure: the call, and what its result still has to become.
struct Measured {
    call: AggregateExpression,
    /// The type that the plan states.
    stated: Option<DataType>,
    /// Nothing to add up is 0.
    or_zero: bool,
}

impl<'a> Consumer<'a> {
    pub(super) fn aggregate(&mut self, rel: &'a proto::AggregateRel, at: &Path<'_>) -> Result<Relation> {
        let input = self.required(rel.input.as_deref(), &at.field("input"))?;
        let schema = input.schema.clone();
        let keys = rel.grouping_expressions.iter().enumerate();
        let keys = keys
            .map(|(i, e)| self.expression(e, &schema, &at.item("grouping_expressions", i)))
            .collect::<Result<Vec<_>>>()?;
        self.spend(keys.len().saturating_mul(rel.groupings.len()), at)?;
        let sets = grouping_sets(rel, keys.len(), at)?;
        let measures = rel.measures.iter().enumerate();
        let measures =
            measures.map(|(i, m)| self.measure(m, &schema, &at.item("measures", i))).collect::<Result<Vec<_>>>()?;
        plain(&rel.advanced_extension, at)?;
        let with_sets = rel.groupings.len() > 1;
        let aggregated = aggregated(input, keys, &sets, &measures);
        let finished = finished(aggregated, &rel.grouping_expressions, &sets, with_sets, measures, at)?;
        emit(finished, &rel.common, &None, at)
    }

    fn measure(&mut self, measure: &'a Measure, schema: &SchemaRef, at: &Path<'_>) -> Result<Measured> {
        let filter = match &measure.filter {
            Some(filter) => Some(self.predicate(filter, schema, &at.field("filter"))?),
            None => None,
        };
        let at = at.field("measure");
        let Some(call) = &measure.measure else { return Err(at.wrong("a measure without a function")) };
        let declared = self.function(call.function_reference, &at)?;
        let stated = self.types.stated(call.output_type.as_ref(), &at)?;
        let arguments = self.arguments(&call.arguments, schema, &at)?;
        let order_by = self.sort_keys(&call.sorts, schema, &at)?;
        let mut options = Options::new(&call.options);
        let (library, distinct, or_zero) = self.meant(&declared, call, &arguments.words, &mut options, &at)?;
        let ignore_nulls = options.take("ignore_nulls", &["TRUE", "FALSE"], &at)? == Some("TRUE");
        options.take("rounding", &["TIE_TO_EVEN"], &at)?;
        options.overflow(&at)?;
        options.finish(&at)?;
        let Some(function) = self.registry.aggregate(&library) else {
            return Err(at.refuse(format!("aggregate function {}", declared.name)));
        };
        let mut values = arguments.values;
        // An average that is stated as a float is computed as one: of decimals it would be rounded first.
        if library == "avg" && stated.as_ref().is_some_and(DataType::is_floating) {
            values = values.into_iter().map(|v| cast_to(v, &DataType::Float64, CastMode::Fail)).collect();
        }
        let options = AggregateOptions { distinct, ignore_nulls, order_by, filter };
        let call = call_aggregate(&function, values, options).map_err(|e| at.locate(e))?;
        Ok(Measured { call, stated, or_zero })
    }

    /// The library's function of a call, whether values count once, and whether nothing gives 0.
    fn meant(
        &self,
        declared: &Declared,
        call: &proto::AggregateFunction,
        words: &[String],
        options: &mut Options<'_>,
        at: &Path<'_>,
    ) -> Result<(String, bool, bool)> {
        let distinct = call.invocation() == AggregationInvocation::Distinct;
        let name = declared.name.as_str();
        let library = library_name(declared, words, options, at)?;
        let is_merged = matches!(library.as_str(), "sum" | "min" | "max" | "bool_and" | "bool_or" | "count");
        let reads_states = match call.phase() {
            AggregationPhase::InitialToResult | AggregationPhase::Unspecified => {
                return Ok((library, distinct, name == "sum0"));
            }
            AggregationPhase::InitialToIntermediate => false,
            AggregationPhase::IntermediateToIntermediate | AggregationPhase::IntermediateToResult => true,
        };
        if !is_merged || distinct {
            return Err(at.refuse(format!("intermediate results of {name}{}", if distinct { " DISTINCT" } else { "" })));
        }
        // Counts are merged by adding them up.
        let counts = library == "count" && reads_states;
        Ok((if counts { "sum".to_string() } else { library }, false, counts || name == "sum0"))
    }
}

/// The library's name of an aggregate function; which distribution a deviation is of is an option, or a word among its arguments.
pub(super) fn library_name(
    declared: &Declared,
    words: &[String],
    options: &mut Options<'_>,
    at: &Path<'_>,
) -> Result<String> {
    let (sample, whole) = match declared.name.as_str() {
        "sum0" => return Ok("sum".to_string()),
        "std_dev" => ("stddev", "stddev_pop"),
        "variance" => ("var", "var_pop"),
        _ => return Ok(declared.aggregate().to_string()),
    };
    let stated = options.take("distribution", &["SAMPLE", "POPULATION"], at)?;
    let is_whole = stated == Some("POPULATION") || words.iter().any(|w| w == "POPULATION");
    Ok(if is_whole { whole } else { sample }.to_string())
}

/// Which keys each grouping keeps. One that keeps all in order is a plain GROUP BY, and no set.
fn grouping_sets(rel: &proto::AggregateRel, keys: usize, at: &Path<'_>) -> Result<Vec<Vec<bool>>> {
    let mut sets = Vec::with_capacity(rel.groupings.len());
    for (index, grouping) in rel.groupings.iter().enumerate() {
        let mut mask = vec![false; keys];
        for &reference in &grouping.expression_references {
            match mask.get_mut(reference as usize) {
                Some(kept) => *kept = true,
                None => {
                    return Err(at
                        .item("groupings", index)
                        .wrong(format!("grouping expression {reference} of {keys}")));
                }
            }
        }
        sets.push(mask);
    }
    match &sets[..] {
        [] if keys > 0 => Err(at.wrong("grouping expressions that no grouping has")),
        [one] if one.iter().all(|kept| *kept) => Ok(Vec::new()),
        _ => Ok(sets),
    }
}

/// The engine's aggregation: keys, the grouping id with sets, measures.
fn aggregated(input: Relation, group_by: Vec<Expression>, sets: &[Vec<bool>], measures: &[Measured]) -> Relation {
    let mut fields: Vec<Field> = group_by
        .iter()
        .enumerate()
        .map(|(i, key)| match key.kind {
            Kind::Column(c) => input.schema.field(c).clone().with_nullable(true),
            _ => Field::new(format!("k{i}"), key.data_type.clone(), true),
        })
        .collect();
    if !sets.is_empty() {
        fields.push(Field::new("grouping", DataType::UInt64, false));
    }
    fields
        .extend(measures.iter().enumerate().map(|(i, m)| Field::new(format!("a{i}"), m.call.data_type.clone(), true)));
    let node = Node::Aggregate {
        input: Box::new(input),
        group_by,
        grouping_sets: sets.to_vec(),
        aggregates: measures.iter().map(|m| m.call.clone()).collect(),
        phase: AggregatePhase::Single,
    };
    Relation::new(node, Arc::new(Schema::new(fields)))
}

/// Substrait's columns of it: keys, measures of their stated types, and with several groupings which one a row is of.
fn finished(
    aggregated: Relation,
    keys: &[proto::Expression],
    sets: &[Vec<bool>],
    with_sets: bool,
    measures: Vec<Measured>,
    at: &Path<'_>,
) -> Result<Relation> {
    let columns = aggregated.columns();
    let first = keys.len() + usize::from(!sets.is_empty());
    let mut outputs = columns[..keys.len()].to_vec();
    let mut is_same = sets.is_empty();
    for (index, measure) in measures.into_iter().enumerate() {
        let mut value = columns[first + index].clone();
        if measure.or_zero {
            is_same = false;
            value = or_zero(value);
        }
        let before = value.clone();
        let what = format!("measure {index}");
        let at = at.item("measures", index);
        let at = at.field("measure");
        value = match measure.call.function {
            // The standard's average has the digits of its argument.
            AggregateFunction::Avg => as_stated(value, measure.stated, &what, &at)?,
            _ => result_as_stated(value, measure.stated, &what, &at)?,
        };
        is_same &= before == value;
        outputs.push(value);
    }
    if with_sets {
        outputs.push(ordinal_of_set(&columns[keys.len()], sets));
    }
    Ok(if is_same { aggregated } else { project(aggregated, outputs) })
}

fn or_zero(value: Expression) -> Expression {
    let data_type = value.data_type.clone();
    let zero = Expression::literal(Scalar::Int64(0), DataType::Int64);
    let zero = cast_to(zero, &data_type, CastMode::Fail);
    let is_null = Expression { kind: Kind::IsNull(Box::new(value.clone())), data_type: DataType::Boolean };
    Expression { kind: Kind::Case { branches: vec![(is_null, zero)], otherwise: Some(Box::new(value)) }, data_type }
}

/// The number of a row's grouping, from its id.
fn ordinal_of_set(id: &Expression, sets: &[Vec<bool>]) -> Expression {
    let branches = (0..sets.len()).map(|ordinal| {
        let wanted = Expression::literal(Scalar::UInt64(grouping_id(sets, ordinal)), DataType::UInt64);
        let ordinal = Expression::literal(Scalar::Int64(ordinal as i64), DataType::Int32);
        (Expression::compare(CompareOp::Equal, id.clone(), wanted), ordinal)
    });
    Expression { kind: Kind::Case { branches: branches.collect(), otherwise: None }, data_type: DataType::Int32 }
}
