//! Expressions that a host builds before it knows over which columns they stand: ordinals, names, constants, calls, casts, SQL text.
//!
//! ```text
//! Untyped ──resolve.rs──► the planner library's expression over an input's columns ──coercion, simplification, translate──► the IR
//!             └ template.rs: a call becomes a piece of SQL, so that names, operators and clauses mean what they mean in SQL
//! ```
//! [`nodes`] makes relations of them, one operator each, typed by the very steps that SQL statements go through.

pub mod nodes;
mod resolve;
mod template;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use plasmon_core::{Error, Result};

use crate::error::convert_error;
use crate::sql::logical;
use crate::sql::statement::LONG_TEXT_BYTES;
use crate::stack;

/// Calls may nest no deeper: what walks a tree walks it on a stack.
const DEPTH_MAX: usize = 100;
/// Most parts of one expression. Parts that are used twice count twice, so that no small graph stands for a large tree.
const PARTS_MAX: usize = 100_000;
/// Messages show no more of an expression.
const SHOWN_CHARACTERS: usize = 120;

/// An expression without types, cheap to clone and to put into others.
///
/// ```
/// use plasmon_plan::untyped::Untyped;
///
/// let dear = Untyped::call(">", vec![Untyped::name("price"), Untyped::sql("2 * 10")?])?;
/// assert_eq!(dear.to_string(), ">(price, 2 * 10)");
/// # Ok::<(), plasmon_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Untyped(Arc<Part>);

#[derive(Debug)]
struct Part {
    form: Form,
    depth: usize,
    parts: usize,
    /// Of the longest text inside.
    text_bytes: usize,
}

/// What an expression is made of.
#[derive(Debug)]
enum Form {
    Column(usize),
    Name(String),
    Literal(ScalarValue),
    Sql(String),
    Call { name: String, arguments: Vec<Untyped> },
    Cast { operand: Untyped, to: DataType, or_null: bool },
    Aggregate(AggregateCall),
    Window(WindowCall),
    Named { operand: Untyped, name: String },
}

/// A call of an aggregate function: `name(DISTINCT arguments ORDER BY order_by) FILTER (WHERE filter) IGNORE NULLS`.
#[derive(Debug, Clone, Default)]
pub struct AggregateCall {
    /// Of the library or a user's; `count` without arguments counts rows.
    pub name: String,
    /// Over the input's rows.
    pub arguments: Vec<Untyped>,
    /// Equal arguments count once.
    pub distinct: bool,
    /// `first_value` and the like pass over nulls.
    pub ignore_nulls: bool,
    /// Only rows for which this is true count.
    pub filter: Option<Untyped>,
    /// Order within a group, for functions that depend on it.
    pub order_by: Vec<Order>,
}

/// A call of a window or aggregate function: `call OVER (PARTITION BY partition_by ORDER BY order_by frame)`.
#[derive(Debug, Clone, Default)]
pub struct WindowCall {
    /// The function and its arguments.
    pub call: AggregateCall,
    /// Rows of equal values are one partition.
    pub partition_by: Vec<Untyped>,
    /// Order within a partition.
    pub order_by: Vec<Order>,
    /// As in SQL: `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`. `None` = SQL's default.
    pub frame: Option<String>,
}

/// One key of an order.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is compared.
    pub expression: Untyped,
    /// Largest first.
    pub descending: bool,
    /// `None` = as SQL does: last ascending, first descending.
    pub nulls_first: Option<bool>,
}

impl Order {
    /// Smallest first, nulls last.
    pub fn ascending(expression: Untyped) -> Self {
        Order { expression, descending: false, nulls_first: None }
    }

    /// Largest first, nulls first.
    pub fn descending(expression: Untyped) -> Self {
        Order { expression, descending: true, nulls_first: None }
    }
}

impl AggregateCall {
    fn parts(&self) -> impl Iterator<Item = &Untyped> {
        self.arguments.iter().chain(&self.filter).chain(self.order_by.iter().map(|o| &o.expression))
    }
}

impl WindowCall {
    /// Those of the call, then partition keys and order keys.
    fn parts(&self) -> impl Iterator<Item = &Untyped> {
        self.call.parts().chain(&self.partition_by).chain(self.order_by.iter().map(|o| &o.expression))
    }
}

impl Untyped {
    /// The input's column of that ordinal, from 0. Joins: the probe side's columns, then the build side's.
    pub fn column(ordinal: usize) -> Self {
        Untyped(Arc::new(Part { form: Form::Column(ordinal), depth: 1, parts: 1, text_bytes: 0 }))
    }

    /// The input's column of exactly that name; `probe.name` and `build.name` tell the sides of a join apart.
    pub fn name(name: impl Into<String>) -> Self {
        Untyped(Arc::new(Part { form: Form::Name(name.into()), depth: 1, parts: 1, text_bytes: 0 }))
    }

    /// The one value of `array`, of the array's type.
    pub fn literal(array: &ArrayRef) -> Result<Self> {
        if array.len() != 1 {
            return Err(Error::user(format!("a literal is an array of one row, not {}", array.len())));
        }
        let value = ScalarValue::try_from_array(array, 0).map_err(convert_error)?;
        Untyped::new(Form::Literal(value), [])
    }

    /// An expression in SQL: `l_quantity < 24 AND l_comment LIKE '%special%'`. Names are the input's columns, lower-cased unless quoted.
    /// Aggregate and window calls may be written so too.
    pub fn sql(text: &str) -> Result<Self> {
        stack::with_room(text.len() > LONG_TEXT_BYTES, || {
            logical::parse_expression(text).map(drop).map_err(convert_error)
        })?;
        Untyped::new(Form::Sql(text.trim().to_string()), [])
    }

    /// A scalar function of the library or a user's, or an operator: `+ - * / % || = <> < <= > >= ~ & | << >>`, `and`, `or`, `not`,
    /// `like`, `ilike`, `similar to` (each with an escape as third argument), `in` (value, items …), `between`, `is null`, `is true`,
    /// `is distinct from` … and their negations, `case` (condition, value, …, otherwise), `[]`.
    pub fn call(name: &str, arguments: Vec<Untyped>) -> Result<Self> {
        let name = name.trim().to_lowercase();
        template::check(&name, arguments.len())?;
        let parts: Vec<Untyped> = arguments.clone();
        Untyped::new(Form::Call { name, arguments }, &parts)
    }

    /// `operand` as a value of type `to`. A value that has no image is an error, or null when `or_null`.
    pub fn cast(operand: Untyped, to: DataType, or_null: bool) -> Result<Self> {
        let part = operand.clone();
        Untyped::new(Form::Cast { operand, to, or_null }, [&part])
    }

    /// A call of an aggregate function.
    pub fn aggregate(call: AggregateCall) -> Result<Self> {
        let parts: Vec<Untyped> = call.parts().cloned().collect();
        let call = AggregateCall { name: call.name.trim().to_lowercase(), ..call };
        Untyped::new(Form::Aggregate(call), &parts)
    }

    /// A call of a window function, or of an aggregate function over a window.
    pub fn window(window: WindowCall) -> Result<Self> {
        let parts: Vec<Untyped> = window.parts().cloned().collect();
        let call = AggregateCall { name: window.call.name.trim().to_lowercase(), ..window.call };
        Untyped::new(Form::Window(WindowCall { call, ..window }), &parts)
    }

    /// The expression under a name for the column that it becomes.
    pub fn named(self, name: impl Into<String>) -> Result<Self> {
        let part = self.clone();
        Untyped::new(Form::Named { operand: self, name: name.into() }, [&part])
    }

    fn new<'a>(form: Form, children: impl IntoIterator<Item = &'a Untyped>) -> Result<Self> {
        let (mut depth, mut parts) = (1, 1_usize);
        let mut text_bytes = if let Form::Sql(text) = &form { text.len() } else { 0 };
        for child in children {
            depth = depth.max(child.0.depth + 1);
            parts = parts.saturating_add(child.0.parts);
            text_bytes = text_bytes.max(child.0.text_bytes);
        }
        if depth > DEPTH_MAX {
            return Err(Error::user(format!(
                "an expression nests at most {DEPTH_MAX} deep; `and` and `or` take many arguments"
            )));
        }
        if parts > PARTS_MAX {
            return Err(Error::user(format!("an expression has at most {PARTS_MAX} parts, this one {parts}")));
        }
        Ok(Untyped(Arc::new(Part { form, depth, parts, text_bytes })))
    }
}

/// For messages: shortened when it is long.
impl fmt::Display for Untyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Shortened { text: String::new(), left: SHOWN_CHARACTERS };
        let is_whole = write_part(&mut shown, self).is_ok();
        f.write_str(&shown.text)?;
        if is_whole { Ok(()) } else { f.write_str("…") }
    }
}

/// Takes characters until none are left.
struct Shortened {
    text: String,
    left: usize,
}

impl Write for Shortened {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let taken: String = text.chars().take(self.left).collect();
        self.left -= taken.chars().count();
        self.text.push_str(&taken);
        if taken.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn write_part(out: &mut Shortened, expression: &Untyped) -> fmt::Result {
    match &expression.0.form {
        Form::Column(ordinal) => write!(out, "#{ordinal}"),
        Form::Name(name) => out.write_str(name),
        Form::Literal(value) => write!(out, "{value}"),
        Form::Sql(text) => out.write_str(text),
        Form::Call { name, arguments } => write_list(out, name, arguments),
        Form::Cast { operand, to, or_null } => {
            out.write_str(if *or_null { "TRY_CAST(" } else { "CAST(" })?;
            write_part(out, operand)?;
            write!(out, " AS {to})")
        }
        Form::Aggregate(call) => write_list(out, &call.name, &call.arguments),
        Form::Window(window) => {
            write_list(out, &window.call.name, &window.call.arguments)?;
            out.write_str(" OVER (…)")
        }
        Form::Named { operand, name } => {
            write_part(out, operand)?;
            write!(out, " AS {name}")
        }
    }
}

fn write_list(out: &mut Shortened, name: &str, arguments: &[Untyped]) -> fmt::Result {
    write!(out, "{name}(")?;
    for (index, argument) in arguments.iter().enumerate() {
        out.write_str(if index > 0 { ", " } else { "" })?;
        write_part(out, argument)?;
    }
    out.write_str(")")
}
