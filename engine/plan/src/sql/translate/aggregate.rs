//! GROUP BY, grouping sets and aggregate calls.

use datafusion_common::DFSchema;
use datafusion_expr::expr::{AggregateFunction as AggregateCallExpr, GroupingSet, NullTreatment};
use datafusion_expr::utils::grouping_set_to_exprlist;
use datafusion_expr::{Aggregate, Expr, ExprSchemable};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase, state_types};
use plasmon_core::{Error, Result};

use super::Translator;
use crate::error::convert_error;
use crate::function::{AggregateOptions, aggregate_expression};
use crate::ir::{Node, Relation};

impl Translator {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Relation> {
        let input = self.relation(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let keys = grouping_set_to_exprlist(&aggregate.group_expr).map_err(convert_error)?;
        let grouping_sets = match aggregate.group_expr.first() {
            Some(Expr::GroupingSet(sets)) => grouping_masks(sets, &keys),
            _ => Vec::new(),
        };
        let group_by = keys.iter().map(|k| self.expression(k, schema)).collect::<Result<Vec<_>>>()?;
        let first = group_by.len() + usize::from(!grouping_sets.is_empty());
        let aggregates = aggregate
            .aggr_expr
            .iter()
            .enumerate()
            .map(|(i, call)| {
                let mut translated = self.aggregate_call(call, schema)?;
                translated.data_type = aggregate.schema.field(first + i).data_type().clone();
                Ok(translated)
            })
            .collect::<Result<Vec<_>>>()?;
        let node = Node::Aggregate {
            input: Box::new(input),
            group_by,
            grouping_sets,
            aggregates,
            phase: AggregatePhase::Single,
        };
        Ok(Relation::new(node, aggregate.schema.inner().clone()))
    }

    /// One call, possibly under an alias.
    fn aggregate_call(&mut self, call: &Expr, schema: &DFSchema) -> Result<AggregateExpression> {
        match call {
            Expr::Alias(alias) => self.aggregate_call(&alias.expr, schema),
            Expr::AggregateFunction(function) => self.aggregate_function(function, call, schema),
            other => Err(Error::unsupported(format!("aggregate expression {other}"))),
        }
    }

    pub(super) fn aggregate_function(
        &mut self,
        call: &AggregateCallExpr,
        whole: &Expr,
        schema: &DFSchema,
    ) -> Result<AggregateExpression> {
        let params = &call.params;
        let arguments = params.args.iter().map(|a| self.expression(a, schema)).collect::<Result<Vec<_>>>()?;
        let argument_fields =
            params.args.iter().map(|a| Ok(a.to_field(schema).map_err(convert_error)?.1)).collect::<Result<Vec<_>>>()?;
        let order_by = self.sort_keys(&params.order_by, schema)?;
        let return_field = whole.to_field(schema).map_err(convert_error)?.1;
        let options = AggregateOptions {
            distinct: params.distinct,
            ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
            order_by,
            filter: params.filter.as_deref().map(|f| self.expression(f, schema)).transpose()?,
        };
        let translated = aggregate_expression(&call.func, arguments, argument_fields, return_field, options)?;
        // A library's own functions have said by now what they take.
        if !matches!(translated.function, AggregateFunction::Custom(_)) {
            state_types(&translated)?;
        }
        Ok(translated)
    }
}

/// Which of `keys` each grouping set keeps.
fn grouping_masks(sets: &GroupingSet, keys: &[&Expr]) -> Vec<Vec<bool>> {
    let mask = |set: &[&Expr]| keys.iter().map(|key| set.contains(key)).collect::<Vec<bool>>();
    match sets {
        GroupingSet::Rollup(expressions) => {
            (0..=expressions.len()).rev().map(|n| mask(&expressions[..n].iter().collect::<Vec<_>>())).collect()
        }
        GroupingSet::Cube(expressions) => (0..1_usize << expressions.len())
            .map(|bits| {
                mask(
                    &expressions
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| bits >> i & 1 == 0)
                        .map(|(_, e)| e)
                        .collect::<Vec<_>>(),
                )
            })
            .collect(),
        GroupingSet::GroupingSets(sets) => sets.iter().map(|set| mask(&set.iter().collect::<Vec<_>>())).collect(),
    }
}
