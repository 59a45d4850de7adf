//! Operators alone against the same thing in SQL: random batches, expressions built or written, every driver and batch size.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, RecordBatchIterator,
    StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use plasmon::operators::{
    AggregateCall, AggregateParts, AggregatePhase, JoinKind, JoinParts, Operator, Order, Untyped, WindowCall,
};
use plasmon::{Config, Driver, Result, Session};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// One row: small domains, so that keys meet, and nulls everywhere.
type Row = (Option<i32>, Option<i64>, Option<u8>, Option<i64>, Option<bool>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", DataType::Int64, true),
        Field::new("c", DataType::Utf8, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("e", DataType::Boolean, true),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn batch(rows: &[Row], first: i64) -> RecordBatch {
    let texts = ["", "x", "xy", "yx%", "a long text of more than twelve bytes"];
    let decimals: Decimal128Array = rows.iter().map(|r| r.3.map(i128::from)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.0).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.2.map(|t| texts[t as usize % texts.len()])).collect::<StringArray>()),
        Arc::new(decimals.with_precision_and_scale(10, 2).unwrap()),
        Arc::new(rows.iter().map(|r| r.4).collect::<BooleanArray>()),
        Arc::new(Int64Array::from_iter_values(first..first + rows.len() as i64)),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let number = |range: std::ops::Range<i64>| proptest::option::weighted(0.85, range);
    (
        proptest::option::weighted(0.85, -3..6_i32),
        number(-20..20),
        proptest::option::weighted(0.85, 0..5_u8),
        number(-999..999),
        proptest::option::weighted(0.85, any::<bool>()),
    )
}

/// Batches, some of them empty.
fn table() -> impl Strategy<Value = Vec<RecordBatch>> {
    proptest::collection::vec(proptest::collection::vec(row(), 0..40), 0..5).prop_map(|batches| {
        let mut first = 0;
        let made = batches.iter().map(|rows| {
            first += rows.len() as i64;
            batch(rows, first - rows.len() as i64)
        });
        made.collect()
    })
}

fn config() -> impl Strategy<Value = Config> {
    (1..4_usize, prop_oneof![Just(1), Just(7), Just(4096)], any::<bool>(), any::<bool>()).prop_map(
        |(threads, batch_rows, is_inline, hash_collisions)| Config {
            threads,
            batch_rows,
            driver: if is_inline { Driver::Inline } else { Driver::Pool },
            hash_collisions,
            ..Config::default()
        },
    )
}

struct Case {
    session: Session,
    tables: [Vec<RecordBatch>; 2],
}

impl Case {
    fn new(config: Config, t: Vec<RecordBatch>, u: Vec<RecordBatch>) -> Self {
        let session = Session::new(config).unwrap();
        session.register_batches("t", schema(), &t).unwrap();
        session.register_batches("u", schema(), &u).unwrap();
        Case { session, tables: [t, u] }
    }

    fn input(&self, table: usize) -> Operator {
        stream(&self.session, schema(), self.tables[table].clone())
    }

    /// Holds the operator's rows against the statement's; `in_order` when the order counts.
    fn check(&self, what: &str, operator: Result<Operator>, sql: &str, in_order: bool) -> Result<(), TestCaseError> {
        let run = |query: Result<plasmon::Query>| query.and_then(|q| Ok((q.schema(), q.collect()?)));
        let expected = run(self.session.sql(sql));
        let given = run(operator.and_then(Operator::start));
        let (expected, given) = match (expected, given) {
            (Ok(expected), Ok(given)) => (expected, given),
            // What cannot be computed is the same failure.
            (Err(expected), Err(given)) => {
                let class = |e: &plasmon::Error| std::mem::discriminant(e);
                prop_assert_eq!(class(&expected), class(&given), "{}: {} / {} / {}", what, sql, expected, given);
                return Ok(());
            }
            (expected, given) => {
                let text =
                    |r: Result<(SchemaRef, Vec<RecordBatch>)>| r.map_or_else(|e| e.to_string(), |_| "rows".into());
                return Err(TestCaseError::fail(format!("{what}: {sql}: {} / {}", text(expected), text(given))));
            }
        };
        let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        prop_assert_eq!(types(&expected.0), types(&given.0), "{}: {}", what, sql);
        let (mut expected, mut given) = (lines(&expected.1), lines(&given.1));
        if !in_order {
            expected.sort();
            given.sort();
        }
        prop_assert_eq!(expected, given, "{}: {}", what, sql);
        Ok(())
    }
}

fn stream(session: &Session, schema: SchemaRef, batches: Vec<RecordBatch>) -> Operator {
    Operator::stream(session, RecordBatchIterator::new(batches.into_iter().map(Ok), schema))
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let shown = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|c| match c.is_null(row) {
            true => "∅".to_string(),
            false => array_value_to_string(c, row).unwrap(),
        });
        cells.collect::<Vec<_>>().join("|")
    };
    batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| shown(b, row)).collect::<Vec<_>>()).collect()
}

fn name(column: &str) -> Untyped {
    Untyped::name(column)
}

fn call(name: &str, arguments: Vec<Untyped>) -> Untyped {
    Untyped::call(name, arguments).unwrap()
}

/// A constant of the type that SQL gives it.
fn literal(array: impl Array + 'static) -> Untyped {
    Untyped::literal(&(Arc::new(array) as ArrayRef)).unwrap()
}

fn number(n: i64) -> Untyped {
    literal(Int64Array::from(vec![n]))
}

fn text(t: &str) -> Untyped {
    literal(StringArray::from(vec![t]))
}

/// Values, each built by calls and written in SQL.
fn values(n: i64) -> Vec<(Untyped, String)> {
    let n_text = |sql: &str| sql.replace('?', &n.to_string());
    vec![
        (call("+", vec![name("a"), number(n)]), n_text("a + ?")),
        (call("*", vec![name("b"), name("d")]), "b * d".into()),
        (call("/", vec![name("d"), call("-", vec![name("b"), number(n)])]), n_text("d / (b - ?)")),
        (call("%", vec![name("b"), number(7)]), "b % 7".into()),
        (call("-", vec![name("d")]), "-d".into()),
        (call("||", vec![name("c"), text("!")]), "c || '!'".into()),
        (call("coalesce", vec![name("a"), name("b"), number(n)]), n_text("coalesce(a, b, ?)")),
        (call("upper", vec![name("c")]), "upper(c)".into()),
        (
            call(
                "case",
                vec![call("is null", vec![name("c")]), name("d"), call("<", vec![name("a"), number(n)]), name("b")],
            ),
            n_text("CASE WHEN c IS NULL THEN d WHEN a < ? THEN b END"),
        ),
        (Untyped::cast(name("b"), DataType::Utf8View, false).unwrap(), "arrow_cast(b, 'Utf8View')".into()),
        (Untyped::cast(name("c"), DataType::Int32, true).unwrap(), "try_cast(c AS INT)".into()),
        (
            Untyped::sql("substring(c, 2) || cast(d AS VARCHAR)").unwrap(),
            "substring(c, 2) || cast(d AS VARCHAR)".into(),
        ),
        (call("twice", vec![name("b")]), "twice(b)".into()),
        (Untyped::column(3), "d".into()),
    ]
}

/// Conditions, each built by calls and written in SQL.
fn conditions(n: i64) -> Vec<(Untyped, String)> {
    let n_text = |sql: &str| sql.replace('?', &n.to_string());
    vec![
        (call("<", vec![name("a"), number(n)]), n_text("a < ?")),
        (call("<>", vec![name("a"), name("b")]), "a <> b".into()),
        (call(">=", vec![name("d"), name("a")]), "d >= a".into()),
        (call("like", vec![name("c"), text("%x%")]), "c LIKE '%x%'".into()),
        (call("not like", vec![name("c"), text("%x!%"), text("!")]), "c NOT LIKE '%x!%' ESCAPE '!'".into()),
        (call("in", vec![name("a"), number(n), number(1), name("b")]), n_text("a IN (?, 1, b)")),
        (call("not_in", vec![name("c"), text("x"), text("")]), "c NOT IN ('x', '')".into()),
        (call("between", vec![name("b"), number(-n), number(n)]), n_text("b BETWEEN -(?) AND ?")),
        (call("is not distinct from", vec![name("a"), name("b")]), "a IS NOT DISTINCT FROM b".into()),
        (
            call("or", vec![name("e"), call("is_null", vec![name("a")]), call("=", vec![name("b"), number(n)])]),
            n_text("e OR a IS NULL OR b = ?"),
        ),
        (
            call("and", vec![name("e"), call("not", vec![call("is true", vec![name("e")])])]),
            "e AND NOT (e IS TRUE)".into(),
        ),
        (Untyped::sql("c ~ '^x' AND (d > 1.5 OR e)").unwrap(), "c ~ '^x' AND (d > 1.5 OR e)".into()),
    ]
}

fn aggregate_call(name_: &str, arguments: Vec<Untyped>) -> AggregateCall {
    AggregateCall { name: name_.into(), arguments, ..AggregateCall::default() }
}

/// Aggregates, each built and written; the first eight have no DISTINCT and can be split into phases.
fn aggregates(n: i64) -> Vec<(Untyped, String)> {
    let n_text = |sql: &str| sql.replace('?', &n.to_string());
    let built = |call: AggregateCall| Untyped::aggregate(call).unwrap();
    let filter = Some(call("<", vec![name("a"), number(n)]));
    vec![
        (built(aggregate_call("count", vec![])), "count(*)".into()),
        (built(aggregate_call("sum", vec![name("b")])), "sum(b)".into()),
        (
            built(AggregateCall { filter: filter.clone(), ..aggregate_call("sum", vec![name("d")]) }),
            n_text("sum(d) FILTER (WHERE a < ?)"),
        ),
        (built(aggregate_call("avg", vec![name("d")])), "avg(d)".into()),
        (built(aggregate_call("min", vec![name("c")])), "min(c)".into()),
        (built(aggregate_call("max", vec![call("+", vec![name("a"), name("b")])])), "max(a + b)".into()),
        (
            built(AggregateCall {
                order_by: vec![Order::descending(name("id"))],
                ..aggregate_call("first_value", vec![name("c")])
            }),
            "first_value(c ORDER BY id DESC)".into(),
        ),
        (Untyped::sql("bool_or(e)").unwrap(), "bool_or(e)".into()),
        (
            built(AggregateCall { distinct: true, filter, ..aggregate_call("count", vec![name("c")]) }),
            n_text("count(DISTINCT c) FILTER (WHERE a < ?)"),
        ),
        (Untyped::sql("sum(DISTINCT a)").unwrap(), "sum(DISTINCT a)".into()),
        (
            built(AggregateCall {
                order_by: vec![Order { nulls_first: Some(true), ..Order::ascending(name("id")) }],
                ..aggregate_call("string_agg", vec![name("c"), text(",")])
            }),
            "string_agg(c, ',' ORDER BY id ASC NULLS FIRST)".into(),
        ),
    ]
}

/// Windows, each built and written.
fn windows(n: i64) -> Vec<(Untyped, String)> {
    let n_text = |sql: &str| sql.replace('?', &n.unsigned_abs().to_string());
    let built = |window: WindowCall| Untyped::window(window).unwrap();
    let by = |keys: &[&str]| keys.iter().map(|k| name(k)).collect::<Vec<_>>();
    let order = || vec![Order::descending(name("b")), Order::ascending(name("id"))];
    vec![
        (
            built(WindowCall {
                call: aggregate_call("row_number", vec![]),
                partition_by: by(&["a"]),
                order_by: order(),
                frame: None,
            }),
            "row_number() OVER (PARTITION BY a ORDER BY b DESC, id)".into(),
        ),
        (
            built(WindowCall {
                call: aggregate_call("sum", vec![name("d")]),
                partition_by: by(&["c", "e"]),
                order_by: order(),
                frame: Some(n_text("ROWS BETWEEN ? PRECEDING AND 1 FOLLOWING")),
            }),
            n_text("sum(d) OVER (PARTITION BY c, e ORDER BY b DESC, id ROWS BETWEEN ? PRECEDING AND 1 FOLLOWING)"),
        ),
        (
            built(WindowCall {
                call: aggregate_call("count", vec![name("b")]),
                order_by: vec![Order::ascending(name("id"))],
                frame: Some(n_text("RANGE BETWEEN ? PRECEDING AND CURRENT ROW")),
                ..WindowCall::default()
            }),
            n_text("count(b) OVER (ORDER BY id RANGE BETWEEN ? PRECEDING AND CURRENT ROW)"),
        ),
        (
            built(WindowCall {
                call: aggregate_call("max", vec![name("c")]),
                partition_by: by(&["a"]),
                ..WindowCall::default()
            }),
            "max(c) OVER (PARTITION BY a)".into(),
        ),
        (
            Untyped::sql("lag(b, 2, 0) OVER (PARTITION BY a ORDER BY id)").unwrap(),
            "lag(b, 2, 0) OVER (PARTITION BY a ORDER BY id)".into(),
        ),
    ]
}

fn picked<T: Clone>(all: &[T], mask: u64) -> Vec<T> {
    all.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, item)| item.clone()).collect()
}

fn twice(session: &Session) {
    session.register_scalar_function("twice", &[DataType::Int64], DataType::Int64, |arguments| {
        let numbers = arguments[0].as_any().downcast_ref::<Int64Array>().unwrap();
        Ok(Arc::new(numbers.iter().map(|n| n.map(|n| 2 * n)).collect::<Int64Array>()))
    });
}

fn unzipped(pairs: Vec<(Untyped, String)>) -> (Vec<Untyped>, String) {
    let (built, written): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    (built, written.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn filters_and_projections(t in table(), config in config(), n in -5..6_i64, mask in 1..1_u64 << 14) {
        let case = Case::new(config, t, Vec::new());
        twice(&case.session);
        for (condition, sql) in conditions(n) {
            case.check("filter", case.input(0).filter(&condition), &format!("SELECT * FROM t WHERE {sql}"), false)?;
        }
        for (value, sql) in values(n) {
            case.check("project", case.input(0).project(&[value, name("id")]), &format!("SELECT {sql}, id FROM t"), false)?;
        }
        let (built, written) = unzipped(picked(&values(n), mask));
        let (condition, where_) = conditions(n)[mask as usize % conditions(n).len()].clone();
        let chained = case.input(0).filter(&condition).and_then(|rows| rows.project(&built));
        case.check("filter, project", chained, &format!("SELECT {written} FROM t WHERE {where_}"), false)?;
    }

    #[test]
    fn joins(t in table(), u in table(), config in config(), n in -5..6_i64, null_equal in any::<bool>(), with_residual in any::<bool>(), keys in 0..3_usize) {
        let case = Case::new(config, t, u);
        let pairs = [("a", "b", "t.a", "u.b"), ("c", "c", "t.c", "u.c")];
        let pairs = &pairs[..keys];
        let equal = if null_equal { "IS NOT DISTINCT FROM" } else { "=" };
        let mut on: Vec<String> = pairs.iter().map(|(_, _, t, u)| format!("{t} {equal} {u}")).collect();
        // Sides by name, and by their ordinals.
        let residual = call("<", vec![call("+", vec![name("probe.id"), number(n)]), Untyped::column(6 + 5)]);
        if with_residual || on.is_empty() {
            on.push(format!("t.id + {n} < u.id"));
        }
        let on = on.join(" AND ");
        let parts = |kind| JoinParts {
            kind,
            keys: pairs.iter().map(|(t, u, _, _)| (name(t), name(u), null_equal)).collect(),
            residual: (with_residual || pairs.is_empty()).then(|| residual.clone()),
            null_aware: false,
            columns: None,
        };
        let exists = |rows: &str, other: &str, not: &str| format!("SELECT {rows}.* FROM {rows} WHERE {not} EXISTS (SELECT 1 FROM {other} WHERE {on})");
        let marked = |rows: &str, other: &str| format!(
            "SELECT *, true FROM ({}) UNION ALL SELECT *, false FROM ({})", exists(rows, other, ""), exists(rows, other, "NOT")
        );
        for (kind, sql) in [
            (JoinKind::Inner, format!("SELECT * FROM t JOIN u ON {on}")),
            (JoinKind::Left, format!("SELECT * FROM t LEFT JOIN u ON {on}")),
            (JoinKind::Right, format!("SELECT * FROM t RIGHT JOIN u ON {on}")),
            (JoinKind::Full, format!("SELECT * FROM t FULL JOIN u ON {on}")),
            (JoinKind::LeftSemi, exists("t", "u", "")),
            (JoinKind::LeftAnti, exists("t", "u", "NOT")),
            (JoinKind::RightSemi, exists("u", "t", "")),
            (JoinKind::RightAnti, exists("u", "t", "NOT")),
            (JoinKind::LeftMark, marked("t", "u")),
            (JoinKind::RightMark, marked("u", "t")),
        ] {
            case.check(&format!("{kind:?}"), case.input(0).join(case.input(1), &parts(kind)), &sql, false)?;
        }
        let some = JoinParts { columns: Some(vec![11, 0]), ..parts(JoinKind::Inner) };
        case.check("some columns", case.input(0).join(case.input(1), &some), &format!("SELECT u.id, t.a FROM t JOIN u ON {on}"), false)?;
        let not_in = JoinParts { kind: JoinKind::LeftAnti, keys: vec![(name("a"), name("b"), false)], residual: None, null_aware: true, columns: None };
        case.check("NOT IN", case.input(0).join(case.input(1), &not_in), "SELECT * FROM t WHERE a NOT IN (SELECT b FROM u)", false)?;
    }

    #[test]
    fn aggregations(t in table(), config in config(), n in -5..6_i64, mask in 1..1_u64 << 11, keys in 0..3_usize) {
        let case = Case::new(config, t, Vec::new());
        let keys = [(name("c"), "c".to_string()), (call("%", vec![name("b"), number(3)]), "b % 3".to_string())][..keys].to_vec();
        let (built, written) = unzipped(picked(&aggregates(n), mask));
        let (key_expressions, key_sql) = unzipped(keys);
        let group = if key_sql.is_empty() { String::new() } else { format!("GROUP BY {key_sql}") };
        let comma = if key_sql.is_empty() { "" } else { ", " };
        let sql = format!("SELECT {key_sql}{comma}{written} FROM t {group}");
        case.check("aggregate", case.input(0).aggregate(&key_expressions, &built), &sql, false)?;
        // The grouping id, then grouping sets of which one is all rows.
        if key_expressions.len() == 2 {
            let parts = AggregateParts {
                keys: key_expressions,
                grouping_sets: vec![vec![0, 1], vec![1], vec![]],
                calls: built,
                phase: AggregatePhase::Single,
                rows: None,
            };
            let sets = "GROUP BY GROUPING SETS ((c, b % 3), (b % 3), ())";
            let sql = format!("SELECT c, b % 3, arrow_cast(grouping(c, b % 3), 'UInt8'), {written} FROM t {sets}");
            case.check("grouping sets", case.input(0).aggregate_parts(&parts), &sql, false)?;
        }
    }

    #[test]
    fn aggregations_in_phases(t in table(), config in config(), n in -5..6_i64, mask in 1..1_u64 << 8, sets in any::<bool>(), cut in 0..5_usize, merges in any::<bool>()) {
        let case = Case::new(config, t.clone(), Vec::new());
        let (calls, written) = unzipped(picked(&aggregates(n)[..8], mask));
        let keys = vec![name("c"), name("a")];
        let grouping_sets = if sets { vec![vec![0, 1], vec![0], vec![]] } else { Vec::new() };
        let partial = AggregateParts { keys, grouping_sets, calls, phase: AggregatePhase::Partial, rows: None };
        let mut states: Option<(SchemaRef, Vec<RecordBatch>)> = None;
        let cut = cut.min(t.len());
        for half in [&t[..cut], &t[cut..]] {
            let query = stream(&case.session, schema(), half.to_vec()).aggregate_parts(&partial).and_then(Operator::start);
            let query = query.map_err(|e| TestCaseError::fail(e.to_string()))?;
            let (schema, batches) = (query.schema(), query.collect().map_err(|e| TestCaseError::fail(e.to_string()))?);
            states.get_or_insert((schema, Vec::new())).1.extend(batches);
        }
        let (state_schema, states) = states.unwrap();
        let mut input = stream(&case.session, state_schema, states);
        if merges {
            let merge = AggregateParts { phase: AggregatePhase::PartialMerge, rows: Some(schema()), ..partial.clone() };
            input = input.aggregate_parts(&merge).map_err(|e| TestCaseError::fail(e.to_string()))?;
        }
        let last = AggregateParts { phase: AggregatePhase::Final, rows: Some(schema()), ..partial };
        let sql = match sets {
            true => format!("SELECT c, a, arrow_cast(grouping(c, a), 'UInt8'), {written} FROM t GROUP BY GROUPING SETS ((c, a), (c), ())"),
            false => format!("SELECT c, a, {written} FROM t GROUP BY c, a"),
        };
        case.check("phases", input.aggregate_parts(&last), &sql, false)?;
    }

    #[test]
    fn orders_and_limits(t in table(), config in config(), offset in 0..30_usize, fetch in proptest::option::of(0..40_usize), nulls in proptest::option::of(any::<bool>()), descending in any::<bool>()) {
        let case = Case::new(config, t, Vec::new());
        let keys = [Order { expression: name("d"), descending, nulls_first: nulls }, Order::ascending(name("id"))];
        let direction = if descending { "DESC" } else { "ASC" };
        let nulls = match nulls { None => "", Some(true) => "NULLS FIRST", Some(false) => "NULLS LAST" };
        let limit = fetch.map_or(String::new(), |n| format!("LIMIT {n}"));
        let sql = format!("SELECT * FROM t ORDER BY d {direction} {nulls}, id {limit} OFFSET {offset}");
        case.check("sort", case.input(0).sort(&keys, offset, fetch), &sql, true)?;
        let sorted = case.input(0).sort(&keys, 0, None).and_then(|rows| rows.limit(offset, fetch));
        case.check("sort, limit", sorted, &sql, true)?;
    }

    #[test]
    fn windows_over_rows(t in table(), config in config(), n in 0..4_i64, mask in 1..1_u64 << 5) {
        let case = Case::new(config, t, Vec::new());
        let (built, written) = unzipped(picked(&windows(n), mask));
        case.check("window", case.input(0).window(&built), &format!("SELECT *, {written} FROM t"), false)?;
    }

    #[test]
    fn partitions_hold_all_rows_of_their_keys(t in table(), config in config(), partitions in 1..9_usize, keys in 0..3_usize) {
        let case = Case::new(config, t, Vec::new());
        let keys = &[name("c"), call("+", vec![name("a"), name("b")])][..keys];
        let dealt = |case: &Case| -> Vec<RecordBatch> { case.input(0).partition(keys, partitions).unwrap().start().unwrap().collect().unwrap() };
        let batches = dealt(&case);
        let numbers = |b: &RecordBatch| b.column(6).as_any().downcast_ref::<Int32Array>().unwrap().clone();
        for batch in &batches {
            let numbers = numbers(batch);
            prop_assert!(numbers.values().iter().all(|n| *n == numbers.value(0) && (0..partitions as i32).contains(n)));
        }
        let without = batches.iter().map(|b| b.project(&[0, 1, 2, 3, 4, 5]).unwrap()).collect::<Vec<_>>();
        let (mut given, mut expected) = (lines(&without), lines(&case.tables[0]));
        given.sort();
        expected.sort();
        prop_assert_eq!(given, expected);
        if !keys.is_empty() {
            // Also in another query, under other settings.
            let other = Case::new(Config { threads: 1, batch_rows: 3, ..Config::default() }, case.tables[0].clone(), Vec::new());
            let (mut first, mut second) = (lines(&batches), lines(&dealt(&other)));
            first.sort();
            second.sort();
            prop_assert_eq!(first, second);
            let keyed: Vec<String> = if keys.len() == 1 {
                batches.iter().flat_map(|b| lines(&[b.project(&[2, 6]).unwrap()])).collect()
            } else { Vec::new() };
            let mut owner = std::collections::HashMap::new();
            for line in keyed {
                let (key, partition) = line.rsplit_once('|').map(|(k, p)| (k.to_string(), p.to_string())).unwrap();
                prop_assert_eq!(owner.entry(key).or_insert_with(|| partition.clone()).clone(), partition);
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused_when_a_step_is_added() {
    let case =
        Case::new(Config::default(), vec![batch(&[(Some(1), Some(2), Some(3), Some(4), Some(true))], 0)], Vec::new());
    let refused = |outcome: Result<Operator>, part: &str| {
        let message = outcome.expect_err(part).to_string();
        assert!(message.contains(part), "{message} / {part}");
    };
    refused(case.input(0).filter(&name("a")), "BOOLEAN");
    refused(case.input(0).filter(&name("nothing")), "there are a, b, c, d, e, id");
    refused(case.input(0).project(&[call("+", vec![name("c"), name("e")])]), "expression +(c, e)");
    refused(case.input(0).aggregate(&[], &[name("a")]), "not an aggregate call");
    refused(case.input(0).window(&[Untyped::sql("sum(a)").unwrap()]), "sum");
    refused(case.input(0).sort(&[], 0, None), "without keys");
    let join = |keys: Vec<(Untyped, Untyped, bool)>, columns| JoinParts {
        kind: JoinKind::Inner,
        keys,
        residual: None,
        null_aware: false,
        columns,
    };
    refused(case.input(0).join(case.input(1), &join(vec![(name("e"), name("d"), false)], None)), "expression e");
    refused(
        case.input(0).join(case.input(1), &join(vec![(name("a"), name("a"), false)], Some(vec![12]))),
        "output column 12",
    );
    let parts = AggregateParts {
        keys: vec![name("a")],
        grouping_sets: vec![vec![1]],
        calls: vec![],
        phase: AggregatePhase::Single,
        rows: None,
    };
    refused(case.input(0).aggregate_parts(&parts), "grouping set keeps key 1");
    let distinct = vec![Untyped::sql("count(DISTINCT a)").unwrap()];
    let parts = AggregateParts {
        keys: vec![],
        grouping_sets: vec![],
        calls: distinct,
        phase: AggregatePhase::Partial,
        rows: None,
    };
    refused(case.input(0).aggregate_parts(&parts), "DISTINCT");
    let parts = AggregateParts {
        phase: AggregatePhase::Final,
        rows: Some(schema()),
        calls: vec![Untyped::sql("avg(b)").unwrap()],
        ..parts
    };
    refused(case.input(0).aggregate_parts(&parts), "states are what a partial phase");
    assert!(case.input(0).partition(&[], 0).and_then(Operator::start).is_err());
}
