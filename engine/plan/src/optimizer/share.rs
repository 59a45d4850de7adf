//! Sub-plans that occur more than once are computed once, kept, and read by each of their readers.
//!
//! The trees come as the SQL front end left them, each occurrence with its own pruned columns and computed projections. So relations are
//! compared by a *form* that leaves columns out: what is scanned, filtered, joined, grouped. A column of a form has an identity, and each
//! occurrence says which expressions over those identities it gives. The shared relation is made anew from the form, with every
//! expression that some occurrence wants; filters that only one occurrence has stay above its reader.
//!
//! A reader of a shared relation cannot be narrowed by runtime filters, and the rows are kept in memory. So only relations that reduce
//! what they read are shared: those that end in an aggregate or a window, and joins that give a small share of the rows scanned.

use std::collections::HashMap;

use plasmon_core::expression::Expression;
use plasmon_core::{Config, Result};

use super::form::{Canonical, Form, Forms};
use super::statistics::Estimates;
use crate::ir::{Node, Plan, Relation};

/// A join is shared when it gives at most this share of the rows that it scans.
const JOIN_SHARE_MAX: f64 = 0.1;

/// More shared relations than this are not looked for: each costs a walk over the plan.
const SHARED_MAX: usize = 32;

pub(super) fn run(mut plan: Plan, _: &Config) -> Result<Plan> {
    // Each round shares one form, so that what occurs twice only inside of it is not shared on its own.
    for _ in 0..SHARED_MAX {
        let shared = plan.shared.len();
        plan = share_one(plan)?;
        if plan.shared.len() == shared {
            break;
        }
    }
    Ok(plan)
}

/// Where a form occurs: its number, the relation's size, and the expressions it gives.
struct Occurrence {
    form: usize,
    size: usize,
    columns: Vec<Expression>,
}

fn share_one(plan: Plan) -> Result<Plan> {
    let mut forms = Forms::default();
    let mut occurrences = Vec::new();
    for tree in trees(&plan) {
        let canonical = forms.of(tree, &mut |relation, canonical| note(&mut occurrences, relation, canonical));
        note(&mut occurrences, tree, &canonical);
    }
    let Some(form) = largest_repeated(&occurrences, &forms, &plan) else { return Ok(plan) };
    let mut columns: Vec<Expression> = Vec::new();
    for expression in occurrences.iter().filter(|o| o.form == form).flat_map(|o| &o.columns) {
        if !columns.contains(expression) {
            columns.push(expression.clone());
        }
    }
    let shared = forms.relation(form, &columns)?;
    let mut reader = Reader { forms, form, columns, index: plan.shared.len(), schema: shared.schema.clone() };
    let mut plan = plan.map_trees(&mut |tree| reader.replace(tree))?;
    plan.shared.push(shared);
    Ok(plan)
}

fn trees(plan: &Plan) -> impl Iterator<Item = &Relation> {
    plan.subqueries.iter().map(|(_, r)| r).chain(&plan.shared).chain([&plan.root])
}

fn note(occurrences: &mut Vec<Occurrence>, relation: &Relation, canonical: &Canonical) {
    if let Some(form) = canonical.form {
        occurrences.push(Occurrence { form, size: size(relation), columns: canonical.columns.clone() });
    }
}

fn size(relation: &Relation) -> usize {
    1 + relation.children().into_iter().map(size).sum::<usize>()
}

/// The form of the largest relation that occurs more than once and is worth keeping.
fn largest_repeated(occurrences: &[Occurrence], forms: &Forms, plan: &Plan) -> Option<usize> {
    let mut counts: HashMap<usize, (usize, usize)> = HashMap::new();
    for occurrence in occurrences {
        let entry = counts.entry(occurrence.form).or_default();
        *entry = (entry.0 + 1, entry.1.max(occurrence.size));
    }
    let mut repeated: Vec<(usize, usize)> =
        counts.into_iter().filter(|(_, (count, _))| *count > 1).map(|(form, (_, size))| (size, form)).collect();
    repeated.sort_unstable_by(|a, b| b.cmp(a));
    let estimates = Estimates::of(plan);
    repeated.into_iter().map(|(_, form)| form).find(|&form| is_worth_keeping(form, forms, &estimates))
}

fn is_worth_keeping(form: usize, forms: &Forms, estimates: &Estimates) -> bool {
    match forms.form(form) {
        Form::Aggregate { .. } | Form::Window { .. } => true,
        Form::Filter { input, .. } => is_worth_keeping(*input, forms, estimates),
        Form::Union { inputs } => inputs.iter().all(|(input, _)| is_worth_keeping(*input, forms, estimates)),
        Form::Join { .. } => {
            let Ok(relation) = forms.relation(form, &[]) else { return false };
            estimates.profile(&relation).rows <= JOIN_SHARE_MAX * scanned_rows(&relation, estimates)
        }
        Form::Scan { .. } | Form::Shared { .. } => false,
    }
}

/// Rows of the tables under a relation, before their filters.
fn scanned_rows(relation: &Relation, estimates: &Estimates) -> f64 {
    match &relation.node {
        Node::Scan { table, .. } => table.statistics().rows.map_or(0.0, |rows| rows as f64),
        Node::SharedScan { .. } => estimates.profile(relation).rows,
        _ => relation.children().into_iter().map(|c| scanned_rows(c, estimates)).sum(),
    }
}

/// Puts readers in the place of a form's occurrences.
struct Reader {
    forms: Forms,
    form: usize,
    /// What the shared relation gives.
    columns: Vec<Expression>,
    index: usize,
    schema: arrow::datatypes::SchemaRef,
}

impl Reader {
    fn replace(&mut self, relation: Relation) -> Result<Relation> {
        // What a recursive query repeats is lowered anew in each round.
        if matches!(relation.node, Node::Recursive { .. }) {
            return Ok(relation);
        }
        let canonical = self.forms.of(&relation, &mut |_, _| {});
        if canonical.form != Some(self.form) {
            return relation.map_children(&mut |child| self.replace(child));
        }
        let position = |expression: &Expression| self.columns.iter().position(|c| c == expression);
        let Some(places) = canonical.columns.iter().map(position).collect::<Option<Vec<usize>>>() else {
            return relation.map_children(&mut |child| self.replace(child));
        };
        let scan = Relation::new(Node::SharedScan { index: self.index }, self.schema.clone());
        Ok(scan.project_columns(places).with_schema(relation.schema))
    }
}
