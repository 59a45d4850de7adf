//! A Substrait plan → the plan IR: relation by relation, every name resolved, every type checked against what the engine computes.
//!
//! What cannot be run is refused with the path of the node and the reason, before anything is read.

mod aggregate;
mod call;
mod expression;
mod join;
mod options;
mod read;
mod reference;
mod relation;
mod set;
mod subquery;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::Result;
use plasmon_core::expression::{CastMode, Expression, ScalarSlot};
use substrait_prost as proto;
use substrait_prost::plan_rel::RelType as PlanRelType;

use super::encoding::NESTING_MAX;
use super::functions::{Declared, declarations};
use super::types::{DeclaredTypes, rename, same};
use crate::function::Registry;
use crate::ir::{Node, Plan, Relation};
use crate::path::Path;
use crate::sql::{Catalog, cast_to};

/// Nodes, columns and copies of expressions: small plans can stand for huge ones, by naming detached nodes from many places and by functions that
/// repeat their arguments.
const NODES_MAX: usize = 1 << 20;

/// The IR of a plan, not optimized. `parameters` are the values of its dynamic parameters.
pub(super) fn consume(plan: &proto::Plan, parameters: &[ArrayRef], catalog: &dyn Catalog) -> Result<Plan> {
    let (functions, types) = declarations(plan);
    let mut consumer = Consumer {
        plan,
        parameters,
        catalog,
        registry: catalog.functions(),
        functions,
        types,
        habits: Habits::of(plan),
        current: 0,
        subqueries: Vec::new(),
        shared: Vec::new(),
        references: HashMap::new(),
        windows: None,
        marks: None,
        outer_width: None,
        depth: 0,
        nodes: 0,
    };
    let root = consumer.root()?;
    Ok(Plan { root, subqueries: consumer.subqueries, shared: consumer.shared })
}

/// What producers that are known do otherwise than the specification says.
#[derive(Debug, Clone, Copy, Default)]
struct Habits {
    /// Marks are false, not unknown, where a null decides (DataFusion).
    marks_are_certain: bool,
    /// A projection that says nothing of its output gives its expressions alone (DuckDB).
    projections_replace: bool,
    /// The stated types of scalar calls are those of an argument (DuckDB).
    types_are_careless: bool,
    /// NOT LIKE is written as `not_equal` (DuckDB).
    not_like_is_not_equal: bool,
}

impl Habits {
    fn of(plan: &proto::Plan) -> Habits {
        let producer = plan.version.as_ref().map(|v| v.producer.to_lowercase()).unwrap_or_default();
        let is_duckdb = producer.contains("duckdb");
        Habits {
            marks_are_certain: producer.contains("datafusion"),
            projections_replace: is_duckdb,
            types_are_careless: is_duckdb,
            not_like_is_not_equal: is_duckdb,
        }
    }
}

struct Consumer<'a> {
    plan: &'a proto::Plan,
    parameters: &'a [ArrayRef],
    catalog: &'a dyn Catalog,
    registry: Arc<Registry>,
    /// Declared functions by anchor.
    functions: HashMap<u32, Declared>,
    types: DeclaredTypes,
    habits: Habits,
    /// The plan relation that is being read; ordinals of detached nodes are its own.
    current: usize,
    /// Scalar sub-queries in the order in which they can run.
    subqueries: Vec<(Arc<ScalarSlot>, Relation)>,
    shared: Vec<Relation>,
    /// Plan relations read by reference: their place in `shared`; `None` while one is being read.
    references: HashMap<usize, Option<usize>>,
    /// Window calls of the expressions being read, where they are allowed.
    windows: Option<window::Calls>,
    /// Joins that give marks of IN, where they are allowed.
    marks: Option<subquery::Marks>,
    /// In the condition of a correlated EXISTS: so many columns of the query around it stand before the sub-query's own.
    outer_width: Option<usize>,
    depth: usize,
    nodes: usize,
}

impl<'a> Consumer<'a> {
    /// The one relation of the plan that gives rows; the others are referred to.
    fn root(&mut self) -> Result<Relation> {
        let relations = &self.plan.relations;
        let top = Path::root("root");
        let is_root = |r: &proto::PlanRel| matches!(r.rel_type, Some(PlanRelType::Root(_)));
        let roots = relations.iter().filter(|r| is_root(r)).count();
        let position = match roots {
            1 => relations.iter().position(is_root).unwrap_or_default(),
            0 if relations.len() == 1 => 0,
            0 => return Err(top.wrong(format!("the plan has {} relations and no root", relations.len()))),
            count => return Err(top.refuse(format!("a plan of {count} roots"))),
        };
        self.current = position;
        match &relations[position].rel_type {
            Some(PlanRelType::Root(root)) => {
                let relation = self.required(root.input.as_ref(), &top.field("input"))?;
                named(relation, &root.names, &top)
            }
            Some(PlanRelType::Rel(relation)) => self.relation(relation, &Path::root("rel")),
            None => Err(top.wrong("the plan's relation is empty")),
        }
    }

    fn required(&mut self, relation: Option<&'a proto::Rel>, at: &Path<'_>) -> Result<Relation> {
        match relation {
            Some(relation) => self.relation(relation, at),
            None => Err(at.wrong("an input is missing")),
        }
    }

    /// Counts a node that is entered; `leave` has to follow.
    fn enter(&mut self, at: &Path<'_>) -> Result<()> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(at.refuse(format!("nodes nested more than {NESTING_MAX} deep")));
        }
        self.spend(1, at)
    }

    /// Counts so many nodes, columns or copies.
    fn spend(&mut self, count: usize, at: &Path<'_>) -> Result<()> {
        self.nodes = self.nodes.saturating_add(count);
        match self.nodes > NODES_MAX {
            true => Err(at.refuse(format!("more than {NODES_MAX} nodes and columns"))),
            false => Ok(()),
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The function that an anchor stands for.
    fn function(&self, anchor: u32, at: &Path<'_>) -> Result<Declared> {
        self.functions.get(&anchor).cloned().ok_or_else(|| at.wrong(format!("function {anchor} is not declared")))
    }
}

/// Nodes of an expression.
fn size(expression: &Expression) -> usize {
    let mut count = 0;
    expression.visit(&mut |_| count += 1);
    count
}

/// Extensions that change what a node means cannot be passed over; ones that help to run it faster can.
fn plain(extension: &Option<proto::extensions::AdvancedExtension>, at: &Path<'_>) -> Result<()> {
    match extension.as_ref().and_then(|e| e.enhancement.as_ref()) {
        Some(enhancement) => Err(at.refuse(format!("enhancement {}", enhancement.type_url))),
        None => Ok(()),
    }
}

/// The relation under the names of a root, which go through structs depth-first.
fn named(relation: Relation, names: &[String], at: &Path<'_>) -> Result<Relation> {
    if names.is_empty() && !relation.schema.fields().is_empty() {
        return Ok(relation);
    }
    let mut left = names.iter();
    let fields = relation.schema.fields().iter().map(|f| rename(f, &mut left));
    let Some(fields) = fields.collect::<Option<Vec<Field>>>() else {
        return Err(at.wrong(format!("{} names for the plan's columns are too few", names.len())));
    };
    if let Some(extra) = left.next() {
        return Err(at.wrong(format!("name {extra} is one more than the plan has columns")));
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    if crate::ir::types(&schema).eq(crate::ir::types(&relation.schema)) {
        return Ok(relation.with_schema(schema));
    }
    // Names inside of structs are part of their types.
    let columns = relation.columns().into_iter().zip(schema.fields());
    let expressions = columns.map(|(c, f)| cast_to(c, f.data_type(), CastMode::Fail)).collect();
    Ok(Relation::new(Node::Project { input: Box::new(relation), expressions }, schema))
}

/// A projection without names.
fn project(input: Relation, expressions: Vec<Expression>) -> Relation {
    let fields: Vec<Field> = expressions
        .iter()
        .enumerate()
        .map(|(i, e)| match e.kind {
            plasmon_core::expression::Kind::Column(c) if c < input.schema.fields().len() => {
                input.schema.field(c).clone()
            }
            _ => Field::new(format!("c{i}"), e.data_type.clone(), true),
        })
        .collect();
    Relation::new(Node::Project { input: Box::new(input), expressions }, Arc::new(Schema::new(fields)))
}

/// The result of a function as of the stated type. Producers state fewer digits of a decimal than the function's definition has: those that are
/// there stay, since nothing says how to round.
fn result_as_stated(value: Expression, stated: Option<DataType>, what: &str, at: &Path<'_>) -> Result<Expression> {
    match (&value.data_type, &stated) {
        (DataType::Decimal128(_, own), Some(DataType::Decimal128(_, wanted))) if own > wanted => Ok(value),
        _ => as_stated(value, stated, what, at),
    }
}

/// The value as of the stated type: unchanged when that is what it is, cast when both are numbers or times, else wrong.
fn as_stated(value: Expression, stated: Option<DataType>, what: &str, at: &Path<'_>) -> Result<Expression> {
    let Some(stated) = stated else { return Ok(value) };
    if same(&value.data_type, &stated) {
        return Ok(value);
    }
    let converts = |t: &DataType| t.is_numeric() || t.is_temporal();
    let is_null = matches!(&value.kind, plasmon_core::expression::Kind::Literal(v) if v.is_null());
    // Lists of one kind of number are lists of another: those of our functions may be unsigned.
    let lists = value.data_type.is_list() && stated.is_list() && can_cast_types(&value.data_type, &stated);
    if is_null || lists || converts(&value.data_type) && converts(&stated) {
        return Ok(cast_to(value, &stated, CastMode::Fail));
    }
    Err(at.wrong(format!("{what} gives {} here, the plan says {stated}", value.data_type)))
}
