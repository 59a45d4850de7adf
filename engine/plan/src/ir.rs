//! The plan: a tree of relations over which the optimizer works and from which pipelines are lowered.
//!
//! Explicit and physical-ready: result types, eval modes, null order are in the nodes; columns are ordinals into the inputs' schemas.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plasmon_core::expression::{Expression, ScalarSlot, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::runtime_filter::{RuntimeFilter, TopNThreshold};
use plasmon_core::operators::window::WindowExpression;
use plasmon_core::table::{RuntimeFilterTarget, Table};

/// A relation: what it does, and the schema it yields.
#[derive(Debug, Clone)]
pub struct Relation {
    pub node: Node,
    pub schema: SchemaRef,
    /// Estimated output rows, once the statistics pass has run.
    pub estimated_rows: Option<f64>,
}

/// A whole statement's plan: scalar sub-queries run first, in order, then the root.
#[derive(Debug, Clone)]
pub struct Plan {
    pub root: Relation,
    /// Uncorrelated scalar sub-queries and the slots their values go to; a later one may read an earlier one's slot. More than one row is a user error.
    pub subqueries: Vec<(Arc<ScalarSlot>, Relation)>,
    /// Shared sub-plans, materialized once; read by [`Node::SharedScan`] of the same index. A later one may read an earlier one.
    pub shared: Vec<Relation>,
}

/// What a relation does.
#[derive(Debug, Clone)]
pub enum Node {
    /// Columns `projection` of a table, rows that pass all `filters` (over the table's schema; ones the table cannot apply are lowered to a filter).
    Scan {
        name: String,
        table: Arc<dyn Table>,
        projection: Vec<usize>,
        filters: Vec<Expression>,
        fetch: Option<usize>,
        runtime_filters: Vec<RuntimeFilterTarget>,
        threshold: Option<(usize, Arc<TopNThreshold>)>,
    },
    /// Rows of constant expressions.
    Values { rows: Vec<Vec<Expression>> },
    /// No rows, or one row without columns (`SELECT 1`).
    Empty { one_row: bool },
    Filter { input: Box<Relation>, predicate: Expression },
    Project { input: Box<Relation>, expressions: Vec<Expression> },
    /// Left is the probe side, right the build side. `runtime_filters[i]` is published by the build side for key `key`.
    Join { left: Box<Relation>, right: Box<Relation>, join: Join },
    Aggregate { input: Box<Relation>, group_by: Vec<Expression>, grouping_sets: Vec<Vec<bool>>, aggregates: Vec<AggregateExpression>, phase: AggregatePhase },
    /// Sort, and top-N when `fetch` is given.
    Sort { input: Box<Relation>, keys: Vec<SortKey>, offset: usize, fetch: Option<usize>, threshold: Option<Arc<TopNThreshold>> },
    Limit { input: Box<Relation>, offset: usize, fetch: Option<usize> },
    /// UNION ALL; inputs have equal types.
    Union { inputs: Vec<Relation> },
    Window { input: Box<Relation>, partition_by: Vec<Expression>, order_by: Vec<SortKey>, functions: Vec<WindowExpression> },
    /// Unnests list or struct columns.
    Unnest { input: Box<Relation>, unnest: Unnest },
    /// `WITH RECURSIVE`: `initial`, then `step` over the previous round's rows until none are left.
    Recursive { initial: Box<Relation>, step: Box<Relation>, name: String, distinct: bool },
    /// The previous round's rows inside `step` of the recursive relation of that name.
    WorkTable { name: String },
    /// Reads `Plan::shared[index]`.
    SharedScan { index: usize },
}

/// A join's keys and conditions; see [`plasmon_core::operators::join::JoinSpec`].
#[derive(Debug, Clone)]
pub struct Join {
    pub kind: JoinKind,
    pub left_keys: Vec<Expression>,
    pub right_keys: Vec<Expression>,
    pub null_equal: Vec<bool>,
    /// Over left columns followed by right columns.
    pub residual: Option<Expression>,
    pub null_aware: bool,
    /// Filters the build publishes: (key ordinal, filter).
    pub runtime_filters: Vec<(usize, Arc<RuntimeFilter>)>,
}

/// Which input columns are unnested and what comes out.
#[derive(Debug, Clone)]
pub struct Unnest {
    /// Output columns in order.
    pub outputs: Vec<UnnestOutput>,
    /// Rows whose lists are all null or empty still give one row.
    pub preserve_nulls: bool,
}

/// One output column of an unnest.
#[derive(Debug, Clone)]
pub enum UnnestOutput {
    /// Input column repeated.
    Keep(usize),
    /// Elements of list column `column`, unnested `depth` levels.
    List { column: usize, depth: usize },
    /// Field `field` of struct column `column`.
    StructField { column: usize, field: usize },
}
