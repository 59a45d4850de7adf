//! Untyped expressions: what they resolve to, and what they are refused with.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plasmon_core::Error;

use super::nodes::Operators;
use super::{AggregateCall, Untyped};
use crate::function::Registry;
use crate::ir::{Node, Relation};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", DataType::Decimal128(12, 2), true),
        Field::new("c", DataType::Utf8, true),
        Field::new("twice", DataType::Float64, true),
        Field::new("twice", DataType::Float64, true),
    ]))
}

fn project(expression: &Untyped) -> Result<Relation, Error> {
    let input = Relation::new(Node::Values { rows: Vec::new() }, schema());
    Operators::new(Registry::standard()).project(input, std::slice::from_ref(expression))
}

fn shown(expression: &Untyped) -> String {
    let relation = project(expression).unwrap();
    let Node::Project { expressions, .. } = &relation.node else { panic!("a projection") };
    format!("{} {}", expressions[0], expressions[0].data_type)
}

fn message(expression: &Untyped) -> String {
    match project(expression) {
        Err(Error::User(message) | Error::Unsupported(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn call(name: &str, arguments: &[Untyped]) -> Untyped {
    Untyped::call(name, arguments.to_vec()).unwrap()
}

fn literal(array: impl arrow::array::Array + 'static) -> Untyped {
    Untyped::literal(&(Arc::new(array) as ArrayRef)).unwrap()
}

#[test]
fn calls_mean_what_their_sql_means() {
    let (a, b, c) = (Untyped::name("a"), Untyped::name("b"), Untyped::name("c"));
    let number = |n: i32| literal(Int32Array::from(vec![n]));
    let text = |t: &str| literal(StringArray::from(vec![t]));
    for (built, written) in [
        (call("+", &[a.clone(), b.clone()]), "a + b"),
        (call("-", std::slice::from_ref(&a)), "-a"),
        (call("=", &[a.clone(), b.clone()]), "a = b"),
        (call("=", &[b.clone(), Untyped::column(3)]), "b = cast(0 as double)"),
        (call("is_not_null", std::slice::from_ref(&c)), "c is not null"),
        (call("like", &[c.clone(), text("%x!%"), text("!")]), "c like '%x!%' escape '!'"),
        (call("not in", &[c.clone(), text("p"), text("q")]), "c not in ('p', 'q')"),
        (call("between", &[a.clone(), number(1), number(3)]), "a between cast(1 as int) and cast(3 as int)"),
        (
            call("case", &[call("is null", std::slice::from_ref(&a)), b.clone(), a.clone()]),
            "case when a is null then b else a end",
        ),
        (
            call("or", &[call("<", &[a.clone(), b.clone()]), call("is null", std::slice::from_ref(&c))]),
            "a < b or c is null",
        ),
        (call("substring", &[c.clone(), number(2)]), "substring(c, cast(2 as int))"),
        (call("COALESCE", &[a.clone(), b.clone()]), "coalesce(a, b)"),
        (Untyped::cast(a.clone(), DataType::Int64, true).unwrap(), "try_cast(a as bigint)"),
    ] {
        let (built, written) = (shown(&built), shown(&Untyped::sql(written).unwrap()));
        // The one pair that differs by its column stands for its types.
        assert_eq!(built.replace("#3", "0.0"), written.replace("0::Float64", "0.0"), "{built} / {written}");
    }
}

#[test]
fn names_are_those_of_sql() {
    let named = |e: &Untyped| project(e).unwrap().schema.field(0).name().clone();
    assert_eq!(named(&Untyped::column(1)), "b");
    assert_eq!(named(&Untyped::column(1).named("price").unwrap()), "price");
    assert_eq!(named(&Untyped::sql("a + 1").unwrap()), "a + Int64(1)");
}

#[test]
fn refusals_name_expression_column_and_candidates() {
    for (expression, parts) in [
        (Untyped::name("price"), &["expression price", "no column price", "a, b, c, twice, twice"][..]),
        (Untyped::column(7), &["no column 7", "there are 5"]),
        (Untyped::name("twice"), &["2 columns are called twice", "ordinal"]),
        (Untyped::sql("twice + 1").unwrap(), &["twice"]),
        (Untyped::sql("nowhere > 1").unwrap(), &["expression nowhere > 1", "nowhere"]),
        (call("sqrrt", &[Untyped::name("a")]), &["sqrrt", "sqrt"]),
        (call("+", &[Untyped::name("c"), Untyped::sql("interval '1 day'").unwrap()]), &["+(c, interval '1 day')"]),
        (Untyped::sql("(select 1)").unwrap(), &["sub-queries"]),
        (Untyped::sql("a = (select max(x) from t)").unwrap(), &["t"]),
        (Untyped::sql("$1 + 1").unwrap(), &["$1", "literal"]),
        (Untyped::sql("sum(a)").unwrap(), &["sum"]),
        (call("like", &[Untyped::name("c"), Untyped::name("c"), Untyped::name("c")]), &["escape", "one character"]),
    ] {
        let message = message(&expression);
        for part in parts {
            assert!(message.contains(part), "{expression}: {message}");
        }
    }
    assert!(Untyped::sql("a +").is_err() && Untyped::sql("a; b").is_err() && Untyped::sql("a from t").is_err());
    assert!(Untyped::call("between", vec![Untyped::column(0)]).unwrap_err().to_string().contains("3 operands"));
    assert!(Untyped::literal(&(Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)).is_err());
}

#[test]
fn small_graphs_do_not_stand_for_large_trees() {
    let mut doubled = Untyped::column(0);
    let outcome = (0..200).try_for_each(|_| {
        doubled = Untyped::call("+", vec![doubled.clone(), doubled.clone()])?;
        Ok::<(), Error>(())
    });
    assert!(outcome.unwrap_err().to_string().contains("parts"));
    assert!(doubled.to_string().ends_with('…'));
    let mut nested = Untyped::column(0);
    let outcome = (0..200).try_for_each(|_| {
        nested = Untyped::call("-", vec![nested.clone()])?;
        Ok::<(), Error>(())
    });
    assert!(outcome.unwrap_err().to_string().contains("nests"));
    assert!(project(&nested).is_ok());
}

#[test]
fn long_conjunctions_are_no_deep_trees() {
    let terms: Vec<Untyped> = (0..20_000).map(|n| Untyped::sql(&format!("a <> {n}")).unwrap()).collect();
    let whole = Untyped::call("and", terms[..3_000].to_vec()).unwrap();
    assert!(project(&whole).is_ok());
}

#[test]
fn a_scalar_function_is_no_aggregate() {
    let input = Relation::new(Node::Values { rows: Vec::new() }, schema());
    let call = AggregateCall { name: "abs".into(), arguments: vec![Untyped::name("a")], ..AggregateCall::default() };
    let parts = super::nodes::AggregateParts {
        keys: Vec::new(),
        grouping_sets: Vec::new(),
        calls: vec![Untyped::aggregate(call).unwrap()],
        phase: plasmon_core::operators::aggregate::AggregatePhase::Single,
        rows: None,
    };
    let error = Operators::new(Registry::standard()).aggregate(input, &parts).unwrap_err();
    assert!(error.to_string().contains("abs is no aggregate function"), "{error}");
}
