//! Calls as pieces of SQL: `"@0" LIKE "@1"`, `"sum"(DISTINCT "@0") FILTER (WHERE "@1")`, where `"@0"`, `"@1"` … stand for the arguments. The
//! planner library resolves the piece as it does in a statement; then the arguments take their places.

use std::fmt::Write;

use plasmon_core::{Error, Result};

use super::{AggregateCall, Order, WindowCall};

/// Operators between two operands.
const BINARY: [&str; 29] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "&",
    "|",
    "#",
    "<<",
    ">>",
    "~",
    "~*",
    "!~",
    "!~*",
    "is distinct from",
    "is not distinct from",
    "@>",
    "<@",
    "^",
    "==",
    "<=>",
];
/// Operators between a text and a pattern, with an escape character as a third operand.
const PATTERN: [&str; 6] = ["like", "not like", "ilike", "not ilike", "similar to", "not similar to"];
/// Operators behind their one operand.
const POSTFIX: [&str; 8] =
    ["is null", "is not null", "is true", "is not true", "is false", "is not false", "is unknown", "is not unknown"];

/// The stand-in of an argument.
pub(super) fn stand_in(index: usize) -> String {
    format!("@{index}")
}

/// Which argument a column stands in for.
pub(super) fn argument_of(column: &str) -> Option<usize> {
    column.strip_prefix('@')?.parse().ok()
}

/// Words of an operator that may be written with underscores: `is_not_null`.
fn spaced(name: &str) -> String {
    name.split(['_', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// How many operands an operator takes, when `name` is one.
fn arity(name: &str) -> Option<(std::ops::RangeInclusive<usize>, &'static str)> {
    Some(match name {
        "-" | "+" => (1..=2, "1 or 2"),
        "not" => (1..=1, "1"),
        "and" | "or" => (1..=usize::MAX, "1 or more"),
        "in" | "not in" => (2..=usize::MAX, "2 or more"),
        "between" | "not between" => (3..=3, "3"),
        "case" => (2..=usize::MAX, "2 or more"),
        "[]" => (2..=2, "2"),
        _ if BINARY.contains(&name) => (2..=2, "2"),
        _ if PATTERN.contains(&name) => (2..=3, "2 or 3"),
        _ if POSTFIX.contains(&name) => (1..=1, "1"),
        _ => return None,
    })
}

/// Refuses a call that cannot be, whatever its arguments are.
pub(super) fn check(name: &str, arguments: usize) -> Result<()> {
    if name.is_empty() {
        return Err(Error::user("a call without a name"));
    }
    match arity(&spaced(name)) {
        Some((range, text)) if !range.contains(&arguments) => {
            Err(Error::user(format!("operator {name} takes {text} operands, not {arguments}")))
        }
        _ => Ok(()),
    }
}

/// Whether a call is a chain of ANDs (true) or ORs (false).
pub(super) fn is_conjunction(name: &str) -> Option<bool> {
    match name {
        "and" => Some(true),
        "or" => Some(false),
        _ => None,
    }
}

/// Whether a call of `count` operands has an escape character as its last.
pub(super) fn has_escape(name: &str, count: usize) -> bool {
    count == 3 && PATTERN.contains(&spaced(name).as_str())
}

/// A call of a scalar function or an operator; `escape` is the pattern operators'.
pub(super) fn scalar(name: &str, count: usize, escape: Option<char>) -> String {
    let operator = spaced(name);
    let argument = |index: usize| format!("\"{}\"", stand_in(index));
    let Some(_) = arity(&operator) else { return format!("{}({})", quoted(name), list(0..count)) };
    match operator.as_str() {
        "in" | "not in" => format!("{} {operator} ({})", argument(0), list(1..count)),
        "between" | "not between" => format!("{} {operator} {} AND {}", argument(0), argument(1), argument(2)),
        "[]" => format!("{}[{}]", argument(0), argument(1)),
        "case" => case(count),
        "-" | "+" | "not" if count == 1 => format!("{operator} {}", argument(0)),
        _ if POSTFIX.contains(&operator.as_str()) => format!("{} {operator}", argument(0)),
        _ => {
            let mut text = format!("{} {operator} {}", argument(0), argument(1));
            if let Some(escape) = escape {
                let _ = write!(text, " ESCAPE '{}'", escape.to_string().replace('\'', "''"));
            }
            text
        }
    }
}

/// `condition, value, …, otherwise`.
fn case(count: usize) -> String {
    let mut text = "CASE".to_string();
    for branch in 0..count / 2 {
        let _ = write!(text, " WHEN \"{}\" THEN \"{}\"", stand_in(2 * branch), stand_in(2 * branch + 1));
    }
    if count % 2 == 1 {
        let _ = write!(text, " ELSE \"{}\"", stand_in(count - 1));
    }
    text + " END"
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(arguments: std::ops::Range<usize>) -> String {
    arguments.map(|index| format!("\"{}\"", stand_in(index))).collect::<Vec<_>>().join(", ")
}

/// A call of an aggregate function. Stand-ins: arguments, filter, order.
pub(super) fn aggregate(call: &AggregateCall) -> String {
    let count = call.arguments.len();
    let mut inside = if count == 0 && call.name == "count" { "*".to_string() } else { list(0..count) };
    if call.distinct {
        inside = format!("DISTINCT {inside}");
    }
    let first = count + usize::from(call.filter.is_some());
    if !call.order_by.is_empty() {
        let _ = write!(inside, " ORDER BY {}", order(&call.order_by, first));
    }
    let mut text = format!("{}({inside})", quoted(&call.name));
    if call.filter.is_some() {
        let _ = write!(text, " FILTER (WHERE \"{}\")", stand_in(count));
    }
    if call.ignore_nulls {
        text.push_str(" IGNORE NULLS");
    }
    text
}

/// A call over a window. Stand-ins: those of [`aggregate`], then partition keys and order keys.
pub(super) fn window(window: &WindowCall) -> String {
    let mut next = window.call.parts().count();
    let mut over = String::new();
    if !window.partition_by.is_empty() {
        let _ = write!(over, "PARTITION BY {} ", list(next..next + window.partition_by.len()));
        next += window.partition_by.len();
    }
    if !window.order_by.is_empty() {
        let _ = write!(over, "ORDER BY {} ", order(&window.order_by, next));
    }
    over.push_str(window.frame.as_deref().unwrap_or_default());
    format!("{} OVER ({over})", aggregate(&window.call))
}

fn order(keys: &[Order], first: usize) -> String {
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = match key.nulls_first {
            None => "",
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
        };
        format!("\"{}\" {direction}{nulls}", stand_in(first + index))
    });
    keys.collect::<Vec<_>>().join(", ")
}
