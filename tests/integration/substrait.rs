//! Substrait at the façade: what comes in and goes out, what is refused and where, plans of older versions, and damaged ones.
//!
//! Every SQL file goes through Substrait in `slt.rs`; other engines' plans over data are in `tests/oracle/substrait_plans.py`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use plasmon::plan::substrait::Format;
use plasmon::{Config, Error, MemoryTable, Parameter, Session};
use serde_json::{Value, json};

/// Numbers 1 to 10 with the words even and odd, as `t (a, word)`.
fn session() -> Session {
    let session = Session::new(Config { threads: 1, ..Config::default() }).expect("valid configuration");
    session.register_batches("t", batch().schema(), &[batch()]).expect("a table");
    session
}

fn batch() -> RecordBatch {
    let numbers: Int64Array = (1..=10).collect();
    let words: StringArray = (1..=10).map(|n| Some(if n % 2 == 0 { "even" } else { "odd" })).collect();
    RecordBatch::try_from_iter([("a", Arc::new(numbers) as _), ("word", Arc::new(words) as _)]).expect("two columns")
}

fn text(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).expect("printable").to_string()
}

/// The rows of a plan in one column of numbers.
fn numbers(session: &Session, plan: &Value) -> Result<Vec<i64>, Error> {
    let batches = session.substrait(plan.to_string().as_bytes()).run()?.collect()?;
    let column = |b: &RecordBatch| {
        let numbers = arrow::compute::cast(b.column(0), &arrow::datatypes::DataType::Int64).expect("numbers");
        numbers.as_any().downcast_ref::<Int64Array>().expect("numbers").values().to_vec()
    };
    Ok(batches.iter().flat_map(column).collect())
}

fn read() -> Value {
    let types =
        json!([{"i64": {"nullability": "NULLABILITY_NULLABLE"}}, {"string": {"nullability": "NULLABILITY_NULLABLE"}}]);
    json!({"read": {"baseSchema": {"names": ["a", "word"], "struct": {"types": types}}, "namedTable": {"names": ["t"]}}})
}

fn field(index: i32) -> Value {
    json!({"selection": {"directReference": {"structField": {"field": index}}, "rootReference": {}}})
}

fn number(value: i64) -> Value {
    json!({"literal": {"i64": value.to_string()}})
}

fn call(anchor: u32, arguments: &[Value]) -> Value {
    let arguments: Vec<Value> = arguments.iter().map(|a| json!({"value": a})).collect();
    json!({"scalarFunction": {"functionReference": anchor, "arguments": arguments}})
}

/// A plan with the functions `names` at anchors 1, 2 …, declared the way of today.
fn plan(names: &[&str], relation: Value, columns: &[&str]) -> Value {
    let functions = names.iter().enumerate().map(
        |(i, name)| json!({"extensionFunction": {"extensionUrnReference": 1, "functionAnchor": i + 1, "name": name}}),
    );
    json!({
        "extensionUrns": [{"extensionUrnAnchor": 1, "urn": "extension:io.substrait:functions_arithmetic"}],
        "extensions": functions.collect::<Vec<_>>(),
        "relations": [{"root": {"input": relation, "names": columns}}],
    })
}

fn filtered(condition: Value) -> Value {
    json!({"filter": {"input": read(), "condition": condition}})
}

/// What a plan is refused with: the class, the reason and the path.
fn refusal(session: &Session, plan: &Value) -> (Error, String) {
    match session.substrait(plan.to_string().as_bytes()).run() {
        Err(Error::At { path, error }) => (*error, path),
        Err(other) => panic!("an error without a path: {other}"),
        Ok(_) => panic!("the plan was run: {plan}"),
    }
}

#[test]
fn statements_of_plans_take_parameters_tables_and_settings() {
    let session = session();
    let parameter = json!({"dynamicParameter": {"type": {"i64": {}}, "parameterReference": 0}});
    let plan = plan(&["gt:any_any"], filtered(call(1, &[field(0), parameter])), &["n", "w"]).to_string();
    let statement = session.substrait(plan.as_bytes()).parameters([Parameter::from(7)]);
    let schema = statement.schema().expect("it plans").expect("a query");
    assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["n", "w"]);
    assert_eq!(statement.clone().run().expect("it runs").collect().expect("rows")[0].num_rows(), 3);
    assert!(statement.explain(Default::default()).expect("a plan").contains("Scan"));
    let own = batch().slice(0, 8);
    let own = MemoryTable::new(own.schema(), &[own]).expect("a table");
    let one = statement.table("t", Arc::new(own)).run().expect("it runs").collect().expect("rows");
    assert_eq!(one.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    let cancel = plasmon::core::pipeline::CancelToken::default();
    cancel.cancel();
    let statement = session.substrait(plan.as_bytes()).parameters([Parameter::from(7)]).cancel(cancel);
    let outcome = statement.run().and_then(|q| q.collect());
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

#[test]
fn plans_go_out_and_come_back() {
    let session = session();
    for sql in [
        "SELECT word, sum(a) AS total, count(*) AS n FROM t WHERE a > 2 GROUP BY word HAVING sum(a) > 1 ORDER BY 1 DESC",
        "SELECT a FROM t WHERE a NOT IN (SELECT a + 5 FROM t) ORDER BY a LIMIT 3 OFFSET 1",
        "SELECT a, row_number() OVER (PARTITION BY word ORDER BY a) AS r, sum(a) OVER (ORDER BY a ROWS 2 PRECEDING) FROM t ORDER BY a",
        "SELECT CASE WHEN a % 3 = 0 THEN 'three' WHEN word LIKE 'e%' THEN word || '!' END AS c FROM t ORDER BY a",
        "SELECT word, GROUPING(word), count(DISTINCT a) FILTER (WHERE a < 9) FROM t GROUP BY ROLLUP (word) ORDER BY 1 NULLS FIRST",
        "SELECT l.a FROM t l LEFT JOIN t r ON l.a = r.a + 7 AND r.word = 'odd' WHERE r.a IS NULL ORDER BY 1",
        "SELECT a FROM t EXCEPT SELECT a FROM t WHERE a < (SELECT avg(a) FROM t) ORDER BY 1",
        "SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM t s WHERE s.a = t.a * 2) OR a = 9",
        "SELECT [a, a + 1] AS l, CAST(a AS DECIMAL(10, 2)) / 3 AS d, DATE '2024-01-31' + INTERVAL '1 month' AS m FROM t WHERE a < 3 ORDER BY a",
    ] {
        let statement = session.statement(sql);
        let expected = text(&statement.clone().run().expect("it runs").collect().expect("rows"));
        for format in [Format::Binary, Format::Json] {
            let plan = statement.to_substrait(format).unwrap_or_else(|e| panic!("{sql}: {e}"));
            let given =
                session.substrait(&plan).run().and_then(|q| q.collect()).unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert_eq!(text(&given), expected, "{sql}");
        }
    }
}

#[test]
fn what_has_no_form_there_is_refused_with_its_path() {
    let session = session();
    let refused = |sql: &str| match session.statement(sql).to_substrait(Format::Binary) {
        Err(Error::At { path, error }) => (path, error.to_string()),
        other => panic!("{sql}: {:?}", other.map(|b| b.len())),
    };
    let (path, reason) = refused("SELECT unnest([1, 2]) + a FROM t");
    assert!(path.starts_with("root.input") && reason.contains("UNNEST"), "{path}: {reason}");
    let (path, reason) = refused("SELECT a FROM t UNION ALL SELECT value FROM generate_series(1, 2)");
    assert!(path.starts_with("root.input.inputs[1]") && reason.contains("generate_series"), "{path}: {reason}");
    assert!(session.statement("SET threads = 1").to_substrait(Format::Json).is_err());
}

/// `EXISTS (SELECT * FROM t WHERE a = …)`, the other side from so many queries around it.
fn exists(steps: u32) -> Value {
    let outer =
        json!({"selection": {"directReference": {"structField": {"field": 0}}, "outerReference": {"stepsOut": steps}}});
    let inner = json!({"filter": {"input": filtered(call(1, &[field(0), number(4)])), "condition": call(1, &[field(0), outer])}});
    json!({"subquery": {"setPredicate": {"predicateOp": "PREDICATE_OP_EXISTS", "tuples": inner}}})
}

#[test]
fn correlated_exists_is_a_join() {
    let session = session();
    assert_eq!(numbers(&session, &plan(&["equal:any_any"], filtered(exists(1)), &["a", "w"])).expect("rows"), [4]);
    let not = call(2, &[exists(1)]);
    let rest = numbers(&session, &plan(&["equal:any_any", "not:bool"], filtered(not), &["a", "w"])).expect("rows");
    assert_eq!(rest, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn what_cannot_be_run_is_refused_with_its_path() {
    let session = session();
    // A function that nobody has; one of the library, declared for other arguments than it is given.
    for (function, reason) in [("no_such:fp64", "function no_such"), ("cot:fp64", "function cot:fp64 of (Int64)")] {
        let condition = call(1, &[field(0), call(2, &[number(1)])]);
        let (error, path) = refusal(&session, &plan(&["gt:any_any", function], filtered(condition), &["a", "w"]));
        assert_eq!(matches!(error, Error::Unsupported(_)), function.starts_with("no_such"), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(path, "root.input.condition.arguments[1]");
    }
    let condition = call(1, &[field(0), call(2, &[json!({"literal": {"fp64": 0.2}})])]);
    let rows = numbers(&session, &plan(&["gt:any_any", "cot:fp64"], filtered(condition), &["a", "w"]));
    assert_eq!(rows.expect("cot as it is declared"), [5, 6, 7, 8, 9, 10]);
    // DuckDB's plans do not tell `<>` from NOT LIKE.
    let differs = |text: &str| {
        let literal = json!({"literal": {"string": text}});
        let mut plan = plan(&["not_equal:string_string"], filtered(call(1, &[field(1), literal])), &["a", "w"]);
        plan["version"] = json!({"minorNumber": 53, "producer": "DuckDB"});
        plan
    };
    assert_eq!(numbers(&session, &differs("odd")).expect("no pattern"), [2, 4, 6, 8, 10]);
    let (error, path) = refusal(&session, &differs("o%"));
    assert!(matches!(error, Error::Unsupported(_)) && error.to_string().contains("NOT LIKE"), "{error}");
    assert_eq!(path, "root.input.condition");
    let (error, path) = refusal(&session, &plan(&["equal:any_any"], filtered(exists(2)), &["a", "w"]));
    assert!(error.to_string().contains("correlated"), "{error}");
    assert_eq!(path, "root.input.condition.subquery.tuples.condition.arguments[1]");
    for (relation, reason, wanted) in [
        (
            json!({"read": {"baseSchema": {"names": ["x"], "struct": {"types": [{"i64": {}}]}}, "namedTable": {"names": ["t"]}}}),
            "no column x",
            "root.input.base_schema",
        ),
        (
            json!({"read": {"baseSchema": {}, "namedTable": {"names": ["nowhere"]}}}),
            "no table or view nowhere",
            "root.input.named_table",
        ),
        (filtered(field(5)), "column 5 of 2", "root.input.condition"),
        (filtered(field(0)), "a condition of type Int64", "root.input.condition"),
        (
            json!({"sort": {"input": read(), "sorts": [{"expr": field(0), "direction": "SORT_DIRECTION_CLUSTERED"}]}}),
            "clustered",
            "root.input.sorts[0]",
        ),
        (json!({"fetch": {"input": read(), "countExpr": number(-3)}}), "no number of rows", "root.input.count_expr"),
        (json!({"filter": {"input": {"ddl": {}}, "condition": field(0)}}), "relation ddl", "root.input.input"),
        (json!({"set": {"inputs": [read(), read()], "op": "SET_OP_MINUS_MULTISET"}}), "MINUS_MULTISET", "root.input"),
        (json!({"reference": {"subtreeOrdinal": 0}}), "is no sub-plan", "root.input"),
    ] {
        let (error, path) = refusal(&session, &plan(&["equal:any_any"], relation, &["a", "w"]));
        assert!(error.to_string().contains(reason), "{error}, not {reason}");
        assert_eq!(path, wanted);
    }
    let unknown = json!({"relations": [{"root": {"input": {"filter": {"inpt": {}}}}}]});
    let (error, path) = refusal(&session, &unknown);
    assert!(error.to_string().contains("inpt") && path.contains("input.filter"), "{error} {path}");
}

#[test]
fn options_are_honoured_or_refused() {
    let session = session();
    let add = |overflow: &str| {
        let mut add = call(1, &[number(i64::MAX), field(0)]);
        add["scalarFunction"]["options"] = json!([{"name": "overflow", "preference": [overflow]}]);
        plan(
            &["add:i64_i64"],
            json!({"project": {"common": {"emit": {"outputMapping": [2]}}, "input": read(), "expressions": [add]}}),
            &["n"],
        )
    };
    assert_eq!(numbers(&session, &add("SILENT")).expect("wraps")[0], i64::MIN);
    assert!(matches!(numbers(&session, &add("ERROR")), Err(Error::Data(_))));
    let (error, path) = refusal(&session, &add("SATURATE"));
    assert!(error.to_string().contains("overflow = SATURATE"), "{error}");
    assert_eq!(path, "root.input.expressions[0]");
    // A stated type that is none of what is computed.
    let mut wrong = add("ERROR");
    wrong["relations"][0]["root"]["input"]["project"]["expressions"][0]["scalarFunction"]["outputType"] =
        json!({"string": {}});
    assert!(refusal(&session, &wrong).0.to_string().contains("add gives Int64 here, the plan says Utf8"));
}

/// Forms that today's protocol no longer has.
#[test]
fn plans_of_older_versions_mean_the_same() {
    let session = session();
    let fetched = json!({"fetch": {"input": {"sort": {"input": read(), "sorts": [{"expr": field(0), "direction": "SORT_DIRECTION_DESC_NULLS_LAST"}]}}, "offset": "1", "count": "2"}});
    assert_eq!(numbers(&session, &plan(&[], fetched, &["a", "w"])).expect("a fetch by numbers"), [9, 8]);
    let mut plan = plan(
        &["sum"],
        json!({"aggregate": {
            "input": read(),
            "groupings": [{"groupingExpressions": [field(1)]}],
            "measures": [{"measure": {"functionReference": 1, "args": [field(0)], "outputType": {"i64": {}}}}],
            "common": {"emit": {"outputMapping": [1]}},
        }}),
        &["total"],
    );
    plan["extensionUris"] = json!([{"extensionUriAnchor": 1, "uri": "/functions_arithmetic.yaml"}]);
    plan["extensions"] =
        json!([{"extensionFunction": {"extensionUriReference": 1, "functionAnchor": 1, "name": "sum"}}]);
    plan.as_object_mut().expect("an object").remove("extensionUrns");
    let mut sums = numbers(&session, &plan).expect("groupings of expressions, bare arguments, URIs");
    sums.sort_unstable();
    assert_eq!(sums, [25, 30]);
    let values = json!({"read": {"baseSchema": {"names": ["n"], "struct": {"types": [{"i64": {}}]}},
        "virtualTable": {"values": [{"fields": [{"i64": "4"}]}, {"fields": [{"i64": "5"}]}]}}});
    let old = json!({"relations": [{"root": {"input": values, "names": ["n"]}}]});
    assert_eq!(numbers(&session, &old).expect("rows of literals"), [4, 5]);
    let key = json!({"directReference": {"structField": {"field": 0}}, "rootReference": {}});
    let join = json!({"hashJoin": {"left": read(), "right": read(), "leftKeys": [key], "rightKeys": [key], "type": "JOIN_TYPE_LEFT_SEMI"}});
    let old = json!({"relations": [{"root": {"input": join, "names": ["a", "w"]}}]});
    assert_eq!(numbers(&session, &old).expect("two lists of keys").len(), 10);
}

#[test]
fn shared_and_detached_nodes_are_found() {
    let session = session();
    let union = json!({"set": {"inputs": [{"reference": {"subtreeOrdinal": 0}}, {"reference": {"subtreeOrdinal": 0}}], "op": "SET_OP_UNION_ALL"}});
    let shared = json!({"relations": [{"rel": read()}, {"root": {"input": union, "names": ["a", "w"]}}]});
    assert_eq!(numbers(&session, &shared).expect("a shared sub-plan").len(), 20);
    let detached = json!({"relations": [{"root": {"input": {"detachedRelOrdinal": 0}, "names": ["a", "w"]}, "detachedRels": [read()]}]});
    assert_eq!(numbers(&session, &detached).expect("a detached relation").len(), 10);
    let circle = json!({"relations": [{"root": {"input": {"detachedRelOrdinal": 0}, "names": []}, "detachedRels": [{"detachedRelOrdinal": 0}]}]});
    assert!(refusal(&session, &circle).0.to_string().contains("nested"));
}

/// Chains that are deeper than decoders of protobuf go, and chains beyond the limit.
#[test]
fn deep_plans_are_run_up_to_the_limit() {
    let session = session();
    let sum = |terms: usize| format!("SELECT {} AS n FROM t", vec!["a"; terms].join(" + "));
    let plan = session.statement(&sum(90)).to_substrait(Format::Binary).expect("a plan");
    assert_eq!(session.substrait(&plan).run().expect("it runs").collect().expect("rows")[0].num_rows(), 10);
    // A filter of a filter of a filter …, as bytes: each is a relation in a relation.
    let deep = |levels: usize| {
        let mut inner: Vec<u8> = Vec::new();
        for _ in 0..levels {
            inner = nested(2, &nested(2, &inner));
        }
        nested(3, &nested(2, &nested(1, &inner)))
    };
    for levels in [300, 5_000, 20_000] {
        let error = session.substrait(&deep(levels)).run().err().expect("no plan");
        assert!(matches!(error, Error::At { .. }), "{levels}: {error}");
    }
}

/// A page of plan that stands for columns without end, and one for an expression without end.
#[test]
fn small_plans_do_not_grow_without_bound() {
    let session = session();
    let mut detached = vec![read()];
    for previous in 0..60 {
        let side = json!({"detachedRelOrdinal": previous});
        detached.push(json!({"cross": {"left": side, "right": side}}));
    }
    let doubled =
        json!({"relations": [{"root": {"input": {"detachedRelOrdinal": 60}, "names": []}, "detachedRels": detached}]});
    assert!(refusal(&session, &doubled).0.to_string().contains("nodes and columns"));
    let coalesced = (0..27).fold(field(0), |inner, _| call(1, &[inner, number(1)]));
    let coalesced = json!({"project": {"input": read(), "expressions": [coalesced]}});
    let (error, _) = refusal(&session, &plan(&["coalesce:any"], coalesced, &[]));
    assert!(error.to_string().contains("nodes and columns"), "2^27 copies of a column: {error}");
}

/// A message in field `number`.
fn nested(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}

fn damaged(plan: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = plan.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, random.below(256) as u8),
            4 => drop(bytes.remove(at)),
            // A piece of the plan again, somewhere else.
            _ => {
                let end = (at + random.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// Plans with flipped bits, missing and repeated pieces, wrong lengths and counts: errors or plans, nothing else, in bounded time and memory.
#[test]
fn damaged_plans_are_errors() {
    const CASES: usize = 24_000;
    let session = session();
    let plans: Vec<Vec<u8>> = [
        "SELECT word, sum(a) AS total FROM t WHERE a > 2 AND word <> 'x' GROUP BY word ORDER BY 1 LIMIT 5",
        "SELECT l.a, r.word, row_number() OVER (ORDER BY l.a) FROM t l JOIN t r ON l.a = r.a AND l.word LIKE '%e%'",
        "SELECT CASE WHEN a IN (1, 2, 3) THEN CAST(a AS DOUBLE) ELSE 1.5 END FROM t WHERE a > (SELECT min(a) FROM t)",
        "SELECT a FROM t WHERE a NOT IN (SELECT a + 5 FROM t) UNION ALL SELECT 7",
    ]
    .iter()
    .flat_map(|sql| [Format::Binary, Format::Json].map(|f| session.statement(sql).to_substrait(f).expect("a plan")))
    .collect();
    let begin = Instant::now();
    let (mut random, mut planned, mut refused) = (Random(7), 0, 0);
    for case in 0..CASES {
        let bytes = damaged(&plans[case % plans.len()], &mut random);
        let outcome = catch_unwind(AssertUnwindSafe(|| session.substrait(&bytes).schema()));
        match outcome {
            Ok(Ok(_)) => planned += 1,
            Ok(Err(error)) => {
                assert!(!matches!(error.without_path(), Error::Internal(_)), "case {case}: {error}");
                refused += 1;
            }
            Err(_) => panic!("case {case} panicked"),
        }
    }
    assert!(refused > CASES / 2 && planned > 0, "{planned} planned, {refused} refused");
    assert!(begin.elapsed() < Duration::from_secs(120), "{CASES} cases took {:?}", begin.elapsed());
}
