//! A tree of inner joins taken apart: leaves, conditions over their columns, and semi joins that only reduce.
//!
//! Columns of all leaves get *global* ordinals, leaf after leaf. Equalities of two columns form classes of columns that are equal in
//! every result row, so that any pair of a class can serve as join key; all other conditions are kept as they are.

use plasmon_core::Result;
use plasmon_core::expression::{CompareOp, Expression, Kind};
use plasmon_core::operators::join::JoinKind;

use super::simplify::is_volatile;
use super::statistics::{ColumnProfile, Estimates};
use crate::ir::{Join, Node, Relation, conjuncts};

/// A set of leaves, one bit each.
pub(super) type Leaves = u64;
/// More leaves than this stay in the order in which they are written.
pub(super) const LEAVES_MAX: usize = 64;
/// A semi join is done on its leaf when that leaves at most this share of it: testing the leaf's rows costs no more than testing those
/// of the joins, and all that is dropped is not joined.
const REDUCED_MAX: f64 = 0.9;
/// In a reducer's residual, its own right columns start here.
const RIGHT: usize = 1 << 40;

/// What a tree of inner joins consists of.
pub(super) struct JoinGraph<'a> {
    estimates: &'a Estimates,
    pub(super) leaves: Vec<Relation>,
    /// Estimated rows of each leaf.
    pub(super) rows: Vec<f64>,
    /// First global ordinal of each leaf.
    offsets: Vec<usize>,
    /// Profiles by global ordinal.
    pub(super) columns: Vec<ColumnProfile>,
    /// Conditions over global ordinals.
    conditions: Vec<Expression>,
    /// Columns that are equal in every result row.
    pub(super) classes: Vec<Vec<usize>>,
    /// Conditions that are no equality of two columns, with the leaves they read.
    pub(super) others: Vec<(Expression, Leaves)>,
    pub(super) reducers: Vec<Reducer>,
}

/// A semi or anti join of the tree's rows.
pub(super) struct Reducer {
    right: Relation,
    join: Join,
    /// Left keys and the left part of the residual read these leaves.
    pub(super) leaves: Leaves,
}

impl<'a> JoinGraph<'a> {
    /// An empty graph.
    pub(super) fn new(estimates: &'a Estimates) -> Self {
        JoinGraph {
            estimates,
            leaves: Vec::new(),
            rows: Vec::new(),
            offsets: Vec::new(),
            columns: Vec::new(),
            conditions: Vec::new(),
            classes: Vec::new(),
            others: Vec::new(),
            reducers: Vec::new(),
        }
    }

    /// Takes `relation` apart; leaves go through `optimize_leaf`. Returns the global ordinals of its output columns.
    pub(super) fn extract(
        &mut self,
        relation: Relation,
        optimize_leaf: &mut dyn FnMut(Relation) -> Result<Relation>,
    ) -> Result<Vec<usize>> {
        match relation.node {
            Node::Join { left, right, join } if is_plain_inner(&join) => {
                let left = self.extract(*left, optimize_leaf)?;
                let right = self.extract(*right, optimize_leaf)?;
                for (left_key, right_key) in join.left_keys.iter().zip(&join.right_keys) {
                    let key = Expression::compare(
                        CompareOp::Equal,
                        left_key.map_columns(&|c| left[c]),
                        right_key.map_columns(&|c| right[c]),
                    );
                    self.conditions.push(key);
                }
                let both: Vec<usize> = left.into_iter().chain(right).collect();
                if let Some(residual) = join.residual {
                    self.conditions.extend(conjuncts(residual.map_columns(&|c| both[c])));
                }
                Ok(both)
            }
            Node::Join { left, right, join } if is_reducer(&join) && holds_inner_join(&left) => {
                let columns = self.extract(*left, optimize_leaf)?;
                let width = columns.len();
                let global = |c: usize| if c < width { columns[c] } else { RIGHT + c - width };
                let left_keys = join.left_keys.iter().map(|k| k.map_columns(&|c| columns[c])).collect();
                let residual = join.residual.as_ref().map(|r| r.map_columns(&global));
                let join = Join { left_keys, residual, ..join };
                self.reducers.push(Reducer { right: optimize_leaf(*right)?, join, leaves: 0 });
                Ok(columns)
            }
            Node::Project { input, expressions } if expressions.iter().all(is_column) && holds_inner_join(&input) => {
                let columns = self.extract(*input, optimize_leaf)?;
                Ok(expressions.iter().flat_map(Expression::referenced_columns).map(|c| columns[c]).collect())
            }
            Node::Filter { input, predicate } if holds_inner_join(&input) && !is_volatile(&predicate) => {
                let columns = self.extract(*input, optimize_leaf)?;
                self.conditions.extend(conjuncts(predicate.map_columns(&|c| columns[c])));
                Ok(columns)
            }
            node => Ok(self.leaf(optimize_leaf(Relation { node, ..relation })?)),
        }
    }

    fn leaf(&mut self, relation: Relation) -> Vec<usize> {
        let profile = self.estimates.profile(&relation);
        let offset = self.columns.len();
        self.offsets.push(offset);
        self.rows.push(profile.rows);
        self.columns.extend(profile.columns);
        self.leaves.push(relation);
        (offset..self.columns.len()).collect()
    }

    /// Sorts the conditions: filters go onto their leaf, equalities into classes, reducers that pay onto their leaf.
    pub(super) fn classify(&mut self) {
        for condition in std::mem::take(&mut self.conditions) {
            let leaves = self.leaves_of(&condition);
            match column_pair(&condition) {
                Some((a, b)) if leaves.count_ones() == 2 => self.equal(a, b),
                _ if leaves.count_ones() == 1 => self.filter_leaf(leaves.trailing_zeros() as usize, condition),
                _ => self.others.push((condition, leaves)),
            }
        }
        self.equal_within_leaves();
        for reducer in &mut self.reducers {
            let left_residual =
                reducer.join.residual.iter().flat_map(Expression::referenced_columns).filter(|&c| c < RIGHT);
            let columns: Vec<usize> =
                reducer.join.left_keys.iter().flat_map(Expression::referenced_columns).chain(left_residual).collect();
            reducer.leaves =
                columns.iter().fold(0, |set, &c| set | 1 << (self.offsets.partition_point(|&offset| offset <= c) - 1));
        }
    }

    /// Moves reducers onto their leaf where that pays: they need one leaf alone, drop some of it, and the joins (which give
    /// `joined_rows`) have more rows to test than the leaf.
    pub(super) fn place_reducers(&mut self, joined_rows: f64) {
        for reducer in std::mem::take(&mut self.reducers) {
            let leaf = reducer.leaves.trailing_zeros() as usize;
            if reducer.leaves.count_ones() == 1 && joined_rows >= self.rows[leaf] {
                let reduced = self.reduced_leaf(leaf, &reducer);
                if self.estimates.profile(&reduced).rows <= REDUCED_MAX * self.rows[leaf] {
                    self.replace_leaf(leaf, |_| reduced);
                    continue;
                }
            }
            self.reducers.push(reducer);
        }
    }

    /// Puts two columns into one class.
    fn equal(&mut self, a: usize, b: usize) {
        let find = |classes: &[Vec<usize>], column: usize| classes.iter().position(|class| class.contains(&column));
        match (find(&self.classes, a), find(&self.classes, b)) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let merged = self.classes.swap_remove(x.max(y));
                self.classes[x.min(y)].extend(merged);
            }
            (Some(x), None) => self.classes[x].push(b),
            (None, Some(y)) => self.classes[y].push(a),
            (None, None) => self.classes.push(vec![a, b]),
        }
    }

    /// Two columns of one leaf in one class: the leaf has to check them itself, as a join looks at one of them only.
    fn equal_within_leaves(&mut self) {
        for class in self.classes.clone() {
            for (i, &a) in class.iter().enumerate() {
                if let Some(&b) = class[..i].iter().find(|&&b| self.leaf_of(a) == self.leaf_of(b)) {
                    let condition = Expression::compare(CompareOp::Equal, self.column(b), self.column(a));
                    self.filter_leaf(self.leaf_of(a), condition);
                }
            }
        }
    }

    fn filter_leaf(&mut self, leaf: usize, condition: Expression) {
        let offset = self.offsets[leaf];
        self.replace_leaf(leaf, |relation| relation.filter(condition.map_columns(&|c| c - offset)));
    }

    fn replace_leaf(&mut self, leaf: usize, change: impl FnOnce(Relation) -> Relation) {
        let hole = Relation::new(Node::Empty { one_row: false }, self.leaves[leaf].schema.clone());
        let relation = change(std::mem::replace(&mut self.leaves[leaf], hole));
        let profile = self.estimates.profile(&relation);
        self.rows[leaf] = profile.rows;
        let offset = self.offsets[leaf];
        self.columns[offset..offset + profile.columns.len()].clone_from_slice(&profile.columns);
        self.leaves[leaf] = relation;
    }

    fn reduced_leaf(&self, leaf: usize, reducer: &Reducer) -> Relation {
        let globals: Vec<usize> =
            (0..self.leaves[leaf].schema.fields().len()).map(|c| self.offsets[leaf] + c).collect();
        reducer.apply(self.leaves[leaf].clone(), &globals)
    }

    /// For the classes that both sets have a column of: one column of each set. Columns of one leaf are preferred: together they may be a
    /// key, which columns of several leaves never are; then those with the fewest values, which bound their equals.
    pub(super) fn key_columns(&self, left: Leaves, right: Leaves) -> Vec<(usize, usize)> {
        let members = |class: &[usize], side: Leaves| {
            class.iter().copied().filter(|&c| side >> self.leaf_of(c) & 1 == 1).collect::<Vec<_>>()
        };
        let shared: Vec<(Vec<usize>, Vec<usize>)> = self
            .classes
            .iter()
            .map(|class| (members(class, left), members(class, right)))
            .filter(|(l, r)| !l.is_empty() && !r.is_empty())
            .collect();
        let pick = |candidates: &[&Vec<usize>]| -> Vec<usize> {
            let coverage = |column: usize| {
                candidates.iter().filter(|c| c.iter().any(|&other| self.leaf_of(other) == self.leaf_of(column))).count()
            };
            let rank = |column: usize| (usize::MAX - coverage(column), self.columns[column].domain_or_guess());
            let best = |c: &&Vec<usize>| {
                c.iter().copied().min_by(|&a, &b| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal))
            };
            candidates.iter().filter_map(best).collect()
        };
        let (lefts, rights): (Vec<_>, Vec<_>) = shared.iter().map(|(l, r)| (l, r)).unzip();
        pick(&lefts).into_iter().zip(pick(&rights)).collect()
    }

    /// Global ordinals of a leaf's columns.
    pub(super) fn leaf_columns(&self, leaf: usize) -> Vec<usize> {
        let offset = self.offsets[leaf];
        (offset..offset + self.leaves[leaf].schema.fields().len()).collect()
    }

    /// The leaf that a column belongs to.
    pub(super) fn leaf_of(&self, column: usize) -> usize {
        self.offsets.partition_point(|&offset| offset <= column) - 1
    }

    /// A reference to a global column.
    pub(super) fn column(&self, column: usize) -> Expression {
        let leaf = self.leaf_of(column);
        Expression::column(column, self.leaves[leaf].schema.field(column - self.offsets[leaf]).data_type().clone())
    }

    pub(super) fn leaves_of(&self, expression: &Expression) -> Leaves {
        expression.referenced_columns().into_iter().fold(0, |set, c| set | 1 << self.leaf_of(c))
    }
}

impl Reducer {
    /// The semi or anti join over rows whose columns have these global ordinals.
    pub(super) fn apply(&self, input: Relation, globals: &[usize]) -> Relation {
        let local = |c: usize| globals.iter().position(|&g| g == c).unwrap_or(c);
        let width = globals.len();
        let join = Join {
            left_keys: self.join.left_keys.iter().map(|k| k.map_columns(&local)).collect(),
            residual: self
                .join
                .residual
                .as_ref()
                .map(|r| r.map_columns(&|c| if c >= RIGHT { c - RIGHT + width } else { local(c) })),
            ..self.join.clone()
        };
        let schema = input.schema.clone();
        Relation::new(Node::Join { left: Box::new(input), right: Box::new(self.right.clone()), join }, schema)
    }
}

fn is_plain_inner(join: &Join) -> bool {
    join.kind == JoinKind::Inner
        && join.projection.is_none()
        && !join.null_equal.contains(&true)
        && !join.residual.as_ref().is_some_and(is_volatile)
}

fn is_reducer(join: &Join) -> bool {
    matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti)
        && join.projection.is_none()
        && !join.left_keys.is_empty()
}

fn is_column(expression: &Expression) -> bool {
    matches!(expression.kind, Kind::Column(_))
}

/// Whether a relation is a tree that [`JoinGraph::extract`] takes apart.
pub(super) fn holds_inner_join(relation: &Relation) -> bool {
    match &relation.node {
        Node::Join { join, .. } if is_plain_inner(join) => true,
        Node::Join { left, join, .. } if is_reducer(join) => holds_inner_join(left),
        Node::Project { input, expressions } => expressions.iter().all(is_column) && holds_inner_join(input),
        Node::Filter { input, predicate } => !is_volatile(predicate) && holds_inner_join(input),
        _ => false,
    }
}

/// Number of leaves that a tree would be taken apart into.
pub(super) fn leaf_count(relation: &Relation) -> usize {
    match &relation.node {
        Node::Join { left, right, join } if is_plain_inner(join) => leaf_count(left) + leaf_count(right),
        _ if !holds_inner_join(relation) => 1,
        Node::Join { left: input, .. } | Node::Project { input, .. } | Node::Filter { input, .. } => leaf_count(input),
        _ => 1,
    }
}

/// `column = column` of one type.
fn column_pair(condition: &Expression) -> Option<(usize, usize)> {
    match &condition.kind {
        Kind::Compare { op: CompareOp::Equal, left, right } if left.data_type == right.data_type => {
            match (&left.kind, &right.kind) {
                (Kind::Column(a), Kind::Column(b)) => Some((*a, *b)),
                _ => None,
            }
        }
        _ => None,
    }
}
