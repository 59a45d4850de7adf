"""What the other tests stand on, without Spark: values out of Arrow, tables of edges, cutting around failing rows, the list of what is left to Spark."""
import collections
import random
import types

import pyarrow as pa
import pytest

import arrow_values
import conftest
import edge_values
import expression_cases
import random_plans
import random_sql
import spark_grammar
import test_expressions


def test_values_that_python_has_no_objects_for():
    columns = {
        "date": pa.array([-800000, 3000000, None], pa.int32()).cast(pa.date32()), "moment": pa.array([-(2**60), 2**60, None], pa.timestamp("us", tz="UTC")),
        "list": pa.array([[1, None], None, []], pa.list_(pa.int32())), "dates": pa.array([[-800000], None, []], pa.list_(pa.int32())).cast(pa.list_(pa.date32())),
        "pair": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]), "pairs": pa.array([[("k", 1.5)], None, []], pa.map_(pa.string(), pa.float64())),
    }
    rows = arrow_values.rows(pa.table(columns))
    assert rows == [
        (-800000, -(2**60), (1, None), (-800000,), (1, "a"), (("k", 1.5),)),
        (3000000, 2**60, None, None, None, None),
        (None, None, (), (), (None, "b"), ()),
    ]


def test_values_of_several_slices():
    whole = pa.table({"list": pa.array([[1], [2, 3], None, [4]], pa.list_(pa.int32())), "pair": pa.array([{"x": i} for i in range(4)])})
    assert arrow_values.rows(pa.concat_tables([whole.slice(1, 2), whole.slice(3)])) == [((2, 3), (1,)), (None, (2,)), ((4,), (3,))]


def test_a_sample_of_combinations_has_every_value():
    values = [edge_values.TYPES[t][1] for t in ("string", "small", "double")]
    rows = edge_values.combinations(values, edge_values.ROWS_MAX)
    assert len(rows) == edge_values.ROWS_MAX
    for i, every in enumerate(values):
        assert {repr(row[i]) for row in rows} == set(map(repr, every))


def test_every_case_has_a_table(tmp_path):
    for group in expression_cases.GROUPS:
        for _, kinds in expression_cases.cases(group):
            path, count = edge_values.table(tmp_path, kinds)
            assert path.exists() and count > 1


def test_texts_are_cut_between_expressions_only():
    assert test_expressions.parts("f(a, b), a || ', ', b") == ["f(a, b)", "a || ', '", "b"]


def failing(rows):
    """A stand-in for a query that fails on some rows."""
    runs = collections.Counter()

    def run(low, high):
        runs["all"] += 1
        return types.SimpleNamespace(error="FAILED" if any(low <= row < high for row in rows) else None)
    return run, runs


@pytest.mark.parametrize("rows", [[], [0], [77], [3, 150], list(range(200))])
def test_tables_are_cut_around_failing_rows(rows):
    run, runs = failing(rows)
    pieces = test_expressions.pieces(run, 200)
    assert sorted(row for low, high, _ in pieces for row in range(low, high)) == list(range(200))
    assert runs["all"] <= test_expressions.RUNS_MAX
    assert not rows or len(rows) == 200 or any(outcome.error is None for _, _, outcome in pieces)


def test_what_is_left_to_spark_may_only_become_less(monkeypatch, tmp_path):
    monkeypatch.setattr(conftest.session, "jar", lambda: "a jar")
    monkeypatch.setattr(conftest, "NOT_NATIVE", tmp_path / "not_native.json")
    outcome = lambda *names: types.SimpleNamespace(foreign=dict.fromkeys(names, 1), reasons=["why"])
    accepting = conftest.NotNative("accept")
    accepting.check("s", "q1", outcome("SortExec", "FilterExec"))
    accepting.check("s", "q2", outcome())
    accepting.write()
    checking = conftest.NotNative("check")
    checking.check("s", "q1", outcome("SortExec"))
    assert checking.stale("s", "q1") == ["FilterExec"]
    with pytest.raises(AssertionError, match="ProjectExec"):
        checking.check("s", "q2", outcome("ProjectExec"))
    shrinking = conftest.NotNative("shrink")
    shrinking.check("s", "q1", outcome("SortExec"))
    shrinking.write()
    assert conftest.NotNative("check").allowed == {"s": {"q1": ["SortExec"]}}


def test_random_queries_are_in_sparks_dialect():
    grammar = spark_grammar.SparkGrammar(random.Random(7), [spark_grammar.table(random.Random(i), f"r{i}") for i in range(4)])
    texts = [random_plans.spark_text(grammar.query(2, top=True)) for _ in range(300)]
    assert not [text for text in texts for word in ("VARCHAR", "strpos(", "ORDER BY t1.s)", "GROUPS BETWEEN") if word in text and "WITHIN GROUP" not in text]


def test_columns_with_dots_are_fields_and_keys():
    columns = [random_plans.random_data.Column(name, "int", kind, True) for name, kind in [("id", pa.int64()), ("st.x", pa.int32()), ("st.deep.z", pa.int32()), ("mp.a", pa.float64()), ("mp.b", pa.float64())]]
    table = spark_grammar.NestedTable("r", columns, [[0, 1, None, 1.5, None], [1, None, None, None, None], [2, None, 3, 0.5, 2.5]])
    assert arrow_values.rows(table.arrow()) == [(0, (1, None), (("a", 1.5),)), (1, None, None), (2, (None, (3,)), (("a", 0.5), ("b", 2.5)))]
