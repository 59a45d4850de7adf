//! Operators alone over a host's streams. Each function gives a query, which starts when its rows are first asked for; until then it can be the input of
//! another operator, and both run as one query.

use std::ffi::c_char;
use std::time::Duration;

use plasmon::core::pipeline::CancelToken;
use plasmon::operators::{AggregateParts, AggregatePhase, JoinKind, JoinParts, Operator};
use plasmon::{Config, Session};
use plasmon_boundary::arrow::{ArrowArrayStream, ArrowSchema, StreamReader, import_schema, import_stream};
use plasmon_boundary::guard::guarded;
use plasmon_boundary::handle;
use plasmon_boundary::host::{Options, list, options, require, write};
use plasmon_boundary::{Failure, Result, text};

use crate::expression::{expression_of, expressions_of, optional, orders_of, plasmon_expression, plasmon_order};
use crate::query::QueryObject;
use crate::session::session_of;
use crate::{plasmon_query, plasmon_session};

/// What an operator reads: a stream, or the query of another operator that has not started; the other is null, or zero.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_input {
    /// Taken over in every case; read batch by batch while the query runs.
    pub stream: *mut ArrowArrayStream,
    /// Becomes a part of the new query, and its handle is closed, when the call succeeds.
    pub query: plasmon_query,
}

/// One setting.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_setting {
    /// One of those of `plasmon_statement_set`.
    pub name: *const c_char,
    /// Its value, as text.
    pub value: *const c_char,
}

/// How the query of an operator runs. Of a chain, those given to its last operator count.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_run_options {
    /// `sizeof(plasmon_run_options)`.
    pub size: u64,
    /// Settings in place of the session's.
    pub settings: *const plasmon_setting,
    /// How many.
    pub setting_count: u64,
    /// The query fails with `PLASMON_CODE_DEADLINE` when it is not over so many milliseconds after this call; 0 = no deadline.
    pub deadline_milliseconds: u64,
}

/// Which rows a join gives. Output columns: the probe side's, then the build side's; semi and anti joins give one side's; mark joins add a boolean.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_join_kind {
    /// Pairs that match.
    Inner = 0,
    /// And probe rows without a match.
    Probe = 1,
    /// And build rows without a match.
    Build = 2,
    /// And both.
    Full = 3,
    /// Probe rows with a match.
    ProbeSemi = 4,
    /// Probe rows without a match.
    ProbeAnti = 5,
    /// Probe rows, and whether they have a match.
    ProbeMark = 6,
    /// Build rows with a match.
    BuildSemi = 7,
    /// Build rows without a match.
    BuildAnti = 8,
    /// Build rows, and whether they have a match.
    BuildMark = 9,
}

/// A hash join.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_join {
    /// `sizeof(plasmon_join)`.
    pub size: u64,
    /// A `plasmon_join_kind`.
    pub kind: i32,
    /// Not 0 = as `NOT IN` does (`PROBE_ANTI`, `PROBE_MARK`): a null key makes the answer unknown.
    pub null_aware: i32,
    /// Equal pairs: expressions over the probe side …
    pub probe_keys: *const plasmon_expression,
    /// … and over the build side.
    pub build_keys: *const plasmon_expression,
    /// For each pair, not 0 = nulls equal each other; null = they do not.
    pub null_equal: *const u8,
    /// How many pairs; none = every pair of rows that the residual keeps.
    pub key_count: u64,
    /// A further condition over the probe side's columns followed by the build side's; zero = none.
    pub residual: plasmon_expression,
    /// Ordinals of the columns that come out; null = all.
    pub columns: *const u64,
    /// How many.
    pub column_count: u64,
}

/// Which part of an aggregation is done.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum plasmon_aggregate_phase {
    /// Rows in, results out.
    Single = 0,
    /// Rows in; keys and states out.
    Partial = 1,
    /// Keys and states in and out.
    Merge = 2,
    /// Keys and states in, results out.
    Final = 3,
}

/// A grouped aggregation. Out come the keys, the column `grouping_id` (grouping sets only), then the results or states.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct plasmon_aggregate {
    /// `sizeof(plasmon_aggregate)`.
    pub size: u64,
    /// A `plasmon_aggregate_phase`.
    pub phase: i32,
    /// Zero.
    pub reserved: i32,
    /// Group keys over the rows; none = one group.
    pub keys: *const plasmon_expression,
    /// How many.
    pub key_count: u64,
    /// Aggregate calls over the rows.
    pub calls: *const plasmon_expression,
    /// How many.
    pub call_count: u64,
    /// `grouping_set_count` rows of `key_count` bytes: not 0 = the set keeps the key. Bit i of the grouping id (the last key is bit 0) is set when the
    /// set does not keep the key; ordinals of equal sets stand above.
    pub grouping_sets: *const u8,
    /// How many; none = plain grouping.
    pub grouping_set_count: u64,
    /// For `MERGE` and `FINAL`, which read states: the columns of the rows that `PARTIAL` read; null else. Taken over in every case.
    pub rows: *mut ArrowSchema,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Options for plasmon_run_options {}
// SAFETY: as above.
unsafe impl Options for plasmon_join {}
// SAFETY: as above.
unsafe impl Options for plasmon_aggregate {}

/// An input that was taken over, or that names a query.
enum Input {
    Stream(StreamReader),
    Query(u64),
}

/// # Safety
/// The stream is null or as the C Stream Interface says.
unsafe fn taken(input: plasmon_input, what: &str) -> Result<Input> {
    let stream = match input.stream.is_null() {
        true => None,
        // SAFETY: the caller's promise.
        false => Some(unsafe { import_stream(input.stream)? }),
    };
    match (stream, input.query.id) {
        (Some(stream), 0) => Ok(Input::Stream(stream)),
        (None, id) if id != 0 => Ok(Input::Query(id)),
        (None, _) => Err(Failure::argument(format!("{what} has neither a stream nor a query"))),
        (Some(_), _) => Err(Failure::argument(format!("{what} has both a stream and a query"))),
    }
}

impl Input {
    fn operator(self, session: &Session) -> Result<(Operator, Option<u64>)> {
        match self {
            Input::Stream(stream) => Ok((Operator::stream(session, stream), None)),
            Input::Query(id) => Ok((handle::get::<QueryObject>(id)?.waiting()?, Some(id))),
        }
    }
}

/// Gives the host the query of an operator over inputs, which are taken over first of all.
///
/// # Safety
/// As ABI.md says of pointers.
unsafe fn give<const N: usize>(
    session: plasmon_session,
    inputs: [(plasmon_input, &str); N],
    run: *const plasmon_run_options,
    out: *mut plasmon_query,
    make: impl FnOnce([Operator; N]) -> Result<Operator>,
) -> i32 {
    guarded(|| {
        // SAFETY: the caller's promise. All of them, so that each is released whatever is wrong with another.
        let inputs = inputs.map(|(input, what)| unsafe { taken(input, what) });
        require(out, "out")?;
        let session = session_of(session)?;
        // SAFETY: the caller's promise.
        let (config, cancel) = unsafe { run_of(run, &session)? };
        let mut used = Vec::new();
        let mut operators = Vec::with_capacity(N);
        for input in inputs {
            let (operator, query) = input?.operator(&session)?;
            operators.push(operator);
            used.extend(query);
        }
        if let [first, second] = used[..]
            && first == second
        {
            return Err(Failure::argument("both inputs are one query, whose rows can be read once"));
        }
        let operators = operators.try_into().map_err(|_| Failure::argument("inputs"))?;
        let operator = make(operators)?.config(config).cancel(cancel);
        // Only now: a call that fails leaves them as they were.
        for query in used {
            handle::close::<QueryObject>(query)?.take_waiting()?;
        }
        let id = handle::open(QueryObject::waiting_for(operator));
        // SAFETY: the caller's promise.
        unsafe { write(out, plasmon_query { id }, "out") }
    })
}

/// # Safety
/// As ABI.md says of pointers.
unsafe fn run_of(run: *const plasmon_run_options, session: &Session) -> Result<(Config, CancelToken)> {
    let mut config = session.config();
    // SAFETY: the caller's promise.
    let (run, settings) = unsafe {
        let run = options(run, "options")?;
        (run, list(run.settings, run.setting_count, "settings")?)
    };
    for setting in settings {
        // SAFETY: the caller's promise.
        let (name, value) =
            unsafe { (text::borrow(setting.name, -1, "name")?, text::borrow(setting.value, -1, "value")?) };
        config.set(name, value)?;
    }
    config.check()?;
    let deadline = (run.deadline_milliseconds > 0).then(|| Duration::from_millis(run.deadline_milliseconds));
    Ok((config, CancelToken::default().with_deadline(deadline)))
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Rows at most: negative = all.
fn fetch_of(fetch: i64) -> Option<usize> {
    u64::try_from(fetch).ok().map(size)
}

/// The rows for which `predicate` is true. `options` may be null, here and below. Close `out` with `plasmon_query_close`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_filter(
    session: plasmon_session,
    input: plasmon_input,
    predicate: plasmon_expression,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe { give(session, [(input, "input")], options, out, |[input]| Ok(input.filter(&expression_of(predicate)?)?)) }
}

/// The values of `expressions`. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_project(
    session: plasmon_session,
    input: plasmon_input,
    expressions: *const plasmon_expression,
    count: u64,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(input, "input")], options, out, |[input]| {
            Ok(input.project(&expressions_of(expressions, count, "expressions")?)?)
        })
    }
}

/// Rows of two inputs that match: `build` is held in a hash table, `probe` streams. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_join(
    session: plasmon_session,
    probe: plasmon_input,
    build: plasmon_input,
    join: *const plasmon_join,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(probe, "probe"), (build, "build")], options, out, |[probe, build]| {
            require(join, "join")?;
            Ok(probe.join(build, &join_of(join)?)?)
        })
    }
}

/// # Safety
/// As ABI.md says of pointers.
unsafe fn join_of(join: *const plasmon_join) -> Result<JoinParts> {
    // SAFETY: the caller's promise.
    unsafe {
        let join = options(join, "join")?;
        let probe = expressions_of(join.probe_keys, join.key_count, "probe_keys")?;
        let build = expressions_of(join.build_keys, join.key_count, "build_keys")?;
        let null_equal = match join.null_equal.is_null() {
            true => vec![0; probe.len()],
            false => list(join.null_equal, join.key_count, "null_equal")?,
        };
        let columns = match join.columns.is_null() {
            true => None,
            false => Some(list(join.columns, join.column_count, "columns")?.into_iter().map(size).collect()),
        };
        let keys = probe.into_iter().zip(build).zip(null_equal).map(|((p, b), n)| (p, b, n != 0)).collect();
        Ok(JoinParts {
            kind: join_kind(join.kind)?,
            keys,
            residual: optional(join.residual)?,
            null_aware: join.null_aware != 0,
            columns,
        })
    }
}

fn join_kind(kind: i32) -> Result<JoinKind> {
    const KINDS: [(plasmon_join_kind, JoinKind); 10] = [
        (plasmon_join_kind::Inner, JoinKind::Inner),
        (plasmon_join_kind::Probe, JoinKind::Left),
        (plasmon_join_kind::Build, JoinKind::Right),
        (plasmon_join_kind::Full, JoinKind::Full),
        (plasmon_join_kind::ProbeSemi, JoinKind::LeftSemi),
        (plasmon_join_kind::ProbeAnti, JoinKind::LeftAnti),
        (plasmon_join_kind::ProbeMark, JoinKind::LeftMark),
        (plasmon_join_kind::BuildSemi, JoinKind::RightSemi),
        (plasmon_join_kind::BuildAnti, JoinKind::RightAnti),
        (plasmon_join_kind::BuildMark, JoinKind::RightMark),
    ];
    let found = KINDS.into_iter().find(|(number, _)| *number as i32 == kind);
    found.map(|(_, kind)| kind).ok_or_else(|| Failure::argument(format!("kind {kind} is no plasmon_join_kind")))
}

/// One row a group. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_aggregate(
    session: plasmon_session,
    input: plasmon_input,
    aggregate: *const plasmon_aggregate,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers". Taken apart before anything else can fail, so that the schema in it is released; its failure waits for the inputs.
    let parts = unsafe { aggregate_of(aggregate) };
    // SAFETY: as above.
    unsafe { give(session, [(input, "input")], options, out, |[input]| Ok(input.aggregate_parts(&parts?)?)) }
}

/// # Safety
/// As ABI.md says of pointers.
unsafe fn aggregate_of(aggregate: *const plasmon_aggregate) -> Result<AggregateParts> {
    require(aggregate, "aggregate")?;
    // SAFETY: the caller's promise.
    unsafe {
        let aggregate = options(aggregate, "aggregate")?;
        let rows = if aggregate.rows.is_null() { None } else { Some(import_schema(aggregate.rows)?) };
        let phase = match aggregate.phase {
            p if p == plasmon_aggregate_phase::Single as i32 => AggregatePhase::Single,
            p if p == plasmon_aggregate_phase::Partial as i32 => AggregatePhase::Partial,
            p if p == plasmon_aggregate_phase::Merge as i32 => AggregatePhase::PartialMerge,
            p if p == plasmon_aggregate_phase::Final as i32 => AggregatePhase::Final,
            other => return Err(Failure::argument(format!("phase {other} is no plasmon_aggregate_phase"))),
        };
        let keys = expressions_of(aggregate.keys, aggregate.key_count, "keys")?;
        let sets = aggregate.grouping_set_count;
        let masks = list(aggregate.grouping_sets, sets.saturating_mul(keys.len() as u64), "grouping_sets")?;
        let kept = |set: usize| {
            let mask = &masks[set * keys.len()..(set + 1) * keys.len()];
            (0..keys.len()).filter(|&key| mask[key] != 0).collect::<Vec<_>>()
        };
        if keys.is_empty() && sets > 1024 {
            return Err(Failure::argument(format!("{sets} grouping sets of no keys")));
        }
        Ok(AggregateParts {
            grouping_sets: (0..size(sets)).map(kept).collect(),
            calls: expressions_of(aggregate.calls, aggregate.call_count, "calls")?,
            keys,
            phase,
            rows,
        })
    }
}

/// The rows in the order of `keys`, the first `offset` left out, at most `fetch` given (top-N); -1 = all. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_sort(
    session: plasmon_session,
    input: plasmon_input,
    keys: *const plasmon_order,
    count: u64,
    offset: u64,
    fetch: i64,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(input, "input")], options, out, |[input]| {
            Ok(input.sort(&orders_of(keys, count, "keys")?, size(offset), fetch_of(fetch))?)
        })
    }
}

/// The rows, and behind their columns one for each of `calls`, which are window calls. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_window(
    session: plasmon_session,
    input: plasmon_input,
    calls: *const plasmon_expression,
    count: u64,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(input, "input")], options, out, |[input]| {
            Ok(input.window(&expressions_of(calls, count, "calls")?)?)
        })
    }
}

/// All rows but the first `offset`, at most `fetch`; -1 = all. Since ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_limit(
    session: plasmon_session,
    input: plasmon_input,
    offset: u64,
    fetch: i64,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(input, "input")], options, out, |[input]| Ok(input.limit(size(offset), fetch_of(fetch))?))
    }
}

/// The rows dealt to `partitions`, 1 to 4,096. Every batch has rows of one partition, whose number stands in each row of the last column, `partition`, an
/// int32. Equal keys come to one partition, in every query and process of one version of the library; without keys, batches are dealt in turn. Since
/// ABI 1.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plasmon_operator_partition(
    session: plasmon_session,
    input: plasmon_input,
    keys: *const plasmon_expression,
    count: u64,
    partitions: u64,
    options: *const plasmon_run_options,
    out: *mut plasmon_query,
) -> i32 {
    // SAFETY: ABI.md, "Pointers".
    unsafe {
        give(session, [(input, "input")], options, out, |[input]| {
            Ok(input.partition(&expressions_of(keys, count, "keys")?, size(partitions))?)
        })
    }
}
