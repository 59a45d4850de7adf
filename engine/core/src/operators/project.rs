//! Project: computes expressions over every batch. Keeps the selection, keeps order, holds no state.
//!
//! An expression that occurs as a whole in several outputs is evaluated once per batch.

use std::sync::Arc;

use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::expression::{Expression, Kind, evaluate};
use crate::metrics::OperatorMetrics;
use crate::pipeline::{Flow, Operator, OperatorState, TaskContext};

/// The operator `SELECT expressions`.
#[derive(Debug)]
pub struct Project {
    plan: Arc<ProjectPlan>,
}

#[derive(Debug)]
struct ProjectPlan {
    expressions: Vec<Expression>,
    /// Sub-expressions that occur more than once, evaluated first and appended to the input's columns.
    common: Vec<Expression>,
}

impl Project {
    /// Outputs one column per expression.
    pub fn new(expressions: Vec<Expression>) -> Self {
        let common = common_expressions(&expressions);
        Project { plan: Arc::new(ProjectPlan { expressions, common }) }
    }
}

/// Largest computed sub-expressions that occur at least twice and are worth keeping.
fn common_expressions(expressions: &[Expression]) -> Vec<Expression> {
    let mut seen: Vec<(Expression, usize)> = Vec::new();
    for expression in expressions {
        // Branches of CASE and guarded operands run on some rows only: hoisting those could raise errors, so only arithmetic outside of them counts.
        count_arithmetic(expression, &mut seen);
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(e, _)| e).collect()
}

fn count_arithmetic(expression: &Expression, seen: &mut Vec<(Expression, usize)>) {
    if let Kind::Arithmetic { .. } = expression.kind {
        match seen.iter_mut().find(|(e, _)| e == expression) {
            Some((_, count)) => {
                *count += 1;
                return;
            }
            None => seen.push((expression.clone(), 1)),
        }
    }
    if let Kind::Arithmetic { left, right, .. } = &expression.kind {
        count_arithmetic(left, seen);
        count_arithmetic(right, seen);
    }
}

/// The expression with every occurrence of `common[i]` replaced by column `base + i`.
fn replace(expression: &Expression, common: &[Expression], base: usize) -> Expression {
    if let Some(index) = common.iter().position(|c| c == expression) {
        return Expression::column(base + index, expression.data_type.clone());
    }
    let mut replaced = expression.clone();
    if matches!(replaced.kind, Kind::Arithmetic { .. }) {
        replaced.children_mut().into_iter().for_each(|child| *child = replace(child, common, base));
    }
    replaced
}

/// Evaluates each expression over one batch.
pub fn evaluate_all(expressions: &[Expression], batch: &Batch) -> Result<Vec<Column>> {
    expressions.iter().map(|e| evaluate(e, batch)).collect()
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "Project"
    }

    fn describe(&self) -> String {
        self.plan.expressions.iter().map(Expression::to_string).collect::<Vec<_>>().join(", ")
    }

    fn open(&self, _task: &TaskContext, _metrics: &Arc<OperatorMetrics>) -> Result<Box<dyn OperatorState>> {
        Ok(Box::new(ProjectState { plan: self.plan.clone(), rewritten: None }))
    }
}

struct ProjectState {
    plan: Arc<ProjectPlan>,
    /// Common expressions (each reading the earlier ones) and outputs, for an input of that many columns.
    rewritten: Option<(usize, Vec<Expression>, Vec<Expression>)>,
}

impl OperatorState for ProjectState {
    fn push(&mut self, batch: Batch) -> Result<Flow> {
        if self.plan.common.is_empty() {
            let columns = evaluate_all(&self.plan.expressions, &batch)?;
            return Ok(Flow::Output(batch.with_columns(columns)));
        }
        let width = batch.columns().len();
        let (_, common, outputs) = match &self.rewritten {
            Some(rewritten) => rewritten,
            None => self.rewritten.insert(rewrite(&self.plan, width)),
        };
        let mut columns = batch.columns().to_vec();
        for expression in common {
            let column = evaluate(expression, &batch.with_columns(columns.clone()))?;
            columns.push(column);
        }
        let extended = batch.with_columns(columns);
        let outputs = evaluate_all(outputs, &extended)?;
        Ok(Flow::Output(batch.with_columns(outputs)))
    }
}

/// Smaller common expressions first, so that larger ones read them.
fn rewrite(plan: &ProjectPlan, width: usize) -> (usize, Vec<Expression>, Vec<Expression>) {
    fn size(expression: &Expression) -> usize {
        1 + expression.children().into_iter().map(size).sum::<usize>()
    }
    let mut ordered = plan.common.clone();
    ordered.sort_by_key(size);
    let common = ordered.iter().enumerate().map(|(i, e)| {
        let mut replaced = e.clone();
        replaced.children_mut().into_iter().for_each(|child| *child = replace(child, &ordered[..i], width));
        replaced
    });
    let common: Vec<Expression> = common.collect();
    let outputs = plan.expressions.iter().map(|e| replace(e, &ordered, width)).collect();
    (width, common, outputs)
}
