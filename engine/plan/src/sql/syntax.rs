//! Syntax trees put into forms that the planner library resolves as SQL means them.
//!
//! - A number with an exponent is a DOUBLE (the library reads it as a decimal of that scale).
//! - `a IS DISTINCT FROM b AND c` is a conjunction (the parser takes `b AND c` for the right operand).
//! - An unqualified column of `USING` is the merged one: the right input's under RIGHT JOIN, the first of both under FULL JOIN.
//! - Two select items of one name are two columns: the second is called `name:1`.
//! - Expressions that differ in a cast only have different names (the library leaves casts out of names and then takes one for the other).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion_common::{DataFusionError, not_impl_datafusion_err};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderBy,
    Query, Select, SelectItem, SetExpr, Statement, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};

/// The function that keeps a cast's name: `__named(CAST(x AS T), 'CAST(x AS T)')` is its first argument.
pub(super) const NAMED: &str = "__named";

/// Rewrites every query in a statement.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), DataFusionError> {
    match statement.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// As [`rewrite`], of an expression that stands alone.
pub(super) fn rewrite_expression(expression: &mut Expr) -> Result<(), DataFusionError> {
    match expression.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<DataFusionError> {
        if let Expr::Value(value) = expression
            && let Value::Number(text, _) = &value.value
            && text.contains(['e', 'E'])
        {
            let text = Expr::Value(Value::SingleQuotedString(text.to_string()).into());
            *expression = cast(text, DataType::Double(ExactNumberInfo::None));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<DataFusionError> {
        bind_distinct(expression);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        if let (SetExpr::Select(select), Some(order_by)) = (query.body.as_mut(), &mut query.order_by) {
            name_casts(select, Some(order_by));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        if let Err(error) = merge_using(select) {
            return ControlFlow::Break(error);
        }
        name_casts(select, None);
        name_duplicates(select);
        ControlFlow::Continue(())
    }
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, array: false, format: None }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A name as it is compared: lower-case unless quoted.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// What a visitor does to every expression of one select, sub-queries left out.
struct EachExpression<F> {
    depth: usize,
    act: F,
}

impl<F: FnMut(&mut Expr)> VisitorMut for EachExpression<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.act)(expression);
        }
        ControlFlow::Continue(())
    }
}

fn each_expression(node: &mut impl VisitMut, act: impl FnMut(&mut Expr)) {
    let _ = node.visit(&mut EachExpression { depth: 0, act });
}

// ---- IS DISTINCT FROM

/// `a IS DISTINCT FROM b AND c` is a conjunction. The parser takes all that follows for the right operand, `b AND c`, and what stands before
/// (`NOT`, `x AND`) for looser than it; parentheses are nodes of their own, so a loose operator found inside of a tighter one came about so.
fn bind_distinct(expression: &mut Expr) {
    let is_loose = |op: &BinaryOperator| matches!(op, BinaryOperator::And | BinaryOperator::Or);
    match expression {
        Expr::IsDistinctFrom(_, right)
        | Expr::IsNotDistinctFrom(_, right)
        | Expr::UnaryOp { expr: right, op: UnaryOperator::Not } => {
            if !matches!(right.as_ref(), Expr::BinaryOp { op, .. } if is_loose(op)) {
                return;
            }
            let mut whole = take(right);
            let mut operand = Expr::Value(Value::Null.into());
            at_leftmost(&mut whole, &is_loose, |e| operand = take(e));
            **right = operand;
            let tight = take(expression);
            at_leftmost(&mut whole, &is_loose, |e| *e = tight);
            *expression = whole;
        }
        Expr::BinaryOp { op: BinaryOperator::And, right, .. } => {
            let is_or = |op: &BinaryOperator| matches!(op, BinaryOperator::Or);
            if !matches!(right.as_ref(), Expr::BinaryOp { op, .. } if is_or(op)) {
                return;
            }
            let mut whole = take(right);
            let mut operand = Expr::Value(Value::Null.into());
            at_leftmost(&mut whole, &is_or, |e| operand = take(e));
            **right = operand;
            let tight = take(expression);
            at_leftmost(&mut whole, &is_or, |e| *e = tight);
            *expression = whole;
        }
        _ => {}
    }
}

fn take(expression: &mut Expr) -> Expr {
    std::mem::replace(expression, Expr::Value(Value::Null.into()))
}

/// Does something to the first operand of a chain of such operators.
fn at_leftmost(expression: &mut Expr, in_chain: &dyn Fn(&BinaryOperator) -> bool, act: impl FnOnce(&mut Expr)) {
    if let Expr::BinaryOp { op, left, .. } = expression
        && in_chain(op)
    {
        return at_leftmost(left, in_chain, act);
    }
    act(expression);
}

// ---- USING

/// How a join's right input stands to the merged column.
enum Merge {
    Left,
    Right,
    Both,
}

fn join_parts(operator: &JoinOperator) -> Option<(Merge, &JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => {
            (Merge::Left, c)
        }
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (Merge::Right, c),
        JoinOperator::FullOuter(c) => (Merge::Both, c),
        _ => return None,
    })
}

fn relation_name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        _ => None,
    }
}

/// Unqualified references to columns of USING become what they stand for.
fn merge_using(select: &mut Select) -> Result<(), DataFusionError> {
    let [from] = &select.from[..] else { return Ok(()) };
    let Some(first) = relation_name(&from.relation) else { return Ok(()) };
    let qualified = |relation: &Ident, column: &Ident| Expr::CompoundIdentifier(vec![relation.clone(), column.clone()]);
    let mut merged: BTreeMap<String, (Ident, Expr)> = BTreeMap::new();
    let mut is_outer = false;
    for (position, join) in from.joins.iter().enumerate() {
        let Some((merge, constraint)) = join_parts(&join.join_operator) else { continue };
        if matches!(constraint, JoinConstraint::Natural) && !matches!(merge, Merge::Left) {
            return Err(not_impl_datafusion_err!("NATURAL RIGHT and FULL JOIN: write the columns with USING"));
        }
        let (JoinConstraint::Using(columns), Some(right)) = (constraint, relation_name(&join.relation)) else {
            continue;
        };
        is_outer |= !matches!(merge, Merge::Left);
        for column in columns.iter().filter_map(|c| c.0.last().and_then(|part| part.as_ident())) {
            let left = match merged.get(&folded(column)) {
                Some((_, left)) => left.clone(),
                None if position == 0 => qualified(&first, column),
                None => continue,
            };
            let value = match merge {
                Merge::Left => left,
                Merge::Right => qualified(&right, column),
                Merge::Both => call("coalesce", vec![left, qualified(&right, column)]),
            };
            merged.insert(folded(column), (column.clone(), value));
        }
    }
    if merged.is_empty() {
        return Ok(());
    }
    if is_outer && select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
        return Err(not_impl_datafusion_err!("SELECT * over RIGHT or FULL JOIN with USING: name the columns"));
    }
    replace_merged(select, &merged);
    Ok(())
}

fn replace_merged(select: &mut Select, merged: &BTreeMap<String, (Ident, Expr)>) {
    let of = |ident: &Ident| merged.get(&folded(ident)).cloned();
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) if of(&ident).is_some() => {
                items.extend(of(&ident).map(|(_, expr)| SelectItem::ExprWithAlias { expr, alias: ident }));
            }
            other => items.push(other),
        }
    }
    select.projection = items;
    let mut replace = |e: &mut Expr| {
        if let Expr::Identifier(ident) = e
            && let Some((_, value)) = of(ident)
        {
            *e = value;
        }
    };
    each_expression(&mut select.projection, &mut replace);
    each_expression(&mut select.selection, &mut replace);
    each_expression(&mut select.group_by, &mut replace);
    each_expression(&mut select.having, &mut replace);
    each_expression(&mut select.qualify, &mut replace);
    each_expression(&mut select.named_window, &mut replace);
    let mut nested = MergedInSubqueries { merged, scopes: Vec::new() };
    let _ = select.projection.visit(&mut nested);
    let _ = select.selection.visit(&mut nested);
    let _ = select.having.visit(&mut nested);
    let _ = select.qualify.visit(&mut nested);
}

/// Replaces merged columns inside of sub-queries, where it is certain that no relation there has a column of that name.
struct MergedInSubqueries<'a> {
    merged: &'a BTreeMap<String, (Ident, Expr)>,
    /// Names within the queries and selects around an expression; `None` = not known.
    scopes: Vec<Option<BTreeSet<String>>>,
}

impl VisitorMut for MergedInSubqueries<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // ORDER BY may name an output column.
        self.scopes.push(query.order_by.is_none().then(BTreeSet::new));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.scopes.push(names_within(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expression
            && !self.scopes.is_empty()
            && self.scopes.iter().all(|names| names.as_ref().is_some_and(|n| !n.contains(&folded(ident))))
            && let Some((_, value)) = self.merged.get(&folded(ident))
        {
            *expression = value.clone();
        }
        ControlFlow::Continue(())
    }
}

/// Names that an unqualified column may stand for in a select over derived tables; `None` where a table's columns are not known from the text.
fn names_within(select: &Select) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            names.insert(folded(alias));
        }
    }
    for from in &select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
            let TableFactor::Derived { subquery, alias, .. } = factor else { return None };
            match alias {
                Some(alias) if !alias.columns.is_empty() => names.extend(alias.columns.iter().map(|c| folded(&c.name))),
                _ => names.extend(output_names(&subquery.body)?),
            }
        }
    }
    Some(names)
}

/// Names of a query's columns, but for those that are named by an expression's text.
fn output_names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => {
            let mut names = Vec::new();
            for item in &select.projection {
                match item {
                    SelectItem::ExprWithAlias { alias, .. } => names.push(folded(alias)),
                    SelectItem::UnnamedExpr(Expr::Identifier(ident)) => names.push(folded(ident)),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => {
                        names.extend(idents.last().map(folded))
                    }
                    SelectItem::UnnamedExpr(_) => {}
                    _ => return None,
                }
            }
            Some(names)
        }
        SetExpr::Query(query) => output_names(&query.body),
        SetExpr::SetOperation { left, .. } => output_names(left),
        _ => None,
    }
}

// ---- names

/// The text of an expression as the library names it: without its casts.
fn uncast(expression: &Expr) -> String {
    let mut bare = expression.clone();
    each_expression(&mut bare, |e| {
        if let Expr::Cast { expr, .. } = e {
            *e = expr.as_ref().clone();
        }
    });
    // `count(*)` counts ones.
    bare.to_string().to_lowercase().replace("count(*)", "count(1)")
}

/// Keeps the casts of calls and keys that would have equal names, or the name of an output column: `CAST(t.x AS T)` is called `t.x` by the library,
/// which then takes `x` of ORDER BY for it although another output column is called so.
fn name_casts(select: &mut Select, order_by: Option<&mut OrderBy>) {
    let mut texts: BTreeMap<String, BTreeMap<String, Expr>> = BTreeMap::new();
    let mut note = |e: &Expr| {
        texts.entry(uncast(e)).or_default().insert(e.to_string().to_lowercase(), e.clone());
    };
    let mut note_calls = |e: &mut Expr| {
        if matches!(e, Expr::Function(_)) {
            note(e);
        }
    };
    each_expression(&mut select.projection, &mut note_calls);
    each_expression(&mut select.having, &mut note_calls);
    each_expression(&mut select.qualify, &mut note_calls);
    if let GroupByExpr::Expressions(keys, _) = &select.group_by {
        for key in keys {
            match key {
                Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                    sets.iter().flatten().for_each(&mut note);
                }
                key => note(key),
            }
        }
    }
    let mut casts = casts_called_as_outputs(select);
    for expression in texts.values_mut().filter(|alike| alike.len() > 1).flat_map(|alike| alike.values_mut()) {
        each_expression(expression, |e| {
            if matches!(e, Expr::Cast { .. }) {
                casts.insert(e.to_string());
            }
        });
    }
    if casts.is_empty() {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = Ident::with_quote('"', expr.to_string());
            if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
    }
    let mut keep = |e: &mut Expr| {
        let text = e.to_string();
        if matches!(e, Expr::Cast { .. }) && casts.contains(&text) {
            *e = call(NAMED, vec![e.clone(), Expr::Value(Value::SingleQuotedString(text).into())]);
        }
    };
    each_expression(&mut select.projection, &mut keep);
    each_expression(&mut select.group_by, &mut keep);
    each_expression(&mut select.having, &mut keep);
    each_expression(&mut select.qualify, &mut keep);
    if let Some(order_by) = order_by {
        each_expression(order_by, &mut keep);
    }
}

/// Casts of columns among the keys of GROUP BY where an output column has the cast column's name.
fn casts_called_as_outputs(select: &mut Select) -> BTreeSet<String> {
    let aliases: BTreeSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        })
        .collect();
    let mut casts = BTreeSet::new();
    each_expression(&mut select.group_by, |e| {
        if matches!(e, Expr::Function(call) if call.name.to_string() == NAMED) {
            // Kept already, together with the query's ORDER BY.
            casts.clear();
        }
        let Expr::Cast { expr, .. } = e else { return };
        let column = match expr.as_ref() {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if column.is_some_and(|ident| aliases.contains(&folded(ident))) {
            casts.insert(e.to_string());
        }
    });
    casts
}

/// Gives the later of equal names a number.
fn name_duplicates(select: &mut Select) {
    let has_wildcard = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for item in &mut select.projection {
        let (expr, name, key) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match &*expr {
                    Expr::Identifier(ident) => ident.value.clone(),
                    Expr::CompoundIdentifier(parts) => parts.last().map(|p| p.value.clone()).unwrap_or_default(),
                    other => other.to_string(),
                };
                (expr.clone(), name, uncast(expr))
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.value.clone(), folded(alias)),
            _ => continue,
        };
        let is_in_wildcard = has_wildcard && matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_)));
        let count = seen.entry(key).or_insert(usize::from(is_in_wildcard));
        if *count > 0 {
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', format!("{name}:{count}")) };
        }
        *count += 1;
    }
}
