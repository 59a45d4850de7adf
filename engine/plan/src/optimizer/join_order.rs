//! The order of inner joins: exact by dynamic programming for up to [`EXACT_MAX`] connected relations, greedy beyond; bushy trees.
//!
//! The cost of a tree is the sum over its joins of the rows they give and, weighted, the rows they build a table of. Relations without
//! a condition between them are joined last, smallest first. A semi or anti join above the tree that needs one relation alone and drops
//! half of it is done on that relation; others are done on top.

use plasmon_core::expression::{CompareOp, Expression, Kind};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Config, Result};

use super::join_graph::{JoinGraph, LEAVES_MAX, Leaves, holds_inner_join, leaf_count};
use super::selectivity::selectivity;
use super::statistics::{ColumnProfile, Estimates, equality_selectivity, row_words};
use crate::ir::{Join, Node, Plan, Relation, schema_with};

/// Relations up to which every order is considered: 3^11 pairs of sets are a few milliseconds.
const EXACT_MAX: usize = 11;
/// What building a row of a hash table costs, in rows given, and what each 8 bytes of the row add.
const BUILD_COST: f64 = 1.2;
const BUILD_WORD_COST: f64 = 0.05;
/// The share kept by an equality of expressions of which nothing is known.
const EXPRESSION_EQUALITY: f64 = 0.01;

pub(super) fn run(plan: Plan, _: &Config) -> Result<Plan> {
    let estimates = Estimates::of(&plan);
    plan.map_trees(&mut |relation| reorder(relation, &estimates))
}

fn reorder(relation: Relation, estimates: &Estimates) -> Result<Relation> {
    let mut within = |relation| reorder(relation, estimates);
    if !holds_inner_join(&relation) || leaf_count(&relation) > LEAVES_MAX {
        return relation.map_children(&mut within);
    }
    let schema = relation.schema.clone();
    let mut graph = JoinGraph::new(estimates);
    let outputs = graph.extract(relation, &mut within)?;
    graph.classify();
    let everything = (0..graph.leaves.len()).fold(0, |set, leaf| set | 1 << leaf);
    let joined_rows = Search { graph: &graph }.rows(everything);
    graph.place_reducers(joined_rows);
    let tree = Search { graph: &graph }.best_tree();
    let mut joined = Builder { graph: &graph, used: vec![false; graph.others.len()] }.finish(&tree);
    for reducer in &graph.reducers {
        joined.relation = reducer.apply(joined.relation, &joined.globals);
    }
    let position = |column: usize| joined.globals.iter().position(|&g| g == column).unwrap_or(0);
    let order: Vec<usize> = outputs.into_iter().map(position).collect();
    Ok(joined.relation.project_columns(order).with_schema(schema))
}

/// An order of joins.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(usize),
    Pair(Box<Tree>, Box<Tree>),
}

/// The best tree for a set of leaves.
#[derive(Debug, Clone)]
struct Candidate {
    tree: Tree,
    leaves: Leaves,
    rows: f64,
    /// Words of 8 bytes in a row.
    width: f64,
    cost: f64,
}

impl Candidate {
    fn joined(&self, other: &Candidate, rows: f64) -> Candidate {
        // Left probes, right is built.
        let (probe, build) = if self.rows >= other.rows { (self, other) } else { (other, self) };
        Candidate {
            tree: Tree::Pair(Box::new(probe.tree.clone()), Box::new(build.tree.clone())),
            leaves: self.leaves | other.leaves,
            rows,
            width: self.width + other.width,
            cost: pair_cost(self.cost, other.cost, rows, build.rows, build.width),
        }
    }
}

fn pair_cost(a: f64, b: f64, rows: f64, build_rows: f64, build_width: f64) -> f64 {
    a + b + rows + (BUILD_COST + BUILD_WORD_COST * build_width) * build_rows
}

struct Search<'a> {
    graph: &'a JoinGraph<'a>,
}

impl Search<'_> {
    fn best_tree(&self) -> Tree {
        let mut parts: Vec<Candidate> = self
            .components()
            .into_iter()
            .map(|component| {
                if component.count_ones() as usize <= EXACT_MAX {
                    self.exact(component)
                } else {
                    self.greedy(component)
                }
            })
            .collect();
        // The largest part probes the others, smallest first.
        parts.sort_by(|a, b| a.rows.total_cmp(&b.rows));
        let largest = parts.pop();
        let joined = parts
            .into_iter()
            .fold(largest, |all, part| all.map(|all| all.joined(&part, self.rows(all.leaves | part.leaves))));
        joined.map_or(Tree::Leaf(0), |c| c.tree)
    }

    fn leaf(&self, leaf: usize) -> Candidate {
        Candidate {
            tree: Tree::Leaf(leaf),
            leaves: 1 << leaf,
            rows: self.graph.rows[leaf],
            width: self.width(leaf),
            cost: 0.0,
        }
    }

    fn width(&self, leaf: usize) -> f64 {
        row_words(&self.graph.leaves[leaf].schema)
    }

    /// Every split of every connected subset, small subsets first.
    fn exact(&self, component: Leaves) -> Candidate {
        let members: Vec<usize> = ones(component).collect();
        let count = members.len();
        let spread = |subset: usize| {
            members.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1).fold(0, |set, (_, &leaf)| set | 1 << leaf)
        };
        // Splits only, as trees of indices; the tree is made once at the end.
        let mut best: Vec<Option<Split>> = vec![None; 1 << count];
        for subset in 1..1_usize << count {
            if subset.is_power_of_two() {
                let leaf = members[subset.trailing_zeros() as usize];
                best[subset] =
                    Some(Split { left: 0, right: 0, rows: self.graph.rows[leaf], width: self.width(leaf), cost: 0.0 });
                continue;
            }
            let mut rows = None;
            // Each unordered split once: the left part holds the lowest member.
            let lowest = subset & subset.wrapping_neg();
            let rest = subset ^ lowest;
            let mut part = rest;
            while part > 0 {
                let (left, right) = (subset ^ part, part);
                part = (part - 1) & rest;
                let (Some(a), Some(b)) = (&best[left], &best[right]) else { continue };
                if !self.connected(spread(left), spread(right)) {
                    continue;
                }
                let rows = *rows.get_or_insert_with(|| self.rows(spread(subset)));
                let build = if b.rows <= a.rows { b } else { a };
                let cost = pair_cost(a.cost, b.cost, rows, build.rows, build.width);
                if best[subset].as_ref().is_none_or(|known| cost < known.cost) {
                    best[subset] = Some(Split { left, right, rows, width: a.width + b.width, cost });
                }
            }
        }
        self.candidate(&best, &members, (1 << count) - 1)
    }

    fn candidate(&self, best: &[Option<Split>], members: &[usize], subset: usize) -> Candidate {
        match &best[subset] {
            Some(Split { left, right, rows, .. }) if *right != 0 => {
                self.candidate(best, members, *left).joined(&self.candidate(best, members, *right), *rows)
            }
            _ => self.leaf(members[subset.trailing_zeros() as usize]),
        }
    }

    /// Joins the pair that gives the fewest rows, again and again.
    fn greedy(&self, component: Leaves) -> Candidate {
        let mut parts: Vec<Candidate> = ones(component).map(|leaf| self.leaf(leaf)).collect();
        while parts.len() > 1 {
            let mut best: Option<(usize, usize, f64, f64)> = None;
            for a in 0..parts.len() {
                for b in a + 1..parts.len() {
                    if !self.connected(parts[a].leaves, parts[b].leaves) {
                        continue;
                    }
                    let rows = self.rows(parts[a].leaves | parts[b].leaves);
                    let build = if parts[b].rows <= parts[a].rows { &parts[b] } else { &parts[a] };
                    let cost = pair_cost(0.0, 0.0, rows, build.rows, build.width);
                    if best.is_none_or(|(.., known)| cost < known) {
                        best = Some((a, b, rows, cost));
                    }
                }
            }
            // A component is connected, so there always is a pair.
            let Some((a, b, rows, _)) = best else { break };
            let second = parts.swap_remove(b);
            parts[a] = parts[a].joined(&second, rows);
        }
        parts.swap_remove(0)
    }

    /// Sets of leaves that joins by equalities can put together. An equality whose side reads several leaves joins only what holds each
    /// side whole: it connects two sets, not its leaves one by one.
    fn components(&self) -> Vec<Leaves> {
        let mut components: Vec<Leaves> = (0..self.graph.leaves.len()).map(|leaf| 1 << leaf).collect();
        for class in &self.graph.classes {
            connect(&mut components, class.iter().fold(0, |set, &c| set | 1 << self.graph.leaf_of(c)));
        }
        let sides: Vec<(Leaves, Leaves)> =
            self.graph.others.iter().filter_map(|(condition, _)| self.equality_sides(condition)).collect();
        let holder = |components: &[Leaves], side: Leaves| components.iter().copied().find(|c| side & !c == 0);
        let bridge = |components: &[Leaves]| {
            sides.iter().find_map(|&(l, r)| match (holder(components, l), holder(components, r)) {
                (Some(a), Some(b)) if a != b => Some(a | b),
                _ => None,
            })
        };
        while let Some(joined) = bridge(&components) {
            connect(&mut components, joined);
        }
        components
    }

    /// The leaves of both sides of `expression = expression` when they are disjoint.
    fn equality_sides(&self, condition: &Expression) -> Option<(Leaves, Leaves)> {
        equality_sides(self.graph, condition)
    }

    /// Whether an equality can be checked by joining two sets.
    fn connected(&self, a: Leaves, b: Leaves) -> bool {
        self.graph.classes.iter().any(|class| {
            let leaves = class.iter().fold(0, |set, &c| set | 1 << self.graph.leaf_of(c));
            leaves & a != 0 && leaves & b != 0
        }) || self.graph.others.iter().any(|(condition, _)| {
            self.equality_sides(condition)
                .is_some_and(|(l, r)| (l & !a == 0 && r & !b == 0) || (l & !b == 0 && r & !a == 0))
        })
    }

    /// Estimated rows of the join of a set, whatever its order: leaves are added one by one, the largest first, then whichever keeps the
    /// result smallest.
    fn rows(&self, leaves: Leaves) -> f64 {
        let Some(start) = ones(leaves).max_by(|&a, &b| self.graph.rows[a].total_cmp(&self.graph.rows[b])) else {
            return 0.0;
        };
        let mut joined: Leaves = 1 << start;
        let mut rows = self.graph.rows[start];
        while joined != leaves {
            let next = ones(leaves & !joined).map(|leaf| (leaf, self.graph.rows[leaf] * self.link(joined, leaf)));
            let Some((leaf, factor)) = next.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            joined |= 1 << leaf;
            rows *= factor;
        }
        for (condition, read) in &self.graph.others {
            if read & !leaves == 0 && read.count_ones() > 1 {
                rows *= match self.equality_sides(condition) {
                    Some(_) => EXPRESSION_EQUALITY,
                    None => selectivity(std::slice::from_ref(condition), &self.graph.columns),
                };
            }
        }
        rows.max(1.0)
    }

    /// The share of (set × leaf) that the equality classes keep.
    fn link(&self, joined: Leaves, leaf: usize) -> f64 {
        let pairs = self.graph.key_columns(joined, 1 << leaf);
        if pairs.is_empty() {
            return 1.0;
        }
        let (theirs, ours): (Vec<&ColumnProfile>, Vec<_>) =
            pairs.iter().map(|&(a, b)| (&self.graph.columns[a], &self.graph.columns[b])).unzip();
        equality_selectivity(&theirs, &ours)
    }
}

#[derive(Debug, Clone)]
struct Split {
    left: usize,
    right: usize,
    rows: f64,
    width: f64,
    cost: f64,
}

/// Makes one component of all that `set` touches.
fn connect(components: &mut Vec<Leaves>, set: Leaves) {
    let merged = components.iter().filter(|&&c| c & set != 0).fold(0, |all, c| all | c);
    components.retain(|c| c & set == 0);
    components.push(merged);
}

fn ones(set: Leaves) -> impl Iterator<Item = usize> {
    (0..LEAVES_MAX).filter(move |leaf| set >> leaf & 1 == 1)
}

fn equality_sides(graph: &JoinGraph<'_>, condition: &Expression) -> Option<(Leaves, Leaves)> {
    match &condition.kind {
        Kind::Compare { op: CompareOp::Equal, left, right } => {
            let sides = (graph.leaves_of(left), graph.leaves_of(right));
            (sides.0 != 0 && sides.1 != 0 && sides.0 & sides.1 == 0).then_some(sides)
        }
        _ => None,
    }
}

/// A relation and the global ordinals of its columns.
struct Joined {
    relation: Relation,
    globals: Vec<usize>,
    leaves: Leaves,
}

impl Joined {
    fn local(&self, expression: &Expression) -> Expression {
        expression.map_columns(&|c| self.globals.iter().position(|&g| g == c).unwrap_or(c))
    }
}

/// Makes relations of a tree; every condition is placed at the first join where it can be checked.
struct Builder<'a> {
    graph: &'a JoinGraph<'a>,
    /// Which of the graph's other conditions are placed.
    used: Vec<bool>,
}

impl Builder<'_> {
    fn finish(mut self, tree: &Tree) -> Joined {
        let mut joined = self.build(tree);
        let rest: Vec<Expression> = self.take(|_, _| true).iter().map(|condition| joined.local(condition)).collect();
        if !rest.is_empty() {
            joined.relation = joined.relation.filter(Expression::and(rest));
        }
        joined
    }

    fn build(&mut self, tree: &Tree) -> Joined {
        match tree {
            Tree::Leaf(leaf) => Joined {
                relation: self.graph.leaves[*leaf].clone(),
                globals: self.graph.leaf_columns(*leaf),
                leaves: 1 << leaf,
            },
            Tree::Pair(left, right) => {
                let (left, right) = (self.build(left), self.build(right));
                self.join(left, right)
            }
        }
    }

    fn join(&mut self, left: Joined, right: Joined) -> Joined {
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for (a, b) in self.graph.key_columns(left.leaves, right.leaves) {
            left_keys.push(left.local(&self.graph.column(a)));
            right_keys.push(right.local(&self.graph.column(b)));
        }
        let leaves = left.leaves | right.leaves;
        let mut residual = Vec::new();
        for condition in self.take(|_, read| read != 0 && read & !leaves == 0) {
            match (equality_sides(self.graph, &condition), &condition.kind) {
                (Some((a, b)), Kind::Compare { left: x, right: y, .. })
                    if a & !left.leaves == 0 && b & !right.leaves == 0 =>
                {
                    left_keys.push(left.local(x));
                    right_keys.push(right.local(y));
                }
                (Some((a, b)), Kind::Compare { left: x, right: y, .. })
                    if a & !right.leaves == 0 && b & !left.leaves == 0 =>
                {
                    left_keys.push(left.local(y));
                    right_keys.push(right.local(x));
                }
                _ => residual.push(condition),
            }
        }
        let globals: Vec<usize> = left.globals.iter().chain(&right.globals).copied().collect();
        let schema = schema_with(&left.relation.schema, right.relation.schema.fields().iter().cloned());
        let mut joined = Joined { relation: left.relation, globals, leaves };
        let residual: Vec<Expression> = residual.iter().map(|r| joined.local(r)).collect();
        let join = Join {
            kind: JoinKind::Inner,
            null_equal: vec![false; left_keys.len()],
            left_keys,
            right_keys,
            residual: (!residual.is_empty()).then(|| Expression::and(residual)),
            null_aware: false,
            projection: None,
            runtime_filters: Vec::new(),
            cached_build: None,
        };
        let (left, right) = (Box::new(joined.relation), Box::new(right.relation));
        joined.relation = Relation::new(Node::Join { left, right, join }, schema);
        joined
    }

    /// Takes the conditions, not yet placed, that `wanted` accepts.
    fn take(&mut self, wanted: impl Fn(&Expression, Leaves) -> bool) -> Vec<Expression> {
        let mut taken = Vec::new();
        for ((condition, leaves), used) in self.graph.others.iter().zip(&mut self.used) {
            if !*used && wanted(condition, *leaves) {
                *used = true;
                taken.push(condition.clone());
            }
        }
        taken
    }
}
