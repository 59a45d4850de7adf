//! One operator each: a relation over an input, its expressions typed as SQL types them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, DFSchemaRef};
use datafusion_expr::{
    Aggregate, BinaryExpr, EmptyRelation, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Projection, Sort, Window,
};
use plasmon_core::expression::Expression;
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase, state_types};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::{Error, Result};

use super::resolve::{Functions, Scope, about};
use super::{Form, Order, Untyped};
use crate::error::convert_error;
use crate::function::Registry;
use crate::ir::{Join, Node, Relation, join_fields, schema_with};
use crate::sql::logical;
use crate::sql::statement::LONG_TEXT_BYTES;
use crate::sql::translate::translate_node;
use crate::stack;

/// The name of the partition number's column.
pub const PARTITION: &str = "partition";
/// The name of the column that tells grouping sets apart.
pub const GROUPING_ID: &str = "grouping_id";
/// Expressions deeper than this are walked on a stack of their own.
const DEEP: usize = 12;

/// Makes operators; knows the functions that their expressions may call.
#[derive(Debug, Clone)]
pub struct Operators {
    functions: Arc<Registry>,
}

/// How a join is done; see [`Operators::join`].
#[derive(Debug, Clone)]
pub struct JoinParts {
    /// Which rows come out.
    pub kind: JoinKind,
    /// Equal pairs: an expression over the probe side, one over the build side, and whether nulls equal each other.
    pub keys: Vec<(Untyped, Untyped, bool)>,
    /// A further condition, over the probe side's columns followed by the build side's.
    pub residual: Option<Untyped>,
    /// As `NOT IN` does (anti and mark joins of the probe side): a null key makes the answer unknown.
    pub null_aware: bool,
    /// Columns that come out, as ordinals into all that the kind gives; `None` = all.
    pub columns: Option<Vec<usize>>,
}

/// What is aggregated; see [`Operators::aggregate`].
#[derive(Debug, Clone)]
pub struct AggregateParts {
    /// Group keys, over the rows; none = one group.
    pub keys: Vec<Untyped>,
    /// Which keys each grouping set keeps, by ordinal; none = plain grouping.
    pub grouping_sets: Vec<Vec<usize>>,
    /// Aggregate calls, over the rows.
    pub calls: Vec<Untyped>,
    /// What comes in and what goes out.
    pub phase: AggregatePhase,
    /// For phases whose input is states: the columns of the rows that the first phase read.
    pub rows: Option<SchemaRef>,
}

impl Operators {
    /// Operators whose expressions may call these functions.
    pub fn new(functions: Arc<Registry>) -> Self {
        Operators { functions }
    }

    /// The rows for which `predicate` is true.
    pub fn filter(&self, input: Relation, predicate: &Untyped) -> Result<Relation> {
        let (node, _) = self.node(&input.schema, &[predicate], |scope, mut resolved, leaf| {
            let condition = resolved.remove(0);
            match condition.get_type(scope.schema.as_ref()).map_err(convert_error)? {
                DataType::Boolean | DataType::Null => {}
                other => return Err(about(predicate, Error::user(format!("a condition is BOOLEAN, not {other}")))),
            }
            Ok(LogicalPlan::Filter(Filter::try_new(condition, leaf).map_err(convert_error)?))
        })?;
        let schema = input.schema.clone();
        Ok(onto(node, input, &[]).with_schema(schema))
    }

    /// The values of `expressions`.
    pub fn project(&self, input: Relation, expressions: &[Untyped]) -> Result<Relation> {
        let (node, names) = self.projection(&input.schema, expressions)?;
        let schema = named(&node.schema, 0, &names);
        Ok(onto(node, input, &[]).with_schema(schema))
    }

    fn projection(&self, input: &SchemaRef, expressions: &[Untyped]) -> Result<(Relation, Vec<String>)> {
        self.node(input, &expressions.iter().collect::<Vec<_>>(), |_, resolved, leaf| {
            Ok(LogicalPlan::Projection(Projection::try_new(aliased(resolved), leaf).map_err(convert_error)?))
        })
    }

    /// Rows of `probe` and `build` that match.
    pub fn join(&self, probe: Relation, build: Relation, parts: &JoinParts) -> Result<Relation> {
        let is_deep = parts.keys.iter().any(|(l, r, _)| is_deep(l) || is_deep(r)) || parts.residual.iter().any(is_deep);
        let (keys, residual) =
            stack::with_room(is_deep, || self.join_expressions(&probe.schema, &build.schema, parts))?;
        if parts.null_aware && !matches!(parts.kind, JoinKind::LeftAnti | JoinKind::LeftMark) {
            return Err(Error::user("null-aware joins are anti and mark joins of the probe side"));
        }
        let full = join_fields(parts.kind, &probe.schema, &build.schema);
        if let Some(bad) = parts.columns.iter().flatten().find(|&&c| c >= full.len()) {
            return Err(Error::user(format!("output column {bad}: the join gives {}, counted from 0", full.len())));
        }
        let fields: Vec<FieldRef> = match &parts.columns {
            Some(columns) => columns.iter().map(|&c| full[c].clone()).collect(),
            None => full,
        };
        let (left_keys, right_keys) = keys.into_iter().unzip();
        let join = Join {
            kind: parts.kind,
            left_keys,
            right_keys,
            null_equal: parts.keys.iter().map(|(_, _, null_equal)| *null_equal).collect(),
            residual,
            null_aware: parts.null_aware,
            projection: parts.columns.clone(),
            runtime_filters: Vec::new(),
            cached_build: None,
        };
        let node = Node::Join { left: Box::new(probe), right: Box::new(build), join };
        Ok(Relation::new(node, Arc::new(Schema::new(fields))))
    }

    /// Key pairs of one type each, and the residual. Pairs are typed as the two sides of `=`.
    #[expect(clippy::type_complexity, reason = "two lists of one walk")]
    fn join_expressions(
        &self,
        probe: &SchemaRef,
        build: &SchemaRef,
        parts: &JoinParts,
    ) -> Result<(Vec<(Expression, Expression)>, Option<Expression>)> {
        let functions = Functions(self.functions.clone());
        let sides = [
            Scope::new(&functions, &[("probe", probe.as_ref())])?,
            Scope::new(&functions, &[("build", build.as_ref())])?,
        ];
        let both = Scope::new(&functions, &[("probe", probe.as_ref()), ("build", build.as_ref())])?;
        let mut keys = Vec::with_capacity(parts.keys.len());
        for (left, right, _) in &parts.keys {
            let pair = [sides[0].expression(left)?, sides[1].expression(right)?];
            let typed = same_type(pair, &sides).map_err(|error| about(left, error))?;
            let [left, right] = typed.map(|(e, scope)| over(&sides[scope].schema, e));
            keys.push((left?, right?));
        }
        let residual = parts.residual.as_ref().map(|residual| {
            let typed = over(&both.schema, both.expression(residual)?).map_err(|error| about(residual, error))?;
            match typed.data_type {
                DataType::Boolean => Ok(typed),
                other => Err(about(residual, Error::user(format!("a condition is BOOLEAN, not {other}")))),
            }
        });
        Ok((keys, residual.transpose()?))
    }

    /// One row a group. Out: keys, the grouping id (grouping sets only), then results, or the states of each call in a partial phase.
    pub fn aggregate(&self, input: Relation, parts: &AggregateParts) -> Result<Relation> {
        let reads_states = parts.phase.reads_states();
        let rows = match (&parts.rows, reads_states) {
            (Some(rows), true) => rows.clone(),
            (None, false) => input.schema.clone(),
            (Some(_), false) => return Err(Error::user("the schema of the rows is the input's own in this phase")),
            (None, true) => {
                return Err(Error::user(
                    "an aggregation of states needs the schema of the rows that they were made of",
                ));
            }
        };
        for call in &parts.calls {
            require_call(call, &|form| matches!(form, Form::Aggregate(_) | Form::Sql(_)), "an aggregate call")?;
        }
        let all: Vec<&Untyped> = parts.keys.iter().chain(&parts.calls).collect();
        let (node, names) = self.node(&rows, &all, |_, resolved, leaf| {
            let mut keys = aliased(resolved);
            let calls = keys.split_off(parts.keys.len());
            Ok(LogicalPlan::Aggregate(Aggregate::try_new(leaf, keys, calls).map_err(convert_error)?))
        })?;
        let Node::Aggregate { mut group_by, aggregates, .. } = node.node else {
            return Err(Error::unsupported("grouping() in an operator: read the column grouping_id"));
        };
        let key_fields: Vec<FieldRef> = named(&node.schema, 0, &names).fields()[..group_by.len()].to_vec();
        let (mut fields, grouping_id) = grouped(key_fields, &parts.grouping_sets)?;
        fields.extend(grouping_id.clone());
        let mut grouping_sets = Vec::new();
        if reads_states {
            group_by = fields.iter().enumerate().map(|(i, f)| Expression::column(i, f.data_type().clone())).collect();
        } else if grouping_id.is_some() {
            let mask = |set: &Vec<usize>| (0..group_by.len()).map(|key| set.contains(&key)).collect();
            grouping_sets = parts.grouping_sets.iter().map(mask).collect();
        }
        let states = states_of(&aggregates, &names[parts.keys.len()..], parts.phase)?;
        if reads_states {
            check_states(&input.schema, fields.iter().chain(&states))?;
        }
        if parts.phase.gives_states() {
            fields.extend(states);
        } else {
            let results = node.schema.fields().iter().skip(parts.keys.len());
            let results = results.zip(&names[parts.keys.len()..]);
            fields.extend(results.map(|(f, name)| Arc::new(f.as_ref().clone().with_name(name))));
        }
        let input = Box::new(input);
        let node = Node::Aggregate { input, group_by, grouping_sets, aggregates, phase: parts.phase };
        Ok(Relation::new(node, Arc::new(Schema::new(fields))))
    }

    /// The rows in the order of `keys`; then `offset` of them left out, and at most `fetch` given.
    pub fn sort(&self, input: Relation, keys: &[Order], offset: usize, fetch: Option<usize>) -> Result<Relation> {
        let expressions: Vec<&Untyped> = keys.iter().map(|k| &k.expression).collect();
        let (node, _) = self.node(&input.schema, &expressions, |_, resolved, leaf| {
            let keys = keys
                .iter()
                .zip(resolved)
                .map(|(key, expression)| expression.sort(!key.descending, key.nulls_first.unwrap_or(key.descending)));
            Ok(LogicalPlan::Sort(Sort { expr: keys.collect(), input: leaf, fetch: None }))
        })?;
        let Node::Sort { keys, .. } = node.node else { return Err(Error::internal("a sort became something else")) };
        let schema = input.schema.clone();
        if keys.is_empty() {
            return Err(Error::user("a sort without keys; limit leaves rows out without an order"));
        }
        Ok(Relation::new(Node::Sort { input: Box::new(input), keys, offset, fetch, threshold: None }, schema))
    }

    /// The rows with a column more for every call over a window.
    pub fn window(&self, input: Relation, calls: &[Untyped]) -> Result<Relation> {
        for call in calls {
            require_call(call, &|form| matches!(form, Form::Window(_) | Form::Sql(_)), "a window call")?;
        }
        let (node, names) = self.node(&input.schema, &calls.iter().collect::<Vec<_>>(), |_, resolved, leaf| {
            Ok(LogicalPlan::Window(Window::try_new(aliased(resolved), leaf).map_err(convert_error)?))
        })?;
        let width = input.schema.fields().len();
        let computed = named(&node.schema, width, &names);
        let schema = schema_with(&input.schema, computed.fields().iter().skip(width).cloned());
        Ok(onto(node, input, &names).with_schema(schema))
    }

    /// All but the first `offset` rows, at most `fetch`.
    pub fn limit(&self, input: Relation, offset: usize, fetch: Option<usize>) -> Relation {
        let schema = input.schema.clone();
        Relation::new(Node::Limit { input: Box::new(input), offset, fetch }, schema)
    }

    /// The rows dealt to `partitions`, with the partition's number, an int32, in a column more. Rows of equal keys come to one partition;
    /// without keys, batches are dealt in turn. No batch has rows of two partitions.
    pub fn partition(&self, input: Relation, keys: &[Untyped], partitions: usize) -> Result<Relation> {
        let (node, _) = self.projection(&input.schema, keys)?;
        let keys = match node.node {
            Node::Project { expressions, .. } => expressions,
            _ => return Err(Error::internal("a projection became something else")),
        };
        let number = Arc::new(Field::new(PARTITION, DataType::Int32, false));
        let schema = schema_with(&input.schema, [number]);
        let input = Box::new(input);
        Ok(Relation::new(Node::Exchange { input, keys, partitions: Some(partitions), numbered: true }, schema))
    }

    /// The IR of the node that `make` makes of resolved expressions, over a leaf that stands for the input; and the names of what they become.
    fn node(
        &self,
        input: &SchemaRef,
        expressions: &[&Untyped],
        make: impl FnOnce(&Scope<'_>, Vec<Expr>, Arc<LogicalPlan>) -> Result<LogicalPlan> + Send,
    ) -> Result<(Relation, Vec<String>)> {
        stack::with_room(expressions.iter().any(|e| is_deep(e)), || {
            let functions = Functions(self.functions.clone());
            let scope = Scope::new(&functions, &[("input", input.as_ref())])?;
            let resolved = expressions.iter().map(|e| scope.expression(e)).collect::<Result<Vec<_>>>()?;
            let names = resolved.iter().map(|e| scope.output_name(e)).collect();
            let plan = make(&scope, resolved, leaf(&scope.schema))?;
            let relation = logical::typed(plan).map_err(convert_error).and_then(|typed| translate_node(&typed));
            // Only the whole is typed; who is to blame is found by typing each alone.
            let relation = relation.map_err(|error| match blamed(&scope, expressions) {
                Some(expression) => about(expression, error),
                None => error,
            })?;
            Ok((relation, names))
        })
    }
}

/// The first expression that cannot be typed alone.
fn blamed<'a>(scope: &Scope<'_>, expressions: &[&'a Untyped]) -> Option<&'a Untyped> {
    let fails = |e: &Untyped| scope.expression(e).is_ok_and(|e| project_one(&scope.schema, e).is_err());
    expressions.iter().find(|e| fails(e)).copied()
}

fn is_deep(expression: &Untyped) -> bool {
    expression.0.depth > DEEP || expression.0.text_bytes > LONG_TEXT_BYTES
}

/// What stands for an input: its columns under the inner names, no rows.
fn leaf(schema: &DFSchemaRef) -> Arc<LogicalPlan> {
    Arc::new(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: schema.clone() }))
}

/// The inner name of the column that an expression becomes.
fn output(index: usize) -> String {
    format!("o{index}")
}

fn aliased(expressions: Vec<Expr>) -> Vec<Expr> {
    expressions.into_iter().enumerate().map(|(index, e)| e.alias(output(index))).collect()
}

fn project_one(schema: &DFSchemaRef, expression: Expr) -> Result<LogicalPlan> {
    let projection = Projection::try_new(vec![expression.alias(output(0))], leaf(schema)).map_err(convert_error)?;
    logical::typed(LogicalPlan::Projection(projection)).map_err(convert_error)
}

/// One expression, typed and translated.
fn over(schema: &DFSchemaRef, expression: Expr) -> Result<Expression> {
    match translate_node(&project_one(schema, expression)?)?.node {
        Node::Project { mut expressions, .. } if expressions.len() == 1 => Ok(expressions.remove(0)),
        _ => Err(Error::internal("a projection became something else")),
    }
}

/// Both sides of a key as those of `=`, each with the index of its scope.
fn same_type(pair: [Expr; 2], sides: &[Scope<'_>; 2]) -> Result<[(Expr, usize); 2]> {
    let [left, right] = [0, 1].map(|side| pair[side].get_type(sides[side].schema.as_ref()).map_err(convert_error));
    let fields = vec![Field::new("l", left?, true), Field::new("r", right?, true)];
    let schema = DFSchema::from_unqualified_fields(fields.into(), Default::default()).map_err(convert_error)?;
    let side = |name: &str| Box::new(Expr::Column(Column::new_unqualified(name)));
    let equal = Expr::BinaryExpr(BinaryExpr { left: side("l"), op: Operator::Eq, right: side("r") });
    let typed = project_one(&Arc::new(schema), equal)?;
    let LogicalPlan::Projection(Projection { expr, .. }) = &typed else {
        return Err(Error::internal("a projection became something else"));
    };
    let Some(Expr::BinaryExpr(typed)) = expr.first().map(unaliased) else {
        return Err(Error::unsupported("a key of these types"));
    };
    let [own_left, own_right] = pair;
    Ok([(put(&typed.left, own_left)?, 0), (put(&typed.right, own_right)?, 1)])
}

fn unaliased(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// What is done to the one column of `around`, done to `inner`.
fn put(around: &Expr, inner: Expr) -> Result<Expr> {
    let placed = around.clone().transform_up(|e| match e {
        Expr::Column(_) => Ok(Transformed::yes(inner.clone())),
        other => Ok(Transformed::no(other)),
    });
    Ok(placed.map_err(convert_error)?.data)
}

/// Puts the input where the leaf was, and gives computed columns of windows in between their names.
fn onto(relation: Relation, input: Relation, names: &[String]) -> Relation {
    let mut input = Some(input);
    onto_leaf(relation, &mut input, names)
}

fn onto_leaf(mut relation: Relation, input: &mut Option<Relation>, names: &[String]) -> Relation {
    if relation.children().is_empty() {
        return input.take().unwrap_or(relation);
    }
    for child in relation.children_mut() {
        let hole = Relation::new(Node::Empty { one_row: false }, Arc::new(Schema::empty()));
        *child = onto_leaf(std::mem::replace(child, hole), input, names);
    }
    if let Node::Window { input, .. } = &relation.node {
        let own = relation.schema.fields().iter().skip(input.schema.fields().len());
        let own = own.map(|f| {
            let index = f.name().strip_prefix('o').and_then(|n| n.parse::<usize>().ok());
            let name = index.and_then(|i| names.get(i)).unwrap_or(f.name());
            Arc::new(f.as_ref().clone().with_name(name))
        });
        relation.schema = schema_with(&input.schema, own);
    }
    relation
}

/// The schema with `names` for its fields from `first` on.
fn named(schema: &SchemaRef, first: usize, names: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        match index.checked_sub(first).and_then(|i| names.get(i)) {
            Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
            None => field.clone(),
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn require_call(expression: &Untyped, is_call: &dyn Fn(&Form) -> bool, what: &str) -> Result<()> {
    match &expression.0.form {
        Form::Named { operand, .. } => require_call(operand, is_call, what),
        form if is_call(form) => Ok(()),
        _ => Err(about(expression, Error::user(format!("this is not {what}")))),
    }
}

/// Key fields under grouping sets, and the field of the grouping id when there are some.
fn grouped(keys: Vec<FieldRef>, sets: &[Vec<usize>]) -> Result<(Vec<FieldRef>, Option<FieldRef>)> {
    if sets.is_empty() {
        return Ok((keys, None));
    }
    if let Some(bad) = sets.iter().flatten().find(|&&key| key >= keys.len()) {
        return Err(Error::user(format!("a grouping set keeps key {bad}: there are {}, counted from 0", keys.len())));
    }
    let data_type = grouping_id_type(keys.len(), sets)?;
    let keys = keys.into_iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
    Ok((keys, Some(Arc::new(Field::new(GROUPING_ID, data_type, false)))))
}

/// The type of a grouping id: a bit for every key, and above them the ordinals of sets that come more than once.
fn grouping_id_type(keys: usize, sets: &[Vec<usize>]) -> Result<DataType> {
    let mut uses: HashMap<Vec<bool>, usize> = HashMap::new();
    for set in sets {
        *uses.entry((0..keys).map(|key| set.contains(&key)).collect()).or_default() += 1;
    }
    let most = uses.values().max().map_or(0, |uses| uses - 1);
    Ok(match keys + (usize::BITS - most.leading_zeros()) as usize {
        0..=8 => DataType::UInt8,
        9..=16 => DataType::UInt16,
        17..=32 => DataType::UInt32,
        33..=64 => DataType::UInt64,
        bits => {
            return Err(Error::unsupported(format!("grouping sets that take {bits} bits to tell apart; at most 64")));
        }
    })
}

/// The state columns of every call: one is called like the call, several have numbers behind that.
fn states_of(calls: &[AggregateExpression], names: &[String], phase: AggregatePhase) -> Result<Vec<FieldRef>> {
    let mut fields = Vec::new();
    if !phase.reads_states() && !phase.gives_states() {
        return Ok(fields);
    }
    for (call, name) in calls.iter().zip(names) {
        if call.distinct && !matches!(call.function, AggregateFunction::Custom(_)) {
            return Err(Error::unsupported(format!(
                "{name} in phases: DISTINCT needs all rows of a group at once; group by the distinct arguments first"
            )));
        }
        let types = state_types(call)?;
        let is_one = types.len() == 1;
        fields.extend(types.into_iter().enumerate().map(|(index, data_type)| {
            let name = if is_one { name.clone() } else { format!("{name}:{index}") };
            Arc::new(Field::new(name, data_type, true))
        }));
    }
    Ok(fields)
}

/// That an input of states has the columns that the phase before gives.
fn check_states<'a>(input: &Schema, expected: impl Iterator<Item = &'a FieldRef>) -> Result<()> {
    let expected: Vec<&FieldRef> = expected.collect();
    let told = |fields: &[&FieldRef]| {
        fields.iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ")
    };
    let given: Vec<&FieldRef> = input.fields().iter().collect();
    let fits =
        expected.len() == given.len() && expected.iter().zip(&given).all(|(e, g)| e.data_type() == g.data_type());
    match fits {
        true => Ok(()),
        false => Err(Error::user(format!(
            "states are what a partial phase of the same keys and calls gives: ({}), not ({})",
            told(&expected),
            told(&given)
        ))),
    }
}
