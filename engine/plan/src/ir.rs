//! The plan: a tree of relations over which the optimizer works and from which pipelines are lowered.
//!
//! Explicit and physical-ready: result types, eval modes, null order are in the nodes; columns are ordinals into the inputs' schemas.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::batch::arrow::export_column;
use plasmon_core::expression::{Expression, Kind, Scalar, ScalarSlot, SortKey};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::runtime_filter::{RuntimeFilter, TopNThreshold};
pub use plasmon_core::operators::shuffle_write::Partitioning;
pub use plasmon_core::operators::unnest::UnnestOutput;
use plasmon_core::operators::window::WindowExpression;
use plasmon_core::table::{FileSplits, RuntimeFilterTarget, Table, row_number_field};

/// A relation: what it does, and the schema it yields.
#[derive(Debug, Clone)]
pub struct Relation {
    pub node: Node,
    pub schema: SchemaRef,
    /// Estimated output rows, once the statistics pass has run.
    pub estimated_rows: Option<f64>,
    /// Its number in a plan that was given in the wire format, whose sender asks for its counters by it.
    pub number: Option<usize>,
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

/// How a scan's table was named: as EXPLAIN shows it, and so that whoever knows the same names finds the table again.
#[derive(Debug, Clone, PartialEq)]
pub struct TableName {
    pub text: String,
    pub origin: TableOrigin,
}

/// Where a table was found.
#[derive(Debug, Clone, PartialEq)]
pub enum TableOrigin {
    /// Of the statement or the session, by the parts of its name, outermost first.
    Named(Vec<String>),
    /// Files; `None` = the format follows from the path.
    Files { path: String, format: Option<String>, options: Vec<(String, String)> },
    /// Parts of files that a host has planned.
    Splits(FileSplits),
    /// A call of a table function with constants.
    Function { name: String, arguments: Vec<Constant> },
}

/// An argument of a table function.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    pub value: Scalar,
    pub data_type: DataType,
}

impl Constant {
    /// As a 64-bit integer, when it is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// As an Arrow array of one row.
    pub fn to_array(&self) -> Result<ArrayRef> {
        export_column(&self.value.to_column(&self.data_type, 1)?, &self.data_type)
    }
}

impl TableName {
    /// A name as it is shown when nobody shows it otherwise.
    pub fn of(origin: TableOrigin) -> Self {
        let text = match &origin {
            TableOrigin::Named(parts) => parts.join("."),
            TableOrigin::Files { path, .. } => path.clone(),
            TableOrigin::Splits(splits) => match &splits.splits[..] {
                [] => "no splits".to_string(),
                [first, ..] => first.path.clone(),
            },
            TableOrigin::Function { name, .. } => format!("{name}()"),
        };
        TableName { text, origin }
    }
}

/// A table of the statement or the session.
impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        TableName::of(TableOrigin::Named(vec![name.to_string()]))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a relation does.
#[derive(Debug, Clone)]
pub enum Node {
    /// Columns `projection` of a table, rows that pass all `filters` (over the table's schema; ones the table cannot apply are lowered to a filter).
    Scan {
        name: TableName,
        table: Arc<dyn Table>,
        projection: Vec<usize>,
        filters: Vec<Expression>,
        fetch: Option<usize>,
        runtime_filters: Vec<RuntimeFilterTarget>,
        threshold: Option<(usize, Arc<TopNThreshold>)>,
    },
    /// Rows of constant expressions.
    Values {
        rows: Vec<Vec<Expression>>,
    },
    /// No rows, or one row without columns (`SELECT 1`).
    Empty {
        one_row: bool,
    },
    Filter {
        input: Box<Relation>,
        predicate: Expression,
    },
    Project {
        input: Box<Relation>,
        expressions: Vec<Expression>,
    },
    /// Several rows of every row, one for each projection; all of the same types.
    Expand {
        input: Box<Relation>,
        projections: Vec<Vec<Expression>>,
    },
    /// Left is the probe side, right the build side. `runtime_filters[i]` is published by the build side for key `key`.
    Join {
        left: Box<Relation>,
        right: Box<Relation>,
        join: Join,
    },
    Aggregate {
        input: Box<Relation>,
        group_by: Vec<Expression>,
        grouping_sets: Vec<Vec<bool>>,
        aggregates: Vec<AggregateExpression>,
        phase: AggregatePhase,
    },
    /// Sort, and top-N when `fetch` is given.
    Sort {
        input: Box<Relation>,
        keys: Vec<SortKey>,
        offset: usize,
        fetch: Option<usize>,
        threshold: Option<Arc<TopNThreshold>>,
    },
    Limit {
        input: Box<Relation>,
        offset: usize,
        fetch: Option<usize>,
    },
    /// UNION ALL; inputs have equal types.
    Union {
        inputs: Vec<Relation>,
    },
    Window {
        input: Box<Relation>,
        partition_by: Vec<Expression>,
        order_by: Vec<SortKey>,
        functions: Vec<WindowExpression>,
    },
    /// Rows dealt to partitions, by `keys` or (without any) in turn; `None` = as many as suit the workers.
    Exchange {
        input: Box<Relation>,
        keys: Vec<Expression>,
        partitions: Option<usize>,
        /// The partition's number, an int32, is a column more.
        numbered: bool,
    },
    /// All rows to one file by partitions, and a row per partition; the root only.
    ShuffleWrite {
        input: Box<Relation>,
        write: ShuffleWrite,
    },
    /// Unnests list or struct columns.
    Unnest {
        input: Box<Relation>,
        unnest: Unnest,
    },
    /// `WITH RECURSIVE`: `initial`, then `step` over the previous round's rows until none are left.
    Recursive {
        initial: Box<Relation>,
        step: Box<Relation>,
        name: String,
        distinct: bool,
    },
    /// The previous round's rows inside `step` of the recursive relation of that name.
    WorkTable {
        name: String,
    },
    /// Reads `Plan::shared[index]`.
    SharedScan {
        index: usize,
    },
}

impl Relation {
    /// A relation without an estimate.
    pub fn new(node: Node, schema: SchemaRef) -> Self {
        Relation { node, schema, estimated_rows: None, number: None }
    }

    /// All rows and columns of a table.
    pub fn scan(name: TableName, table: Arc<dyn Table>) -> Self {
        let schema = table.schema();
        let node = Node::Scan {
            name,
            projection: (0..schema.fields().len()).collect(),
            table,
            filters: Vec::new(),
            fetch: None,
            runtime_filters: Vec::new(),
            threshold: None,
        };
        Relation::new(node, schema)
    }

    /// The same relation under other column names; the types must be the same.
    pub fn with_schema(mut self, schema: SchemaRef) -> Self {
        self.schema = schema;
        self
    }

    /// References to all its columns, in order.
    pub fn columns(&self) -> Vec<Expression> {
        self.schema.fields().iter().enumerate().map(|(i, f)| Expression::column(i, f.data_type().clone())).collect()
    }

    /// The rows for which `predicate` is true.
    pub fn filter(self, predicate: Expression) -> Relation {
        let schema = self.schema.clone();
        Relation::new(Node::Filter { input: Box::new(self), predicate }, schema)
    }

    /// Its rows, equal ones once.
    pub fn distinct(self) -> Relation {
        let (group_by, schema) = (self.columns(), self.schema.clone());
        let node = Node::Aggregate {
            input: Box::new(self),
            group_by,
            grouping_sets: Vec::new(),
            aggregates: Vec::new(),
            phase: AggregatePhase::Single,
        };
        Relation::new(node, schema)
    }

    /// Some of its columns, in the order given; itself when those are all in order.
    pub fn project_columns(self, columns: impl IntoIterator<Item = usize>) -> Relation {
        let columns: Vec<usize> = columns.into_iter().collect();
        if columns.iter().copied().eq(0..self.schema.fields().len()) {
            return self;
        }
        let fields: Vec<FieldRef> = columns.iter().map(|&c| self.schema.fields()[c].clone()).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        let expressions =
            columns.iter().map(|&c| Expression::column(c, self.schema.field(c).data_type().clone())).collect();
        Relation::new(Node::Project { input: Box::new(self), expressions }, schema)
    }

    /// The relation with every input replaced by what `rewrite` makes of it.
    pub fn map_children(mut self, rewrite: &mut dyn FnMut(Relation) -> Result<Relation>) -> Result<Relation> {
        for child in self.children_mut() {
            let hole = Relation::new(Node::Empty { one_row: false }, Arc::new(Schema::empty()));
            *child = rewrite(std::mem::replace(child, hole))?;
        }
        Ok(self)
    }

    /// Inputs, left to right, mutable.
    pub fn children_mut(&mut self) -> Vec<&mut Relation> {
        match &mut self.node {
            Node::Scan { .. }
            | Node::Values { .. }
            | Node::Empty { .. }
            | Node::WorkTable { .. }
            | Node::SharedScan { .. } => vec![],
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Sort { input, .. }
            | Node::Limit { input, .. }
            | Node::Window { input, .. }
            | Node::Exchange { input, .. }
            | Node::Expand { input, .. }
            | Node::ShuffleWrite { input, .. }
            | Node::Unnest { input, .. } => vec![input],
            Node::Join { left, right, .. } => vec![left, right],
            Node::Recursive { initial, step, .. } => vec![initial, step],
            Node::Union { inputs } => inputs.iter_mut().collect(),
        }
    }

    /// Inputs, left to right.
    pub fn children(&self) -> Vec<&Relation> {
        match &self.node {
            Node::Scan { .. }
            | Node::Values { .. }
            | Node::Empty { .. }
            | Node::WorkTable { .. }
            | Node::SharedScan { .. } => vec![],
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Sort { input, .. }
            | Node::Limit { input, .. }
            | Node::Window { input, .. }
            | Node::Exchange { input, .. }
            | Node::Expand { input, .. }
            | Node::ShuffleWrite { input, .. }
            | Node::Unnest { input, .. } => vec![input],
            Node::Join { left, right, .. } => vec![left, right],
            Node::Recursive { initial, step, .. } => vec![initial, step],
            Node::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// Every expression of this node (not of its inputs).
    pub fn expressions(&self) -> Vec<&Expression> {
        match &self.node {
            Node::Scan { filters, .. } => filters.iter().collect(),
            Node::Values { rows } => rows.iter().flatten().collect(),
            Node::Filter { predicate, .. } => vec![predicate],
            Node::Project { expressions, .. } => expressions.iter().collect(),
            Node::Join { join, .. } => join.left_keys.iter().chain(&join.right_keys).chain(&join.residual).collect(),
            Node::Aggregate { group_by, aggregates, .. } => {
                group_by
                    .iter()
                    .chain(aggregates.iter().flat_map(|a| {
                        a.arguments.iter().chain(&a.filter).chain(a.order_by.iter().map(|k| &k.expression))
                    }))
                    .collect()
            }
            Node::Sort { keys, .. } => keys.iter().map(|k| &k.expression).collect(),
            Node::Exchange { keys, .. } => keys.iter().collect(),
            Node::Expand { projections, .. } => projections.iter().flatten().collect(),
            Node::ShuffleWrite { write, .. } => match &write.partitioning {
                Partitioning::Hash(keys) => keys.iter().collect(),
                Partitioning::Range { keys, .. } => keys.iter().map(|k| &k.expression).collect(),
                Partitioning::Computed(partition) => vec![partition],
                Partitioning::Single | Partitioning::RoundRobin(_) => vec![],
            },
            Node::Window { partition_by, order_by, functions, .. } => partition_by
                .iter()
                .chain(order_by.iter().map(|k| &k.expression))
                .chain(functions.iter().flat_map(|f| f.arguments.iter().chain(&f.filter)))
                .collect(),
            _ => vec![],
        }
    }
}

impl Plan {
    /// Rewrites every tree: root, sub-queries, shared sub-plans.
    pub fn map_trees(mut self, rewrite: &mut dyn FnMut(Relation) -> Result<Relation>) -> Result<Plan> {
        self.root = rewrite(self.root)?;
        self.subqueries =
            self.subqueries.into_iter().map(|(slot, r)| Ok((slot, rewrite(r)?))).collect::<Result<_>>()?;
        self.shared = self.shared.into_iter().map(rewrite).collect::<Result<_>>()?;
        Ok(self)
    }
}

/// Columns that a scan can give: the table's, and its row numbers when it has them.
pub fn scannable(table: &dyn Table) -> SchemaRef {
    if !table.numbers_rows() {
        return table.schema();
    }
    schema_with(&table.schema(), [Arc::new(row_number_field())])
}

/// Operands of a conjunction; anything else is its one operand.
pub fn conjuncts(predicate: Expression) -> Vec<Expression> {
    match predicate.kind {
        Kind::And(operands) => operands.into_iter().flat_map(conjuncts).collect(),
        _ => vec![predicate],
    }
}

/// Column types of a schema.
pub fn types(schema: &SchemaRef) -> impl Iterator<Item = &DataType> {
    schema.fields().iter().map(|f| f.data_type())
}

/// A schema with more columns after its own.
pub fn schema_with(schema: &SchemaRef, fields: impl IntoIterator<Item = FieldRef>) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain(fields).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// All columns that a join of that kind gives; those of a side that may have no match are nullable.
pub fn join_fields(kind: JoinKind, left: &Schema, right: &Schema) -> Vec<FieldRef> {
    let side = |schema: &Schema, may_be_missing: bool| -> Vec<FieldRef> {
        let missing = |f: &FieldRef| Arc::new(f.as_ref().clone().with_nullable(true));
        schema.fields().iter().map(|f| if may_be_missing { missing(f) } else { f.clone() }).collect()
    };
    let mark = || vec![Arc::new(Field::new("mark", DataType::Boolean, true))];
    match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => side(left, false),
        JoinKind::RightSemi | JoinKind::RightAnti => side(right, false),
        JoinKind::LeftMark => [side(left, false), mark()].concat(),
        JoinKind::RightMark => [side(right, false), mark()].concat(),
        JoinKind::Inner => [side(left, false), side(right, false)].concat(),
        JoinKind::Left => [side(left, false), side(right, true)].concat(),
        JoinKind::Right => [side(left, true), side(right, false)].concat(),
        JoinKind::Full => [side(left, true), side(right, true)].concat(),
    }
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
    /// Output columns that are read above, as ordinals into the full output; `None` = all. The schema is of the projected columns.
    pub projection: Option<Vec<usize>>,
    /// Filters the build publishes: (key ordinal, filter).
    pub runtime_filters: Vec<(usize, Arc<RuntimeFilter>)>,
    /// The build side is the process's, by this name.
    pub cached_build: Option<String>,
}

/// Where rows are written; see [`plasmon_core::operators::shuffle_write::ShuffleWriteSpec`].
#[derive(Debug, Clone)]
pub struct ShuffleWrite {
    pub partitioning: Partitioning,
    pub partitions: usize,
    /// Of a local file.
    pub path: String,
}

/// Which input columns are unnested and what comes out.
#[derive(Debug, Clone)]
pub struct Unnest {
    /// Output columns in order.
    pub outputs: Vec<UnnestOutput>,
    /// Rows whose lists are all null or empty still give one row.
    pub preserve_nulls: bool,
}
