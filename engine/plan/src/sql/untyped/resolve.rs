//! Untyped expressions over an input's columns → the planner library's expressions.
//!
//! Columns are called `c0`, `c1` … inside, whatever the input calls them: its names may be equal, empty, or anything else.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, TableReference};
use datafusion_expr::expr::{Cast, TryCast};
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_sql::planner::PlannerContext;
use plasmon_core::table::Table;
use plasmon_core::{Error, Result};

use super::{AggregateCall, Form, Untyped, WindowCall, template};
use crate::error::convert_error;
use crate::function::Registry;
use crate::sql::context::Context;
use crate::sql::{Catalog, View, logical};

/// A catalog of functions alone.
pub(super) struct Functions(pub(super) Arc<Registry>);

impl Catalog for Functions {
    fn table(&self, _: &[String]) -> Result<Option<Arc<dyn Table>>> {
        Ok(None)
    }

    fn view(&self, _: &[String]) -> Result<Option<View>> {
        Ok(None)
    }

    fn path_table(&self, path: &str, _: Option<&str>, _: &[(String, String)]) -> Result<Arc<dyn Table>> {
        Err(Error::unsupported(format!("the table {path} in an expression of an operator")))
    }

    fn functions(&self) -> Arc<Registry> {
        self.0.clone()
    }
}

/// The columns over which expressions stand.
pub(super) struct Scope<'a> {
    context: Context<'a>,
    /// As the input calls them, with the input's name.
    columns: Vec<(&'static str, FieldRef)>,
    /// Under the inner names.
    pub(super) schema: DFSchemaRef,
    /// As texts see them: those that another one is called like have names that no text can write.
    visible: DFSchema,
}

/// The inner name of a column.
fn inner_name(ordinal: usize) -> String {
    format!("c{ordinal}")
}

/// Fields under the inner names of columns from `first` on.
pub(super) fn inner_fields(schema: &Schema, first: usize) -> impl Iterator<Item = FieldRef> {
    let fields = schema.fields().iter().enumerate();
    fields.map(move |(index, field)| Arc::new(field.as_ref().clone().with_name(inner_name(first + index))))
}

impl<'a> Scope<'a> {
    /// The columns of inputs of different names, one after the other.
    pub(super) fn new(functions: &'a Functions, inputs: &[(&'static str, &Schema)]) -> Result<Self> {
        let columns: Vec<(&'static str, FieldRef)> =
            inputs.iter().flat_map(|(name, schema)| schema.fields().iter().map(|f| (*name, f.clone()))).collect();
        let mut inner: Vec<FieldRef> = Vec::with_capacity(columns.len());
        for (_, schema) in inputs {
            inner.extend(inner_fields(schema, inner.len()));
        }
        let mut uses: HashMap<(&str, &str), usize> = HashMap::new();
        columns.iter().for_each(|(input, f)| *uses.entry((input, f.name())).or_default() += 1);
        let visible = columns.iter().enumerate().map(|(ordinal, (input, field))| {
            let name = match uses[&(*input, field.name().as_str())] {
                1 => field.name().clone(),
                _ => format!("\u{1}{ordinal}"),
            };
            (Some(TableReference::bare(*input)), Arc::new(field.as_ref().clone().with_name(name)))
        });
        let visible = DFSchema::new_with_metadata(visible.collect(), HashMap::new()).map_err(convert_error)?;
        let schema = DFSchema::from_unqualified_fields(inner.into(), HashMap::new()).map_err(convert_error)?;
        Ok(Scope { context: Context::new(functions), columns, schema: Arc::new(schema), visible })
    }

    /// All columns, as messages list them.
    fn names(&self) -> String {
        const SHOWN: usize = 40;
        let mut names: Vec<&str> = self.columns.iter().take(SHOWN).map(|(_, f)| f.name().as_str()).collect();
        if self.columns.len() > SHOWN {
            names.push("…");
        }
        if names.is_empty() { "none".to_string() } else { names.join(", ") }
    }

    /// The expression over the inner columns. Its type is looked at, so that a call that cannot be is blamed on the expression it is in.
    pub(super) fn expression(&self, untyped: &Untyped) -> Result<Expr> {
        let resolved = self.resolve(untyped).and_then(|expression| {
            expression.get_type(self.schema.as_ref()).map_err(convert_error)?;
            Ok(expression)
        });
        resolved.map_err(|error| about(untyped, error))
    }

    fn resolve(&self, untyped: &Untyped) -> Result<Expr> {
        match &untyped.0.form {
            Form::Column(ordinal) => self.column(*ordinal),
            Form::Name(name) => self.column(self.ordinal_of(name)?),
            Form::Literal(value) => Ok(Expr::Literal(value.clone(), None)),
            Form::Sql(text) => self.text(text),
            Form::Call { name, arguments } => self.call(name, arguments),
            Form::Cast { operand, to, or_null } => {
                let operand = Box::new(self.resolve(operand)?);
                Ok(match or_null {
                    true => Expr::TryCast(TryCast::new(operand, to.clone())),
                    false => Expr::Cast(Cast::new(operand, to.clone())),
                })
            }
            Form::Aggregate(call) => self.aggregate(call),
            Form::Window(call) => self.window(call),
            Form::Named { operand, name } => Ok(self.resolve(operand)?.alias(name)),
        }
    }

    fn column(&self, ordinal: usize) -> Result<Expr> {
        match ordinal < self.columns.len() {
            true => Ok(Expr::Column(Column::new_unqualified(inner_name(ordinal)))),
            false => Err(Error::user(format!(
                "there is no column {ordinal}: there are {}, counted from 0 ({})",
                self.columns.len(),
                self.names()
            ))),
        }
    }

    fn ordinal_of(&self, name: &str) -> Result<usize> {
        let found = |matches: &dyn Fn(&str, &str) -> bool| {
            let columns = self.columns.iter().enumerate();
            columns.filter(|(_, (input, f))| matches(input, f.name())).map(|(i, _)| i).collect::<Vec<_>>()
        };
        let mut ordinals = found(&|_, column| column == name);
        if ordinals.is_empty() {
            ordinals = found(&|input, column| {
                name.strip_prefix(input).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| rest == column)
            });
        }
        match ordinals[..] {
            [ordinal] => Ok(ordinal),
            [] => Err(Error::user(format!("there is no column {name}; there are {}", self.names()))),
            _ => Err(Error::user(format!("{} columns are called {name}: say which by its ordinal", ordinals.len()))),
        }
    }

    /// The planner's expression of a piece of SQL over the columns of `schema`.
    fn planned(&self, text: &str, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        let parsed = logical::parse_expression(text)?;
        logical::planner(&self.context).sql_to_expr(parsed, schema, &mut PlannerContext::new())
    }

    fn text(&self, text: &str) -> Result<Expr> {
        let planned = self.planned(text, &self.visible).map_err(convert_error)?;
        let mut refused = None;
        let inner = planned.transform_up(|e| {
            refused = refused.take().or_else(|| refusal(&e));
            match e {
                Expr::Column(column) => {
                    let ordinal = self.visible.index_of_column(&column)?;
                    Ok(Transformed::yes(Expr::Column(Column::new_unqualified(inner_name(ordinal)))))
                }
                other => Ok(Transformed::no(other)),
            }
        });
        let inner = inner.map_err(convert_error)?.data;
        refused.map_or(Ok(inner), Err)
    }

    fn call(&self, name: &str, arguments: &[Untyped]) -> Result<Expr> {
        let mut arguments = arguments.iter().map(|a| self.resolve(a)).collect::<Result<Vec<_>>>()?;
        if let Some(is_and) = template::is_conjunction(name) {
            return balanced(arguments, &|a, b| if is_and { a.and(b) } else { a.or(b) });
        }
        let escape = match template::has_escape(name, arguments.len()) {
            true => arguments.pop().map(|e| escape_of(name, &e)).transpose()?,
            false => None,
        };
        self.filled(&template::scalar(name, arguments.len(), escape), arguments)
    }

    fn aggregate(&self, call: &AggregateCall) -> Result<Expr> {
        let functions = &self.context.functions;
        if functions.aggregate(&call.name).is_none() && functions.scalar(&call.name).is_some() {
            return Err(Error::user(format!("{} is no aggregate function", call.name)));
        }
        let arguments = call.parts().map(|a| self.resolve(a)).collect::<Result<Vec<_>>>()?;
        self.filled(&template::aggregate(call), arguments)
    }

    fn window(&self, window: &WindowCall) -> Result<Expr> {
        let arguments = window.parts().map(|a| self.resolve(a)).collect::<Result<Vec<_>>>()?;
        self.filled(&template::window(window), arguments)
    }

    /// The expression of a template with its arguments in their places.
    fn filled(&self, text: &str, arguments: Vec<Expr>) -> Result<Expr> {
        let fields = arguments.iter().enumerate().map(|(index, argument)| {
            let data_type = argument.get_type(self.schema.as_ref())?;
            Ok(Arc::new(Field::new(template::stand_in(index), data_type, true)))
        });
        let fill = || {
            let fields = fields.collect::<Result<Vec<FieldRef>, DataFusionError>>()?;
            let schema = DFSchema::from_unqualified_fields(fields.into(), HashMap::new())?;
            let planned = self.planned(text, &schema)?;
            let filled = planned.transform_up(|e| match &e {
                Expr::Column(column) => Ok(match template::argument_of(&column.name).and_then(|i| arguments.get(i)) {
                    Some(argument) => Transformed::yes(argument.clone()),
                    None => Transformed::no(e),
                }),
                _ => Ok(Transformed::no(e)),
            })?;
            Ok(filled.data)
        };
        fill().map_err(convert_error)
    }

    /// What a column that an expression becomes is called, as SQL would.
    pub(super) fn output_name(&self, expression: &Expr) -> String {
        let shown = expression.clone().transform_up(|e| match &e {
            Expr::Column(column) => {
                let ordinal = self.schema.index_of_column(column)?;
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(self.columns[ordinal].1.name()))))
            }
            _ => Ok(Transformed::no(e)),
        });
        shown.map_or_else(|_| expression.schema_name().to_string(), |shown| shown.data.schema_name().to_string())
    }
}

/// The error with the expression that is to blame.
pub(super) fn about(untyped: &Untyped, error: Error) -> Error {
    let blamed = |message: String| format!("expression {untyped}: {message}");
    match error {
        Error::User(message) => Error::User(blamed(message)),
        Error::Unsupported(message) => Error::Unsupported(blamed(message)),
        Error::Data(message) => Error::Data(blamed(message)),
        other => other,
    }
}

/// What a text may say in a statement, but not where there is none.
fn refusal(expression: &Expr) -> Option<Error> {
    match expression {
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
            Some(Error::unsupported("sub-queries in an expression of an operator"))
        }
        Expr::Placeholder(p) => Some(Error::user(format!("parameter {} has no value: use a literal", p.id))),
        _ => None,
    }
}

/// A chain of operands as a tree of little depth.
fn balanced(mut operands: Vec<Expr>, join: &dyn Fn(Expr, Expr) -> Expr) -> Result<Expr> {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(first) = rest.next() {
            pairs.push(match rest.next() {
                Some(second) => join(first, second),
                None => first,
            });
        }
        operands = pairs;
    }
    operands.pop().ok_or_else(|| Error::user("AND or OR of nothing"))
}

/// The one character of an escape.
fn escape_of(name: &str, expression: &Expr) -> Result<char> {
    let text = match expression {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    let mut characters = text.unwrap_or_default().chars();
    match (characters.next(), characters.next()) {
        (Some(escape), None) => Ok(escape),
        _ => Err(Error::user(format!("{name}: the escape, its third operand, is a literal text of one character"))),
    }
}
