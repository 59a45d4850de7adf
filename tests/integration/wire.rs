//! Plans in our own wire format, through the façade: what SQL files cannot show.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use plasmon::core::expression::{Expression, Scalar};
use plasmon::core::operators::aggregate::{AggregatePhase, state_types};
use plasmon::plan::ir::{Node, Plan, Relation};
use plasmon::plan::sql::{ExplainOptions, Statement, plan_statement};
use plasmon::plan::wire;
use plasmon::{Config, Driver, Error, Parameter, Query, Session, Source, StreamTable};

fn session() -> Session {
    let session = Session::new(Config { threads: 2, ..Config::default() }).expect("valid configuration");
    let sql = "CREATE TABLE t AS SELECT value AS n, value % 7 AS g, CAST(value AS DOUBLE) / 3 AS f,
               CAST(value AS DECIMAL(20, 2)) AS d, CASE WHEN value % 5 > 0 THEN CAST(value % 11 AS VARCHAR) END AS s,
               value % 2 = 0 AS b FROM generate_series(1, 5000)";
    session.sql(sql).expect("a table");
    session
}

/// Rows as texts, in the order of texts; floats to nine digits.
fn rows(query: Query) -> Vec<String> {
    let batches = query.collect().expect("rows");
    let cell = |batch: &RecordBatch, column: usize, row: usize| {
        let text = array_value_to_string(batch.column(column), row).expect("a value");
        match batch.column(column).data_type() {
            DataType::Float64 if !text.is_empty() => format!("{:.9e}", text.parse::<f64>().expect("a float")),
            _ => text,
        }
    };
    let row = |batch: &RecordBatch, row: usize| {
        (0..batch.num_columns()).map(|c| cell(batch, c, row)).collect::<Vec<_>>().join("|")
    };
    let mut rows: Vec<String> = batches.iter().flat_map(|b| (0..b.num_rows()).map(|r| row(b, r))).collect();
    rows.sort();
    rows
}

fn plan(session: &Session, sql: &str) -> Plan {
    match plan_statement(sql, session, &session.config()).expect("plans") {
        Statement::Query(plan) => plan,
        other => panic!("no query: {other:?}"),
    }
}

/// The aggregation as a host would cut it: partial, rows to partitions by key, merged in two steps.
fn in_pieces(relation: Relation) -> Relation {
    let relation = relation.map_children(&mut |child| Ok(in_pieces(child))).expect("no failure");
    let Relation {
        node: Node::Aggregate { input, group_by, aggregates, phase: AggregatePhase::Single, .. },
        schema,
        ..
    } = relation
    else {
        return relation;
    };
    let states = aggregates.iter().flat_map(|a| state_types(a).expect("states"));
    let keys = group_by.len();
    let fields: Vec<Field> = group_by
        .iter()
        .map(|k| k.data_type.clone())
        .chain(states)
        .enumerate()
        .map(|(i, t)| Field::new(format!("c{i}"), t, true))
        .collect();
    let partial_schema: SchemaRef = Arc::new(Schema::new(fields));
    let aggregate = |input: Box<Relation>, group_by, phase, schema| {
        let (aggregates, grouping_sets) = (aggregates.clone(), Vec::new());
        Relation::new(Node::Aggregate { input, group_by, grouping_sets, aggregates, phase }, schema)
    };
    let partial = aggregate(input, group_by, AggregatePhase::Partial, partial_schema.clone());
    let key_columns = partial.columns()[..keys].to_vec();
    let exchange =
        Node::Exchange { input: Box::new(partial), keys: key_columns.clone(), partitions: Some(5), numbered: false };
    let exchange = Relation::new(exchange, partial_schema.clone());
    let merged = aggregate(Box::new(exchange), key_columns.clone(), AggregatePhase::PartialMerge, partial_schema);
    aggregate(Box::new(merged), key_columns, AggregatePhase::Final, schema)
}

#[test]
fn an_aggregation_cut_in_pieces_gives_the_same() {
    let session = session();
    let functions = "count(*), count(s), sum(n), sum(d), sum(f), avg(f), avg(d), min(s), max(n), stddev(f), var_pop(f),
                     bool_and(b), bit_xor(n), max(s) FILTER (WHERE n > 100),
                     array_agg(s ORDER BY n), first_value(s ORDER BY n DESC), last_value(n ORDER BY d), string_agg(s, ',' ORDER BY n)";
    for sql in [
        format!("SELECT g, {functions} FROM t GROUP BY g"),
        format!("SELECT {functions} FROM t WHERE n < 0"),
        format!("SELECT g, b, {functions} FROM t WHERE n % 3 = 0 GROUP BY g, b"),
        "SELECT DISTINCT g, b FROM t".to_string(),
    ] {
        let whole = plan(&session, &sql);
        let cut = Plan { root: in_pieces(whole.root.clone()), ..whole };
        let bytes = wire::encode(&cut).expect("encodes");
        let back = wire::decode(&bytes, &session).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        assert_eq!(wire::encode(&back).expect("encodes"), bytes);
        let statement = session.statement_of(Source::Plan(&bytes));
        let shown = statement.explain(ExplainOptions::default()).expect("explains");
        assert_eq!(shown.matches("Aggregate").count() + shown.matches("Distinct").count(), 3, "{shown}");
        assert_eq!(rows(statement.run().expect("runs")), rows(session.sql(&sql).expect("runs")), "{sql}");
    }
}

/// `SELECT g, b, count(*), sum(n) … GROUP BY GROUPING SETS ((g), (b))` as hosts have it: an expansion under a plain aggregation.
fn expanded(relation: Relation) -> Relation {
    let relation = relation.map_children(&mut |child| Ok(expanded(child))).expect("no failure");
    let Relation { node: Node::Aggregate { input, group_by, aggregates, phase, grouping_sets }, schema, .. } = relation
    else {
        return relation;
    };
    let width = input.schema.fields().len();
    let null = |e: &Expression| Expression::literal(Scalar::Null, e.data_type.clone());
    let id_type = schema.field(group_by.len()).data_type().clone();
    let id = |set: usize| match id_type {
        DataType::UInt8 => Expression::literal(Scalar::UInt64([1, 2][set]), id_type.clone()),
        ref other => panic!("a grouping id of type {other}"),
    };
    let projection = |(set, keeps): (usize, &Vec<bool>)| {
        let keys = group_by.iter().zip(keeps).map(|(key, &keeps)| if keeps { key.clone() } else { null(key) });
        input.columns().into_iter().chain(keys).chain([id(set)]).collect::<Vec<_>>()
    };
    let projections: Vec<_> = grouping_sets.iter().enumerate().map(projection).collect();
    let fields = projections[0].iter().enumerate().map(|(i, e)| Field::new(format!("c{i}"), e.data_type.clone(), true));
    let expanded_schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let group_by =
        (width..projections[0].len()).map(|c| Expression::column(c, expanded_schema.field(c).data_type().clone()));
    let group_by = group_by.collect();
    let input = Box::new(Relation::new(Node::Expand { input, projections }, expanded_schema));
    Relation::new(Node::Aggregate { input, group_by, aggregates, phase, grouping_sets: Vec::new() }, schema)
}

#[test]
fn an_expansion_gives_the_rows_of_grouping_sets() {
    let session = session();
    let sql = "SELECT g, b, count(*), sum(n), min(s) FROM t GROUP BY GROUPING SETS ((g), (b))";
    let whole = plan(&session, sql);
    let expanded = Plan { root: expanded(whole.root.clone()), ..whole };
    let bytes = wire::encode(&expanded).expect("encodes");
    let back = wire::decode(&bytes, &session).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(wire::encode(&back).expect("encodes"), bytes);
    let statement = session.statement_of(Source::Plan(&bytes));
    let shown = statement.explain(ExplainOptions::default()).expect("explains");
    assert!(shown.contains("Expand"), "{shown}");
    let expected = rows(session.sql(sql).expect("runs"));
    assert_eq!(expected.len(), 9);
    assert_eq!(rows(statement.run().expect("runs")), expected);
    let inline = Config { driver: Driver::Inline, batch_rows: 7, ..session.config() };
    assert_eq!(rows(session.statement_of(Source::Plan(&bytes)).config(inline).run().expect("runs")), expected);
}

/// A stream of the numbers from 1 to 100 as column `n`.
fn numbers() -> impl RecordBatchReader + Send + 'static {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=100));
    let batch = RecordBatch::try_from_iter([("n", column)]).expect("a batch");
    let schema = batch.schema();
    RecordBatchIterator::new([Ok(batch)], schema)
}

#[test]
fn streams_are_bound_by_name() {
    let session = session();
    let sql = "SELECT sum(n) FROM input WHERE n > 50";
    let bound = |source| session.statement_of(source).table("input", Arc::new(StreamTable::new(numbers())));
    let bytes = bound(Source::Sql(sql)).plan_bytes().expect("plans").expect("a query");
    for driver in [Driver::Pool, Driver::Inline] {
        let config = Config { driver, ..session.config() };
        assert_eq!(rows(bound(Source::Plan(&bytes)).config(config).run().expect("runs")), ["3775"]);
    }
    // Without the stream, and with one of other columns.
    let unbound = session.statement_of(Source::Plan(&bytes)).run().err().expect("a refusal");
    assert!(matches!(&unbound, Error::At { path, .. } if path == "tables[0]"), "{unbound}");
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let batch = RecordBatch::try_from_iter([("n", floats)]).expect("a batch");
    let stream = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    let other = session.statement_of(Source::Plan(&bytes)).table("input", Arc::new(StreamTable::new(stream)));
    let refused = other.run().err().expect("a refusal").to_string();
    assert!(refused.contains("the table's is n of type Float64 (at tables[0].fields[0])"), "{refused}");
}

#[test]
fn a_plan_is_a_statement_like_any_other() {
    let session = session();
    let bytes = session.statement("SELECT n AS number FROM t ORDER BY n DESC LIMIT 3").plan_bytes().expect("plans");
    let bytes = bytes.expect("a query");
    let statement = || session.statement_of(Source::Plan(&bytes));
    assert_eq!(statement().schema().expect("plans").expect("a query").field(0).name(), "number");
    assert!(statement().explain(ExplainOptions::default()).expect("explains").contains("TopN"));
    assert_eq!(rows(statement().run().expect("runs")), ["4998", "4999", "5000"]);
    let with_parameters = statement().parameters([Parameter::from(1)]).run().err().expect("a refusal");
    assert!(with_parameters.to_string().contains("takes no parameters"));
    assert!(session.statement("SET threads = 2").plan_bytes().expect("plans").is_none());
    assert!(session.statement("SELECT frobnicate(1)").plan_bytes().is_err());
    // A constant in the place of a parameter is one of the plan.
    let bound = session.statement("SELECT count(*) FROM t WHERE n <= $1").parameters([Parameter::from(10)]);
    let bytes = bound.plan_bytes().expect("plans").expect("a query");
    assert_eq!(rows(session.statement_of(Source::Plan(&bytes)).run().expect("runs")), ["10"]);
}

#[test]
fn functions_of_an_embedder_are_found_by_name() {
    let session = session();
    let register = |session: &Session, factor: i64| {
        session.register_scalar_function("times", &[DataType::Int64], DataType::Int64, move |arguments| {
            let numbers = arguments[0].as_any().downcast_ref::<Int64Array>().expect("numbers");
            Ok(Arc::new(numbers.unary::<_, arrow::datatypes::Int64Type>(|n| n * factor)))
        });
    };
    register(&session, 2);
    let bytes = session.statement("SELECT sum(times(n)) FROM t").plan_bytes().expect("plans").expect("a query");
    assert_eq!(rows(session.statement_of(Source::Plan(&bytes)).run().expect("runs")), ["25005000"]);
    // Another session has a function of its own of that name, or none.
    let other = self::session();
    let refused = other.statement_of(Source::Plan(&bytes)).run().err().expect("a refusal").to_string();
    assert!(refused.contains("there is no scalar function times (at root"), "{refused}");
    register(&other, 3);
    assert_eq!(rows(other.statement_of(Source::Plan(&bytes)).run().expect("runs")), ["37507500"]);
}
