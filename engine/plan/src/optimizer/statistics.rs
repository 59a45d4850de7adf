//! Estimates: how many rows a relation gives and how many distinct values its columns hold.
//!
//! Base tables give row counts, bounds and (where the files know) distinct counts. A column keeps the size of its *domain*, the distinct
//! values it had in its base table, through filters and joins: a join's size is |L|·|R| / domain, with the domain taken from the side
//! whose key is unique (a foreign key cannot hold more values than the key it refers to, whatever its own statistics guess).

use std::cell::RefCell;

use arrow::datatypes::{DataType, SchemaRef};
use plasmon_core::batch::{Physical, physical_type};
use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::table::{ColumnStatistics, Table, TableStatistics};
use plasmon_core::{Config, Result};

use super::selectivity::{Bounds, scalar_position, selectivity};
use crate::ir::{Join, Node, Plan, Relation, types};

/// Rows of a table that does not tell.
const UNKNOWN_ROWS: f64 = 100_000.0;
/// Rows of a recursive query's work table.
const WORK_TABLE_ROWS: f64 = 1_000.0;

/// Estimates stop here: products of two of them are still numbers.
const ROWS_MAX: f64 = 1e100;

/// The least rows and the most bits a row for which a column's compressed size tells of its values.
const BYTES_TELL_ROWS: f64 = 10_000.0;
const BYTES_TELL_BITS: f64 = 14.0;

/// What is estimated of one column.
#[derive(Debug, Clone)]
pub(super) struct ColumnProfile {
    /// Distinct values in the base relation, if there is any ground to guess.
    pub(super) domain: Option<f64>,
    /// Rows of the base relation, and an identity for it.
    pub(super) base_rows: f64,
    pub(super) base: usize,
    pub(super) bounds: Option<Bounds>,
    pub(super) null_fraction: f64,
}

impl ColumnProfile {
    /// Distinct values, with a guess where nothing is known.
    pub(super) fn domain_or_guess(&self) -> f64 {
        self.domain.unwrap_or_else(|| self.base_rows.powf(0.75)).max(1.0)
    }
}

/// What is estimated of a relation.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) rows: f64,
    pub(super) columns: Vec<ColumnProfile>,
}

/// Sets `estimated_rows` on every node.
pub(super) fn run(mut plan: Plan, _: &Config) -> Result<Plan> {
    let estimates = Estimates::of(&plan);
    plan.shared.iter_mut().for_each(|relation| drop(estimates.annotate(relation)));
    plan.subqueries.iter_mut().for_each(|(_, relation)| drop(estimates.annotate(relation)));
    estimates.annotate(&mut plan.root);
    Ok(plan)
}

/// Estimates of the relations of one plan; they need the plan only for its shared relations.
pub(super) struct Estimates {
    shared: Vec<Relation>,
    /// Profiles of the shared relations, made on first need.
    profiles: RefCell<Vec<Option<Profile>>>,
}

impl Estimates {
    pub(super) fn of(plan: &Plan) -> Self {
        Estimates { shared: plan.shared.clone(), profiles: RefCell::new(vec![None; plan.shared.len()]) }
    }

    /// The estimate of one relation tree.
    pub(super) fn profile(&self, relation: &Relation) -> Profile {
        let inputs = relation.children().into_iter().map(|c| self.profile(c)).collect();
        self.node(relation, inputs)
    }

    fn shared(&self, index: usize) -> Option<Profile> {
        if let Some(known) = self.profiles.borrow().get(index).cloned().flatten() {
            return Some(known);
        }
        let profile = self.profile(self.shared.get(index)?);
        self.profiles.borrow_mut()[index] = Some(profile.clone());
        Some(profile)
    }

    fn annotate(&self, relation: &mut Relation) -> Profile {
        let inputs: Vec<Profile> = relation.children_mut().into_iter().map(|c| self.annotate(c)).collect();
        let profile = self.node(relation, inputs);
        relation.estimated_rows = Some(profile.rows);
        profile
    }

    /// The estimate of a relation whose inputs have these.
    pub(super) fn node(&self, relation: &Relation, inputs: Vec<Profile>) -> Profile {
        let mut profile = self.unbounded(relation, inputs);
        profile.rows = profile.rows.min(ROWS_MAX);
        profile
    }

    fn unbounded(&self, relation: &Relation, mut inputs: Vec<Profile>) -> Profile {
        let width = relation.schema.fields().len();
        match &relation.node {
            Node::Scan { table, projection, filters, fetch, .. } => {
                scan_profile(table.as_ref(), projection, filters, *fetch)
            }
            Node::Values { rows } => Profile::fresh(rows.len() as f64, width),
            Node::Empty { one_row } => Profile::fresh(f64::from(u8::from(*one_row)), width),
            Node::WorkTable { .. } => Profile::fresh(WORK_TABLE_ROWS, width),
            Node::SharedScan { index } => self.shared(*index).unwrap_or_else(|| Profile::fresh(WORK_TABLE_ROWS, width)),
            Node::Filter { predicate, .. } => {
                let mut input = inputs.remove(0);
                input.rows *= selectivity(std::slice::from_ref(predicate), &input.columns);
                input
            }
            Node::Project { expressions, .. } => {
                let input = inputs.remove(0);
                let columns = expressions.iter().map(|e| expression_profile(e, &input)).collect();
                Profile { rows: input.rows, columns }
            }
            Node::Join { join, .. } => {
                let right = inputs.remove(1);
                join_profile(&inputs[0], &right, join)
            }
            Node::Aggregate { group_by, grouping_sets, .. } => {
                aggregate_profile(&inputs[0], group_by, grouping_sets.len(), width)
            }
            Node::Sort { offset, fetch, .. } | Node::Limit { offset, fetch, .. } => {
                let mut input = inputs.remove(0);
                input.rows = (input.rows - *offset as f64).max(0.0).min(fetch.map_or(f64::INFINITY, |f| f as f64));
                input
            }
            Node::Exchange { .. } => inputs.remove(0),
            Node::Expand { projections, .. } => {
                let input = inputs.remove(0);
                Profile::fresh(input.rows * projections.len() as f64, width)
            }
            Node::ShuffleWrite { write, .. } => Profile::fresh(inputs[0].rows.min(write.partitions as f64), width),
            Node::Union { .. } => {
                let rows = inputs.iter().map(|i| i.rows).sum();
                let mut profile = inputs.remove(0);
                profile.rows = rows;
                profile
            }
            Node::Window { functions, .. } => {
                let mut input = inputs.remove(0);
                let fresh = Profile::fresh(input.rows, functions.len());
                input.columns.extend(fresh.columns);
                input
            }
            Node::Unnest { .. } => Profile::fresh(inputs[0].rows * 4.0, width),
            Node::Recursive { .. } => Profile::fresh(inputs[0].rows * 10.0, width),
        }
    }
}

/// What a row costs a hash table besides its width, in words of 8 bytes.
pub(super) const ROW_WORDS: f64 = 4.0;

/// Words of 8 bytes in a row.
pub(super) fn row_words(schema: &SchemaRef) -> f64 {
    types(schema).map(type_words).sum()
}

/// Words of 8 bytes in a value; texts count for four, as their bytes are touched, too.
pub(super) fn type_words(data_type: &DataType) -> f64 {
    if physical_type(data_type) == Physical::View { 4.0 } else { 1.0 }
}

impl Profile {
    /// A relation of whose columns nothing is known.
    fn fresh(rows: f64, width: usize) -> Self {
        let column =
            ColumnProfile { domain: None, base_rows: rows, base: next_base(), bounds: None, null_fraction: 0.0 };
        Profile { rows, columns: vec![column; width] }
    }

    /// The columns in a join's result, where a share of the rows has nulls in place of them.
    fn padded(&self, share: f64) -> Profile {
        let padded = |column: &ColumnProfile| {
            let null_fraction = (1.0 - (1.0 - share) * (1.0 - column.null_fraction)).clamp(0.0, 1.0);
            ColumnProfile { null_fraction, ..column.clone() }
        };
        Profile { rows: self.rows, columns: self.columns.iter().map(padded).collect() }
    }

    /// The profile with more columns after its own.
    fn with(&self, other: &Profile, rows: f64) -> Profile {
        Profile { rows, columns: self.columns.iter().chain(&other.columns).cloned().collect() }
    }
}

/// A new identity for a base relation.
fn next_base() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed)
}

fn scan_profile(table: &dyn Table, projection: &[usize], filters: &[Expression], fetch: Option<usize>) -> Profile {
    let statistics = table.statistics();
    let base_rows = base_rows(&statistics);
    let base = next_base();
    let mut all: Vec<ColumnProfile> =
        (0..table.schema().fields().len()).map(|c| column_profile(&statistics, c, base_rows, base)).collect();
    // The row number, where there is one.
    all.push(ColumnProfile { domain: Some(base_rows.max(1.0)), base_rows, base, bounds: None, null_fraction: 0.0 });
    let mut rows = base_rows * selectivity(filters, &all);
    if base_rows >= 1.0 {
        rows = rows.max(1.0);
    }
    if let Some(fetch) = fetch {
        rows = rows.min(fetch as f64);
    }
    Profile { rows, columns: projection.iter().map(|&c| all[c].clone()).collect() }
}

fn base_rows(statistics: &TableStatistics) -> f64 {
    match (statistics.rows, statistics.bytes) {
        (Some(rows), _) => rows as f64,
        (None, Some(bytes)) => (bytes as f64 / 50.0).max(1.0),
        (None, None) => UNKNOWN_ROWS,
    }
}

fn column_profile(statistics: &TableStatistics, column: usize, base_rows: f64, base: usize) -> ColumnProfile {
    let unknown = ColumnProfile { domain: None, base_rows, base, bounds: None, null_fraction: 0.0 };
    let Some(known) = statistics.columns.get(column) else { return unknown };
    let bounds = match (known.min.as_ref().and_then(scalar_position), known.max.as_ref().and_then(scalar_position)) {
        (Some((min, is_integer)), Some((max, _))) => Some(Bounds { min, max, is_integer }),
        _ => None,
    };
    // No more distinct integers than fit between the bounds.
    let spread = bounds.filter(|b| b.is_integer).map(|b| (b.max - b.min + 1.0).max(1.0).min(base_rows));
    let domain = match (known.distinct.map(|d| (d as f64).max(1.0)), spread) {
        (Some(distinct), Some(spread)) => Some(distinct.min(spread)),
        (distinct, spread) => distinct.or(spread).or_else(|| domain_by_bytes(known, base_rows)),
    };
    let null_fraction = known.nulls.map_or(0.0, |n| n as f64 / base_rows.max(1.0)).clamp(0.0, 1.0);
    ColumnProfile { domain, bounds, null_fraction, ..unknown }
}

/// The distinct values of a column of which only the compressed size is known: dictionary codes take as many bits as it takes to tell the
/// values apart, so few bits a row mean few values. Columns in order (long runs) and small ones (headers weigh) tell nothing.
fn domain_by_bytes(known: &ColumnStatistics, base_rows: f64) -> Option<f64> {
    let bits = known.bytes? as f64 * 8.0 / base_rows.max(1.0);
    let tells = base_rows >= BYTES_TELL_ROWS && !known.is_clustered && bits <= BYTES_TELL_BITS;
    tells.then(|| bits.exp2().max(2.0))
}

fn expression_profile(expression: &Expression, input: &Profile) -> ColumnProfile {
    if let Kind::Column(index) = expression.kind
        && let Some(column) = input.columns.get(index)
    {
        return column.clone();
    }
    // A function of one column has no more values than the column.
    let domain = match expression.referenced_columns().as_slice() {
        [] => Some(1.0),
        [column] => input.columns.get(*column).and_then(|c| c.domain),
        _ => None,
    };
    ColumnProfile { domain, base_rows: input.rows, base: next_base(), bounds: None, null_fraction: 0.0 }
}

/// Distinct combinations of some columns in their base relations, and whether they are a key there.
pub(super) fn composite_domain(columns: &[&ColumnProfile]) -> (f64, bool) {
    let mut bases: Vec<(usize, f64, f64)> = Vec::new();
    for column in columns {
        let domain = column.domain_or_guess();
        match bases.iter_mut().find(|(base, ..)| *base == column.base) {
            Some((_, combined, _)) => *combined *= domain,
            None => bases.push((column.base, domain, column.base_rows)),
        }
    }
    let is_unique = matches!(bases.as_slice(), [(_, domain, rows)] if *domain >= 0.9 * rows)
        && columns.iter().all(|c| c.domain.is_some());
    (bases.iter().map(|(_, domain, rows)| domain.min(rows.max(1.0))).product(), is_unique)
}

/// The share of the cross product that an equality of these columns keeps.
pub(super) fn equality_selectivity(left: &[&ColumnProfile], right: &[&ColumnProfile]) -> f64 {
    let ((left_domain, left_unique), (right_domain, right_unique)) = (composite_domain(left), composite_domain(right));
    let domain = match (left_unique, right_unique) {
        (true, true) => left_domain.min(right_domain),
        (true, false) => left_domain,
        (false, true) => right_domain,
        (false, false) => left_domain.max(right_domain),
    };
    1.0 / domain.max(1.0)
}

/// The share of left rows that have a partner among `right_rows` rows.
pub(super) fn match_fraction(left: &[&ColumnProfile], right: &[&ColumnProfile], right_rows: f64) -> f64 {
    let domain = 1.0 / equality_selectivity(left, right);
    // Rows spread over the domain: the expected share of it that is hit.
    (1.0 - (-right_rows / domain).exp()).clamp(0.0, 1.0)
}

fn join_profile(left: &Profile, right: &Profile, join: &Join) -> Profile {
    let left_keys: Vec<ColumnProfile> = join.left_keys.iter().map(|k| expression_profile(k, left)).collect();
    let right_keys: Vec<ColumnProfile> = join.right_keys.iter().map(|k| expression_profile(k, right)).collect();
    let (left_refs, right_refs): (Vec<_>, Vec<_>) = (left_keys.iter().collect(), right_keys.iter().collect());
    let both = left.with(right, 0.0);
    let residual = join.residual.as_ref().map_or(1.0, |r| selectivity(std::slice::from_ref(r), &both.columns));
    let equality = if left_refs.is_empty() { 1.0 } else { equality_selectivity(&left_refs, &right_refs) };
    let matched = left.rows * right.rows * equality * residual;
    let semi = |from: &Profile, own: &[&ColumnProfile], other: &[&ColumnProfile], other_rows: f64| {
        if own.is_empty() { from.rows * 0.5 } else { from.rows * match_fraction(own, other, other_rows * residual) }
    };
    let unmatched_left = || 1.0 - semi(left, &left_refs, &right_refs, right.rows) / left.rows.max(1.0);
    let unmatched_right = || 1.0 - semi(right, &right_refs, &left_refs, left.rows) / right.rows.max(1.0);
    let mark = || Profile::fresh(0.0, 1);
    let mut profile = match join.kind {
        JoinKind::Inner => left.with(right, matched),
        JoinKind::Left => left.with(&right.padded(unmatched_left()), matched.max(left.rows)),
        JoinKind::Right => left.padded(unmatched_right()).with(right, matched.max(right.rows)),
        JoinKind::Full => left
            .padded(unmatched_right())
            .with(&right.padded(unmatched_left()), matched.max(left.rows + right.rows * 0.1).max(right.rows)),
        JoinKind::LeftSemi => Profile { rows: semi(left, &left_refs, &right_refs, right.rows), ..left.clone() },
        JoinKind::LeftAnti => Profile {
            rows: (left.rows - semi(left, &left_refs, &right_refs, right.rows)).max(left.rows * 0.05),
            ..left.clone()
        },
        JoinKind::LeftMark => left.with(&mark(), left.rows),
        JoinKind::RightSemi => Profile { rows: semi(right, &right_refs, &left_refs, left.rows), ..right.clone() },
        JoinKind::RightAnti => Profile {
            rows: (right.rows - semi(right, &right_refs, &left_refs, left.rows)).max(right.rows * 0.05),
            ..right.clone()
        },
        JoinKind::RightMark => right.with(&mark(), right.rows),
    };
    if let Some(projection) = &join.projection {
        profile.columns = projection.iter().map(|&c| profile.columns[c].clone()).collect();
    }
    profile
}

/// The estimate of groups of an input, of `width` columns.
pub(super) fn aggregate_profile(
    input: &Profile,
    group_by: &[Expression],
    grouping_sets: usize,
    width: usize,
) -> Profile {
    let mut keys: Vec<ColumnProfile> = group_by.iter().map(|k| expression_profile(k, input)).collect();
    let domain = composite_domain(&keys.iter().collect::<Vec<_>>()).0.max(1.0);
    let groups = if group_by.is_empty() {
        1.0
    } else {
        (domain * (1.0 - (-input.rows / domain).exp())).clamp(input.rows.min(1.0), input.rows.max(0.0))
    };
    let rows = groups * grouping_sets.max(1) as f64;
    // The only key is unique in the output; a filter above does not make its domain smaller.
    if let [key] = keys.as_mut_slice() {
        let domain = key.domain_or_guess().min(groups.max(1.0));
        *key = ColumnProfile { domain: Some(domain), base_rows: domain, base: next_base(), ..key.clone() };
    }
    let rest = Profile::fresh(rows, width - keys.len());
    Profile { rows, columns: keys.into_iter().chain(rest.columns).collect() }
}
