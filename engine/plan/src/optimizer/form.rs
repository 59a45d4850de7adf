//! Relations without regard to which columns they carry, so that two of them can be found equal, and one be made that serves both.
//!
//! A [`Form`] says what rows there are. Its columns are *identities*: numbers given out as they are met, one for each table column of a
//! scan, each side's columns of a join, each key and each aggregate call. Projections have no form of their own: they only change the
//! expressions over identities that a relation gives. What has no form (limits, unnests, recursion, volatile expressions) equals nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use plasmon_core::expression::SortKey;
use plasmon_core::expression::{Expression, Kind};
use plasmon_core::operators::aggregate::{AggregateExpression, AggregateFunction, AggregatePhase};
use plasmon_core::operators::join::JoinKind;
use plasmon_core::operators::window::{WindowExpression, WindowFunction};
use plasmon_core::table::Table;
use plasmon_core::{Error, Result};

use super::simplify::is_volatile;
use crate::ir::{Join, Node, Relation, TableName, conjuncts, schema_with};

/// What rows a relation gives; expressions are over column identities.
pub(super) enum Form {
    Scan { name: TableName, table: Arc<dyn Table>, filters: Vec<Expression> },
    Shared { index: usize, schema: SchemaRef },
    Filter { input: usize, predicate: Vec<Expression> },
    Join { left: usize, right: usize, join: Join },
    Aggregate { input: usize, group_by: Vec<Expression>, grouping_sets: Vec<Vec<bool>> },
    Window { input: usize, partition_by: Vec<Expression>, order_by: Vec<SortKey> },
    Union { inputs: Vec<(usize, Vec<Expression>)> },
}

/// What a column identity stands for in its form.
#[derive(Clone, PartialEq)]
enum Source {
    /// Of a scan's table, a shared relation, or a union.
    Ordinal(usize),
    Left(usize),
    Right(usize),
    Mark,
    Key(usize),
    Aggregate(AggregateExpression),
    Window(WindowExpression),
}

/// A column identity.
struct Column {
    form: usize,
    source: Source,
    field: FieldRef,
}

/// A relation as its form and the expressions over identities that it gives; no form when it equals nothing.
#[derive(Clone)]
pub(super) struct Canonical {
    pub(super) form: Option<usize>,
    pub(super) columns: Vec<Expression>,
}

/// The forms met so far.
#[derive(Default)]
pub(super) struct Forms {
    forms: Vec<Form>,
    columns: Vec<Column>,
}

impl Forms {
    pub(super) fn form(&self, form: usize) -> &Form {
        &self.forms[form]
    }

    /// The form of a relation; `visit` is told of every relation below whose form is not just its reader's.
    pub(super) fn of(&mut self, relation: &Relation, visit: &mut dyn FnMut(&Relation, &Canonical)) -> Canonical {
        if matches!(relation.node, Node::Recursive { .. }) {
            return Canonical { form: None, columns: Vec::new() };
        }
        let children = relation.children();
        let inputs: Vec<Canonical> = children.iter().map(|c| self.of(c, visit)).collect();
        let known = inputs.iter().all(|i| i.form.is_some()) && !relation.expressions().into_iter().any(is_volatile);
        let canonical = if known { self.node(relation, &inputs) } else { None };
        let canonical = canonical.unwrap_or(Canonical { form: None, columns: Vec::new() });
        for (child, input) in children.into_iter().zip(&inputs) {
            if input.form != canonical.form {
                visit(child, input);
            }
        }
        canonical
    }

    fn node(&mut self, relation: &Relation, inputs: &[Canonical]) -> Option<Canonical> {
        let fields = relation.schema.fields();
        match &relation.node {
            Node::Scan { name, table, projection, filters, fetch: None, runtime_filters, threshold: None }
                if runtime_filters.is_empty() =>
            {
                let form = self.scan(name, table, filters);
                Some(self.ordinals(form, projection, fields))
            }
            Node::SharedScan { index } => {
                let form = self.intern(Form::Shared { index: *index, schema: relation.schema.clone() });
                Some(self.ordinals(form, &(0..fields.len()).collect::<Vec<_>>(), fields))
            }
            Node::Project { expressions, .. } => {
                let columns = substitute_all(expressions, &inputs[0].columns);
                Some(Canonical { form: inputs[0].form, columns })
            }
            Node::Filter { predicate, .. } => {
                let predicate = sorted(conjuncts(substitute(predicate, &inputs[0].columns)));
                let form = self.intern(Form::Filter { input: inputs[0].form?, predicate });
                Some(Canonical { form: Some(form), columns: inputs[0].columns.clone() })
            }
            Node::Join { join, .. } => self.join(&inputs[0], &inputs[1], join),
            Node::Aggregate { group_by, grouping_sets, aggregates, phase: AggregatePhase::Single, .. } => {
                self.aggregate(relation, &inputs[0], group_by, grouping_sets, aggregates)
            }
            Node::Window { partition_by, order_by, functions, .. } => {
                self.window(relation, &inputs[0], partition_by, order_by, functions)
            }
            Node::Union { .. } => {
                let inputs = inputs.iter().map(|i| Some((i.form?, i.columns.clone()))).collect::<Option<Vec<_>>>()?;
                let form = self.intern(Form::Union { inputs });
                Some(self.ordinals(form, &(0..fields.len()).collect::<Vec<_>>(), fields))
            }
            _ => None,
        }
    }

    fn scan(&mut self, name: &TableName, table: &Arc<dyn Table>, filters: &[Expression]) -> usize {
        let filters = sorted(filters.to_vec());
        self.intern(Form::Scan { name: name.clone(), table: table.clone(), filters })
    }

    fn ordinals(&mut self, form: usize, ordinals: &[usize], fields: &[FieldRef]) -> Canonical {
        let columns =
            ordinals.iter().zip(fields).map(|(&o, field)| self.column(form, Source::Ordinal(o), field)).collect();
        Canonical { form: Some(form), columns }
    }

    fn join(&mut self, left: &Canonical, right: &Canonical, join: &Join) -> Option<Canonical> {
        let gives_right = gives_right(join.kind);
        let gives_left = matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::LeftMark);
        if !(gives_right || gives_left) || join.projection.is_some() {
            return None;
        }
        // What is null for want of a partner must be so in the form, too.
        let fills_left = matches!(join.kind, JoinKind::Right | JoinKind::Full);
        let fills_right = matches!(join.kind, JoinKind::Left | JoinKind::Full);
        if fills_left && !left.columns.iter().all(follows_nulls)
            || fills_right && !right.columns.iter().all(follows_nulls)
        {
            return None;
        }
        let (left_form, right_form) = (left.form?, right.form?);
        let left_keys = substitute_all(&join.left_keys, &left.columns);
        let right_keys = substitute_all(&join.right_keys, &right.columns);
        // Shift the right side's identities, so that both sides stay apart in the residual.
        let both: Vec<Expression> =
            left.columns.iter().cloned().chain(right.columns.iter().map(|c| c.map_columns(&|i| i + RIGHT))).collect();
        let residual = join.residual.as_ref().map(|r| Expression::and(sorted(conjuncts(substitute(r, &both)))));
        let spec = Join { left_keys, right_keys, residual, ..join.clone() };
        let interned = self.intern(Form::Join { left: left_form, right: right_form, join: spec });
        let mut columns: Vec<Expression> =
            left.columns.iter().map(|c| self.wrapped(interned, c, Source::Left)).collect();
        if gives_right {
            columns.extend(right.columns.iter().map(|c| self.wrapped(interned, c, Source::Right)));
        }
        if join.kind == JoinKind::LeftMark {
            let field = Arc::new(Field::new("mark", DataType::Boolean, true));
            columns.push(self.column(interned, Source::Mark, &field));
        }
        Some(Canonical { form: Some(interned), columns })
    }

    /// An input's expression as one over the join's identities.
    fn wrapped(&mut self, form: usize, expression: &Expression, side: fn(usize) -> Source) -> Expression {
        let mut wrapped: HashMap<usize, usize> = HashMap::new();
        for column in expression.referenced_columns() {
            let field = self.columns[column].field.clone();
            let identity = self.column(form, side(column), &field);
            wrapped.extend(identity.referenced_columns().first().map(|&i| (column, i)));
        }
        expression.map_columns(&|c| wrapped.get(&c).copied().unwrap_or(c))
    }

    fn aggregate(
        &mut self,
        relation: &Relation,
        input: &Canonical,
        group_by: &[Expression],
        grouping_sets: &[Vec<bool>],
        aggregates: &[AggregateExpression],
    ) -> Option<Canonical> {
        let fields = relation.schema.fields();
        let group_by = substitute_all(group_by, &input.columns);
        let keys = fields.len() - aggregates.len();
        let grouping_sets = grouping_sets.to_vec();
        let form = self.intern(Form::Aggregate { input: input.form?, group_by, grouping_sets });
        let mut columns: Vec<Expression> =
            (0..keys).map(|key| self.column(form, Source::Key(key), &fields[key])).collect();
        for (aggregate, field) in aggregates.iter().zip(&fields[keys..]) {
            // Custom functions compare by name alone: they may be made with different options.
            if matches!(aggregate.function, AggregateFunction::Custom(_)) {
                return None;
            }
            let mut call = aggregate.clone();
            call.arguments = substitute_all(&call.arguments, &input.columns);
            call.filter = call.filter.map(|f| substitute(&f, &input.columns));
            call.order_by.iter_mut().for_each(|k| k.expression = substitute(&k.expression, &input.columns));
            columns.push(self.column(form, Source::Aggregate(call), field));
        }
        Some(Canonical { form: Some(form), columns })
    }

    fn window(
        &mut self,
        relation: &Relation,
        input: &Canonical,
        partition_by: &[Expression],
        order_by: &[SortKey],
        functions: &[WindowExpression],
    ) -> Option<Canonical> {
        let fields = relation.schema.fields();
        let partition_by = substitute_all(partition_by, &input.columns);
        let mut order_by = order_by.to_vec();
        order_by.iter_mut().for_each(|k| k.expression = substitute(&k.expression, &input.columns));
        let form = self.intern(Form::Window { input: input.form?, partition_by, order_by });
        let mut columns = input.columns.clone();
        for (function, field) in functions.iter().zip(&fields[columns.len()..]) {
            if matches!(function.function, WindowFunction::Aggregate(AggregateFunction::Custom(_))) {
                return None;
            }
            let mut call = function.clone();
            call.arguments = substitute_all(&call.arguments, &input.columns);
            call.filter = call.filter.map(|f| substitute(&f, &input.columns));
            columns.push(self.column(form, Source::Window(call), field));
        }
        Some(Canonical { form: Some(form), columns })
    }

    fn intern(&mut self, form: Form) -> usize {
        if let Some(known) = self.forms.iter().position(|f| same(f, &form)) {
            return known;
        }
        self.forms.push(form);
        self.forms.len() - 1
    }

    /// A reference to the identity of a form's column.
    fn column(&mut self, form: usize, source: Source, field: &FieldRef) -> Expression {
        let known = self.columns.iter().position(|c| c.form == form && c.source == source);
        let identity = known.unwrap_or_else(|| {
            self.columns.push(Column { form, source, field: field.clone() });
            self.columns.len() - 1
        });
        Expression::column(identity, self.columns[identity].field.data_type().clone())
    }

    /// A relation of that form which gives these expressions over its identities, in order.
    pub(super) fn relation(&self, form: usize, wanted: &[Expression]) -> Result<Relation> {
        let made = self.make(form, &identities(wanted))?;
        let expressions: Vec<Expression> = wanted.iter().map(|e| made.local(e)).collect::<Result<_>>()?;
        let plain: Option<Vec<usize>> = expressions.iter().map(column_of).collect();
        if let Some(columns) = plain {
            return Ok(made.relation.project_columns(columns));
        }
        let fields: Vec<FieldRef> = wanted.iter().enumerate().map(|(i, e)| self.field_of(e, i)).collect();
        let node = Node::Project { input: Box::new(made.relation), expressions };
        Ok(Relation::new(node, Arc::new(Schema::new(fields))))
    }

    fn field_of(&self, expression: &Expression, ordinal: usize) -> FieldRef {
        match column_of(expression) {
            Some(identity) => self.columns[identity].field.clone(),
            None => Arc::new(Field::new(format!("expression {ordinal}"), expression.data_type.clone(), true)),
        }
    }

    /// A relation of that form that has at least these identities.
    fn make(&self, form: usize, wanted: &[usize]) -> Result<Made> {
        match &self.forms[form] {
            Form::Scan { name, table, filters } => {
                let (projection, schema) = self.ordinals_of(wanted)?;
                let node = Node::Scan {
                    name: name.clone(),
                    table: table.clone(),
                    projection,
                    filters: filters.clone(),
                    fetch: None,
                    runtime_filters: Vec::new(),
                    threshold: None,
                };
                Ok(Made { relation: Relation::new(node, schema), identities: wanted.to_vec() })
            }
            Form::Shared { index, schema } => {
                let (columns, _) = self.ordinals_of(wanted)?;
                let scan = Relation::new(Node::SharedScan { index: *index }, schema.clone());
                Ok(Made { relation: scan.project_columns(columns), identities: wanted.to_vec() })
            }
            Form::Filter { input, predicate } => {
                let made = self.make(*input, &union(wanted, &identities(predicate)))?;
                let predicate = made.local_all(predicate)?;
                Ok(Made { relation: made.relation.filter(Expression::and(predicate)), identities: made.identities })
            }
            Form::Join { left, right, join } => self.make_join(*left, *right, join, wanted),
            Form::Aggregate { input, group_by, grouping_sets } => {
                self.make_aggregate(form, *input, group_by, grouping_sets, wanted)
            }
            Form::Window { input, partition_by, order_by } => {
                self.make_window(form, *input, partition_by, order_by, wanted)
            }
            Form::Union { inputs } => {
                let inputs =
                    inputs.iter().map(|(input, given)| self.relation(*input, given)).collect::<Result<Vec<_>>>()?;
                let all: Vec<usize> = (0..inputs.first().map_or(0, |i| i.schema.fields().len())).collect();
                let identities = all.iter().map(|&o| self.identity(form, o)).collect::<Result<Vec<_>>>()?;
                let schema = Arc::new(Schema::new(self.fields(&identities)));
                let inputs = inputs.into_iter().map(|i| i.with_schema(schema.clone())).collect();
                Ok(Made { relation: Relation::new(Node::Union { inputs }, schema), identities })
            }
        }
    }

    fn identity(&self, form: usize, ordinal: usize) -> Result<usize> {
        let known = self.columns.iter().position(|c| c.form == form && c.source == Source::Ordinal(ordinal));
        known.ok_or_else(|| Error::internal("a union's column has no identity"))
    }

    fn fields(&self, identities: &[usize]) -> Vec<FieldRef> {
        identities.iter().map(|&i| self.columns[i].field.clone()).collect()
    }

    fn ordinals_of(&self, wanted: &[usize]) -> Result<(Vec<usize>, SchemaRef)> {
        let ordinal = |&identity: &usize| match self.columns[identity].source {
            Source::Ordinal(ordinal) => Ok(ordinal),
            _ => Err(Error::internal("a leaf's column is no ordinal")),
        };
        let ordinals = wanted.iter().map(ordinal).collect::<Result<Vec<_>>>()?;
        Ok((ordinals, Arc::new(Schema::new(self.fields(wanted)))))
    }

    fn make_join(&self, left: usize, right: usize, join: &Join, wanted: &[usize]) -> Result<Made> {
        let residual: Vec<usize> = join.residual.iter().flat_map(Expression::referenced_columns).collect();
        let mut sides = (identities(&join.left_keys), identities(&join.right_keys));
        sides.0.extend(residual.iter().filter(|&&c| c < RIGHT));
        sides.1.extend(residual.iter().filter(|&&c| c >= RIGHT).map(|c| c - RIGHT));
        for &identity in wanted {
            match self.columns[identity].source {
                Source::Left(below) => sides.0.push(below),
                Source::Right(below) => sides.1.push(below),
                _ => {}
            }
        }
        let (left, right) = (self.make(left, &union(&sides.0, &[]))?, self.make(right, &union(&sides.1, &[]))?);
        let width = left.identities.len();
        let spec = Join {
            left_keys: left.local_all(&join.left_keys)?,
            right_keys: right.local_all(&join.right_keys)?,
            residual: join.residual.as_ref().map(|r| {
                r.map_columns(&|c| match c.checked_sub(RIGHT) {
                    Some(c) => width + right.place(c),
                    None => left.place(c),
                })
            }),
            ..join.clone()
        };
        // Outputs that nobody asked for have no identity of their own; they are projected away.
        let natural = |identity: usize| match self.columns[identity].source {
            Source::Left(below) => left.place(below),
            Source::Right(below) => width + right.place(below),
            _ => width,
        };
        let places: Vec<usize> = wanted.iter().map(|&i| natural(i)).collect();
        let mut schema = left.relation.schema.clone();
        if gives_right(join.kind) {
            schema = schema_with(&schema, right.relation.schema.fields().iter().cloned());
        }
        if join.kind == JoinKind::LeftMark {
            schema = schema_with(&schema, [Arc::new(Field::new("mark", DataType::Boolean, true))]);
        }
        let node = Node::Join { left: Box::new(left.relation), right: Box::new(right.relation), join: spec };
        let relation = Relation::new(node, schema).project_columns(places);
        Ok(Made { relation, identities: wanted.to_vec() })
    }

    fn make_aggregate(
        &self,
        form: usize,
        input: usize,
        group_by: &[Expression],
        grouping_sets: &[Vec<bool>],
        wanted: &[usize],
    ) -> Result<Made> {
        let keys = group_by.len() + usize::from(!grouping_sets.is_empty());
        let key = |key: usize| self.columns.iter().position(|c| c.form == form && c.source == Source::Key(key));
        let mut given = (0..keys).map(key).collect::<Option<Vec<usize>>>();
        let given = given.get_or_insert_default();
        let mut calls = Vec::new();
        for &identity in wanted {
            if let Source::Aggregate(call) = &self.columns[identity].source {
                given.push(identity);
                calls.push(call.clone());
            }
        }
        let read = calls
            .iter()
            .flat_map(|a| a.arguments.iter().chain(&a.filter).chain(a.order_by.iter().map(|k| &k.expression)));
        let read: Vec<usize> = group_by.iter().chain(read).flat_map(Expression::referenced_columns).collect();
        let made = self.make(input, &union(&read, &[]))?;
        for call in &mut calls {
            call.arguments = made.local_all(&call.arguments)?;
            call.filter = call.filter.as_ref().map(|f| made.local(f)).transpose()?;
            for sort_key in &mut call.order_by {
                sort_key.expression = made.local(&sort_key.expression)?;
            }
        }
        let node = Node::Aggregate {
            group_by: made.local_all(group_by)?,
            input: Box::new(made.relation),
            grouping_sets: grouping_sets.to_vec(),
            aggregates: calls,
            phase: AggregatePhase::Single,
        };
        let schema = Arc::new(Schema::new(self.fields(given)));
        Ok(Made { relation: Relation::new(node, schema), identities: given.clone() })
    }

    fn make_window(
        &self,
        form: usize,
        input: usize,
        partition_by: &[Expression],
        order_by: &[SortKey],
        wanted: &[usize],
    ) -> Result<Made> {
        let (mut functions, mut own, mut below) = (Vec::new(), Vec::new(), Vec::new());
        for &identity in wanted {
            match &self.columns[identity] {
                Column { form: owner, source: Source::Window(function), .. } if *owner == form => {
                    functions.push(function.clone());
                    own.push(identity);
                }
                _ => below.push(identity),
            }
        }
        let read = partition_by.iter().chain(order_by.iter().map(|k| &k.expression));
        let read = read.chain(functions.iter().flat_map(|f| f.arguments.iter().chain(&f.filter)));
        let read: Vec<usize> = read.flat_map(Expression::referenced_columns).collect();
        let made = self.make(input, &union(&below, &read))?;
        for function in &mut functions {
            function.arguments = made.local_all(&function.arguments)?;
            function.filter = function.filter.as_ref().map(|f| made.local(f)).transpose()?;
        }
        let mut order_by = order_by.to_vec();
        for key in &mut order_by {
            key.expression = made.local(&key.expression)?;
        }
        let partition_by = made.local_all(partition_by)?;
        let schema = schema_with(&made.relation.schema, self.fields(&own));
        let identities = made.identities.into_iter().chain(own).collect();
        let node = Node::Window { input: Box::new(made.relation), partition_by, order_by, functions };
        Ok(Made { relation: Relation::new(node, schema), identities })
    }
}

/// In a join's residual, the right side's identities start here.
const RIGHT: usize = 1 << 40;

/// A relation and the identities of its columns.
struct Made {
    relation: Relation,
    identities: Vec<usize>,
}

impl Made {
    fn place(&self, identity: usize) -> usize {
        self.identities.iter().position(|&i| i == identity).unwrap_or(usize::MAX)
    }

    fn local(&self, expression: &Expression) -> Result<Expression> {
        if expression.referenced_columns().iter().any(|c| !self.identities.contains(c)) {
            return Err(Error::internal("a shared sub-plan lacks a column that it reads"));
        }
        Ok(expression.map_columns(&|c| self.place(c)))
    }

    fn local_all(&self, expressions: &[Expression]) -> Result<Vec<Expression>> {
        expressions.iter().map(|e| self.local(e)).collect()
    }
}

fn same(a: &Form, b: &Form) -> bool {
    match (a, b) {
        (Form::Scan { table: a, filters: x, .. }, Form::Scan { table: b, filters: y, .. }) => {
            std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)) && x == y
        }
        (Form::Shared { index: a, .. }, Form::Shared { index: b, .. }) => a == b,
        (Form::Filter { input: a, predicate: x }, Form::Filter { input: b, predicate: y }) => a == b && x == y,
        (Form::Join { left: a, right: b, join: x }, Form::Join { left: c, right: d, join: y }) => {
            a == c && b == d && same_join(x, y)
        }
        (
            Form::Aggregate { input: a, group_by: x, grouping_sets: p },
            Form::Aggregate { input: b, group_by: y, grouping_sets: q },
        ) => a == b && x == y && p == q,
        (
            Form::Window { input: a, partition_by: x, order_by: p },
            Form::Window { input: b, partition_by: y, order_by: q },
        ) => a == b && x == y && p == q,
        (Form::Union { inputs: a }, Form::Union { inputs: b }) => a == b,
        _ => false,
    }
}

fn same_join(a: &Join, b: &Join) -> bool {
    a.kind == b.kind
        && a.left_keys == b.left_keys
        && a.right_keys == b.right_keys
        && a.null_equal == b.null_equal
        && a.residual == b.residual
        && a.null_aware == b.null_aware
}

/// Whether a join's output holds columns of both sides.
fn gives_right(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full)
}

/// Whether an expression is null where the columns are that it reads.
fn follows_nulls(expression: &Expression) -> bool {
    match &expression.kind {
        Kind::Column(_) => true,
        Kind::Cast { operand, .. } => follows_nulls(operand),
        _ => false,
    }
}

/// An expression over a relation's columns as one over what those columns are.
fn substitute(expression: &Expression, columns: &[Expression]) -> Expression {
    if let Kind::Column(column) = expression.kind {
        return columns.get(column).cloned().unwrap_or_else(|| expression.clone());
    }
    let mut made = expression.clone();
    made.children_mut().into_iter().for_each(|child| *child = substitute(child, columns));
    made
}

fn substitute_all(expressions: &[Expression], columns: &[Expression]) -> Vec<Expression> {
    expressions.iter().map(|e| substitute(e, columns)).collect()
}

/// In one order, whatever the order in which they were written.
fn sorted(mut conjuncts: Vec<Expression>) -> Vec<Expression> {
    conjuncts.sort_by_cached_key(|c| c.to_string());
    conjuncts
}

fn identities(expressions: &[Expression]) -> Vec<usize> {
    union(&expressions.iter().flat_map(Expression::referenced_columns).collect::<Vec<_>>(), &[])
}

/// Both, ascending and distinct.
fn union(a: &[usize], b: &[usize]) -> Vec<usize> {
    let mut all: Vec<usize> = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn column_of(expression: &Expression) -> Option<usize> {
    match expression.kind {
        Kind::Column(column) => Some(column),
        _ => None,
    }
}
