//! Expressions: built without types, resolved against the columns of the operators that they are given to.

use std::ffi::c_char;

use arrow::datatypes::{DataType, Field};
use plasmon::operators::{AggregateCall, Order, Untyped, WindowCall};
use plasmon_boundary::arrow::{ArrowArray, ArrowSchema, import_array, import_field};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle::{self, Object};
use plasmon_boundary::host::{Options, list, options, require, write};
use plasmon_boundary::{Failure, Result, text};

/// An expression over columns that are not known yet. Immutable: any number of threads, operators and other expressions may use one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_expression {
    /// Zero is no expression.
    pub id: u64,
}

/// Where an order puts nulls.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_nulls {
    /// As SQL does: last ascending, first descending.
    Default = 0,
    /// Before all values.
    First = 1,
    /// After all values.
    Last = 2,
}

/// One key of an order.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_order {
    /// What is compared.
    pub expression: plasmon_expression,
    /// Not 0 = largest first.
    pub descending: i32,
    /// A `plasmon_nulls`.
    pub nulls: i32,
}

/// The clauses of an aggregate call; those of zero are none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_aggregate_clauses {
    /// `sizeof(plasmon_aggregate_clauses)`.
    pub size: u64,
    /// Not 0 = equal arguments count once.
    pub distinct: i32,
    /// Not 0 = `IGNORE NULLS`.
    pub ignore_nulls: i32,
    /// Only rows for which it is true count.
    pub filter: plasmon_expression,
    /// Order within a group, for functions that depend on it.
    pub order_by: *const plasmon_order,
    /// Keys of `order_by`.
    pub order_by_count: u64,
}

/// The clauses of a call over a window; those of zero are none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_window_clauses {
    /// `sizeof(plasmon_window_clauses)`.
    pub size: u64,
    /// Not 0 = equal arguments count once.
    pub distinct: i32,
    /// Not 0 = `IGNORE NULLS`.
    pub ignore_nulls: i32,
    /// Only rows for which it is true count.
    pub filter: plasmon_expression,
    /// Rows of equal values are one partition.
    pub partition_by: *const plasmon_expression,
    /// Expressions of `partition_by`.
    pub partition_by_count: u64,
    /// Order within a partition.
    pub order_by: *const plasmon_order,
    /// Keys of `order_by`.
    pub order_by_count: u64,
    /// As in SQL: `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`; null = SQL's default.
    pub frame: *const c_char,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Options for plasmon_aggregate_clauses {}
// SAFETY: as above.
unsafe impl Options for plasmon_window_clauses {}

struct ExpressionObject(Untyped);

impl Object for ExpressionObject {
    const KIND: u8 = 10;
    const NAME: &'static str = "an expression";
}

/// The expression of a handle.
pub(crate) fn expression_of(handle: plasmon_expression) -> Result<Untyped> {
    Ok(handle::get::<ExpressionObject>(handle.id)?.0.clone())
}

/// The expressions of handles in a host's list.
///
/// # Safety
/// As for [`list`].
pub(crate) unsafe fn expressions_of(
    handles: *const plasmon_expression,
    count: u64,
    what: &str,
) -> Result<Vec<Untyped>> {
    // SAFETY: the caller's promise.
    let handles = unsafe { list(handles, count, what)? };
    let named = |(index, handle): (usize, plasmon_expression)| {
        expression_of(handle).map_err(|f| Failure { message: format!("{what}[{index}]: {}", f.message), ..f })
    };
    handles.into_iter().enumerate().map(named).collect()
}

/// The keys of an order in a host's list.
///
/// # Safety
/// As for [`list`].
pub(crate) unsafe fn orders_of(keys: *const plasmon_order, count: u64, what: &str) -> Result<Vec<Order>> {
    // SAFETY: the caller's promise.
    let keys = unsafe { list(keys, count, what)? };
    keys.into_iter().map(order_of).collect()
}

fn order_of(key: plasmon_order) -> Result<Order> {
    let nulls_first = match key.nulls {
        n if n == plasmon_nulls::Default as i32 => None,
        n if n == plasmon_nulls::First as i32 => Some(true),
        n if n == plasmon_nulls::Last as i32 => Some(false),
        other => return Err(Failure::argument(format!("nulls {other} is no plasmon_nulls"))),
    };
    Ok(Order { expression: expression_of(key.expression)?, descending: key.descending != 0, nulls_first })
}

/// An expression that may be none.
pub(crate) fn optional(handle: plasmon_expression) -> Result<Option<Untyped>> {
    if handle.id == 0 { Ok(None) } else { expression_of(handle).map(Some) }
}

/// Gives the host an expression.
///
/// # Safety
/// As for [`write`].
unsafe fn give(out: *mut plasmon_expression, make: impl FnOnce() -> Result<Untyped>) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        give_taken(out, || {
            require(out, "out")?;
            make()
        })
    }
}

/// The column of that ordinal, from 0; of a join's two sides, those of the probe side come first. Close `out` with `plasmon_expression_close`, as every
/// expression. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_column(ordinal: u64, out: *mut plasmon_expression) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe { give(out, || Ok(Untyped::column(usize::try_from(ordinal).unwrap_or(usize::MAX)))) }
}

/// The column of exactly that name; `probe.name` and `build.name` tell the sides of a join apart. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_name(name: *const c_char, out: *mut plasmon_expression) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe { give(out, || Ok(Untyped::name(text::borrow(name, -1, "name")?))) }
}

/// An expression in SQL, `l_quantity < 24`: names are columns, in lower case unless quoted. Aggregate and window calls may be written so too.
/// `length` bytes, or up to the zero when it is negative. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_sql(sql: *const c_char, length: i64, out: *mut plasmon_expression) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe { give(out, || Ok(Untyped::sql(text::borrow(sql, length, "sql")?)?)) }
}

/// A constant: the one value of `array`, of the type of `schema`. Both structs are taken over in every case. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_literal(
    schema: *mut ArrowSchema,
    array: *mut ArrowArray,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give_taken(out, || {
            let field = import_field(schema);
            let nothing = Field::new("", DataType::Null, true);
            // Also of a type that is wrong, so that the array is released.
            let array = import_array(array, field.as_ref().unwrap_or(&nothing).data_type());
            let (_, array) = (field?, array?);
            Ok(Untyped::literal(&array)?)
        })
    }
}

/// As [`give`], of structs that are taken over also when `out` is null.
///
/// # Safety
/// As for [`write`].
unsafe fn give_taken(out: *mut plasmon_expression, make: impl FnOnce() -> Result<Untyped>) -> i32 {
    guarded(|| {
        let made = make()?;
        require(out, "out")?;
        let id = handle::open(ExpressionObject(made));
        // SAFETY: the caller's promise.
        unsafe { write(out, plasmon_expression { id }, "out") }
    })
}

/// A call of a scalar function, of the library or registered with the session, or an operator: `+ - * / % || = <> < <= > >=`, `and`, `or`, `not`, `like`,
/// `in` (value, items …), `between`, `is null`, `case` (condition, value, …, otherwise) … and their negations. The arguments' handles stay the
/// host's, and may be closed. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_call(
    name: *const c_char,
    arguments: *const plasmon_expression,
    count: u64,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(out, || {
            let name = text::borrow(name, -1, "name")?;
            Ok(Untyped::call(name, expressions_of(arguments, count, "arguments")?)?)
        })
    }
}

/// `operand` as a value of the type of `to`, which is taken over in every case. A value that has no image is an error, or null when `or_null` is not 0.
/// Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_cast(
    operand: plasmon_expression,
    to: *mut ArrowSchema,
    or_null: i32,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give_taken(out, || {
            let to = import_field(to)?;
            Ok(Untyped::cast(expression_of(operand)?, to.data_type().clone(), or_null != 0)?)
        })
    }
}

/// `expression`, under a name for the column that it becomes. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_named(
    expression: plasmon_expression,
    name: *const c_char,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe { give(out, || Ok(expression_of(expression)?.named(text::borrow(name, -1, "name")?)?)) }
}

/// A call of an aggregate function for `plasmon_operator_aggregate`; `count` without arguments counts rows. `clauses` may be null. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_aggregate(
    name: *const c_char,
    arguments: *const plasmon_expression,
    count: u64,
    clauses: *const plasmon_aggregate_clauses,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(out, || {
            let clauses = options(clauses, "clauses")?;
            Ok(Untyped::aggregate(AggregateCall {
                name: text::borrow(name, -1, "name")?.to_string(),
                arguments: expressions_of(arguments, count, "arguments")?,
                distinct: clauses.distinct != 0,
                ignore_nulls: clauses.ignore_nulls != 0,
                filter: optional(clauses.filter)?,
                order_by: orders_of(clauses.order_by, clauses.order_by_count, "order_by")?,
            })?)
        })
    }
}

/// A call of a window function, or of an aggregate function over a window, for `plasmon_operator_window`. `clauses` may be null: all rows, in no order.
/// Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_expression_window(
    name: *const c_char,
    arguments: *const plasmon_expression,
    count: u64,
    clauses: *const plasmon_window_clauses,
    out: *mut plasmon_expression,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(out, || {
            let clauses = options(clauses, "clauses")?;
            let frame = match clauses.frame.is_null() {
                true => None,
                false => Some(text::borrow(clauses.frame, -1, "frame")?.to_string()),
            };
            let call = AggregateCall {
                name: text::borrow(name, -1, "name")?.to_string(),
                arguments: expressions_of(arguments, count, "arguments")?,
                distinct: clauses.distinct != 0,
                ignore_nulls: clauses.ignore_nulls != 0,
                filter: optional(clauses.filter)?,
                order_by: Vec::new(),
            };
            Ok(Untyped::window(WindowCall {
                call,
                partition_by: expressions_of(clauses.partition_by, clauses.partition_by_count, "partition_by")?,
                order_by: orders_of(clauses.order_by, clauses.order_by_count, "order_by")?,
                frame,
            })?)
        })
    }
}

/// Closes an expression. What was made of it lives on. Since ABI 1.1.
#[unsafe(no_mangle)]
pub extern "C" fn plasmon_expression_close(expression: plasmon_expression) -> i32 {
    guarded(|| handle::close::<ExpressionObject>(expression.id).map(drop))
}
