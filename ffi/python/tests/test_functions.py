"""Python functions in SQL: what they get and give, nulls, failures, threads, and that nothing hangs or leaks."""
import gc
import itertools
import subprocess
import sys
import threading

import plasmon
import plasmon._functions
import pyarrow as pa
import pyarrow.compute as pc
import pytest


def test_a_vectorized_function_gets_arrow_arrays(connection):
    seen = []

    def double(values):
        seen.append(values)
        return pc.multiply(values, 2)

    connection.create_function("double", double, ["int64"], "int64")
    sql = "SELECT sum(double(value)) FROM generate_series(1, 100000)"
    assert connection.sql(sql).rows() == [(10_000_100_000,)]
    assert all(isinstance(array, pa.Int64Array) for array in seen) and sum(map(len, seen)) == 100_000


def test_results_may_be_of_any_library(connection):
    import numpy as np
    import pandas as pd
    import polars as pl

    makers = {
        "arrow_array": lambda a: pc.add(a, 1),
        "chunked": lambda a: pa.chunked_array([pc.add(a, 1)]),
        "numpy_array": lambda a: a.to_numpy() + 1,
        "pandas_series": lambda a: pd.Series(a.to_numpy()) + 1,
        "polars_series": lambda a: pl.Series(a) + 1,
        "floats": lambda a: np.asarray(a) + 1.0,
        "plain_list": lambda a: [value + 1 for value in a.to_pylist()],
    }
    for name, maker in makers.items():
        connection.create_function(name, maker, [int], int)
        assert connection.sql(f"SELECT sum({name}(value)) FROM generate_series(1, 10000)").rows() == [(50_015_000,)], name


def test_every_type_crosses(connection):
    table = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "whole": pa.array([1, None, -(2**63)], pa.int64()),
            "small": pa.array([1, None, 255], pa.uint8()),
            "real": pa.array([0.5, None, -1e300]),
            "text": pa.array(["ä", None, "a longer text than a view has room for"]),
            "data": pa.array([b"\x00", None, b"x" * 40]),
            "day": pa.array([1, None, 3], pa.date32()),
            "time": pa.array([1, None, 3], pa.timestamp("us")),
            "exact": pa.array([1, None, 3], pa.decimal128(20, 2)),
            "list": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
            "struct": pa.array([{"a": 1}, None, {"a": 2}], pa.struct([("a", pa.int64())])),
        }
    )
    connection.register("t", table)
    for field in table.schema:
        for vectorized in [True, False]:
            connection.create_function("same", lambda value: value, [field.type], field.type, vectorized=vectorized, null_handling="special")
            got = connection.sql(f'SELECT same("{field.name}") AS v FROM t').table().column("v")
            assert got.to_pylist() == table.column(field.name).to_pylist(), field


def test_rows_one_by_one(connection):
    connection.create_function("shout", lambda text, mark: text.upper() + mark, [str, str], str, vectorized=False)
    sql = "SELECT shout(a, '!') FROM (VALUES ('x'), (NULL), ('y')) t(a)"
    assert connection.sql(sql).rows() == [("X!",), (None,), ("Y!",)]


def test_nulls_are_kept_away_unless_they_are_wanted(connection):
    connection.register("t", {"a": [1, None, 3, None], "b": [10, 20, None, None]})

    def add(a, b):
        assert a.null_count == b.null_count == 0
        return pc.add(a, b)

    connection.create_function("add_known", add, [int, int], int)
    assert connection.sql("SELECT add_known(a, b) FROM t").rows() == [(11,), (None,), (None,), (None,)]
    connection.create_function("is_missing", lambda a: a.is_null(), [int], bool, null_handling="special")
    assert connection.sql("SELECT is_missing(a) FROM t").rows() == [(False,), (True,), (False,), (True,)]


def test_volatility(connection):
    calls = []

    def count(rows):
        calls.append(rows)
        return list(range(rows))

    connection.create_function("numbered", count, [], int, volatility="volatile")
    assert connection.sql("SELECT count(DISTINCT numbered()) FROM generate_series(1, 1000)").rows() == [(1000,)]
    rows = []
    connection.create_function("once", lambda a: rows.append(len(a)) or a, [int], int)
    assert connection.sql("SELECT sum(once(2)) FROM generate_series(1, 1000)").rows() == [(2000,)]
    # Once for each time that the statement is planned: when it is prepared, and when it runs.
    assert set(rows) == {1} and len(rows) <= 2


def test_an_exception_is_an_error_with_its_traceback(connection):
    def helper(values):
        return 1 // (len(values) - len(values))

    def scores(values):
        return helper(values)

    connection.create_function("scores", scores, [int], int)
    with pytest.raises(plasmon.DataError) as told:
        connection.sql("SELECT scores(value) FROM generate_series(1, 10)").table()
    text = str(told.value)
    assert "function scores failed: ZeroDivisionError" in text
    assert "in scores" in text and "in helper" in text and "test_functions.py" in text
    assert "_functions.py" not in text.replace("test_functions.py", "")
    assert told.value.sqlstate == "38000"
    # The session goes on.
    assert connection.sql("SELECT 1").rows() == [(1,)]


def test_wrong_results_are_errors(connection):
    sql = "SELECT f(value) FROM generate_series(1, 10)"
    connection.create_function("f", lambda a: a[:3], [int], int)
    with pytest.raises(plasmon.DataError, match="3 values for 10 rows"):
        connection.sql(sql).table()
    connection.create_function("f", lambda a: ["x"] * len(a), [int], int)
    with pytest.raises(plasmon.DataError, match="ArrowInvalid|ArrowTypeError"):
        connection.sql(sql).table()
    connection.create_function("f", lambda a: None, [int], int)
    with pytest.raises(plasmon.DataError):
        connection.sql(sql).table()
    connection.create_function("f", lambda: None, [int], int)
    with pytest.raises(plasmon.DataError, match="TypeError"):
        connection.sql(sql).table()
    with pytest.raises(plasmon.ProgrammingError, match="f"):
        connection.sql("SELECT f(1, 2)")


def test_arguments_of_create_function_are_checked(connection):
    with pytest.raises(TypeError, match="is no type"):
        connection.create_function("f", len, ["complex"], int)
    with pytest.raises(ValueError, match="volatility"):
        connection.create_function("f", len, [int], int, volatility="sometimes")
    with pytest.raises(ValueError, match="null_handling"):
        connection.create_function("f", len, [int], int, null_handling="maybe")


def test_table_functions(connection):
    connection.create_table_function("squares", lambda start, stop: {"n": range(start, stop), "s": [i * i for i in range(start, stop)]})
    assert connection.sql("SELECT sum(s) FROM squares(1, 4) WHERE n > 1").rows() == [(13,)]
    assert connection.sql("WITH t AS (SELECT * FROM squares(0, 5)) SELECT count(*) FROM t a JOIN t b ON a.n = b.n").rows() == [(5,)]
    connection.create_table_function("echo", lambda *values: [{f"c{i}": v for i, v in enumerate(values)}])
    assert connection.sql("SELECT * FROM echo(1, 'x', true)").rows() == [(1, "x", True)]

    schema = pa.schema([("n", pa.int64())])

    def batches(count):
        for number in range(count):
            yield pa.record_batch({"n": pa.array([number] * 1000, pa.int64())}, schema=schema)

    connection.create_table_function("batches", batches, schema=schema)
    assert connection.sql("SELECT count(*), max(n) FROM batches(50)").rows() == [(50_000, 49)]

    def breaks(count):
        yield from itertools.islice(batches(count), 2)
        raise RuntimeError("the source is gone")

    connection.create_table_function("breaks", breaks, schema=schema)
    with pytest.raises(plasmon.Error, match="the source is gone"):
        connection.sql("SELECT count(*) FROM breaks(50)").table()
    with pytest.raises(plasmon.Error, match="takes 1 positional argument"):
        connection.sql("SELECT * FROM batches(1, 2)")


def test_a_function_may_ask_the_engine(connection):
    """A query inside a function of a query, on the engine's own threads."""
    connection.register("prices", {"item": [1, 2, 3], "price": [10, 20, 30]})
    clone = connection.adbc_clone()
    lock = threading.Lock()

    def price(items):
        with lock:
            known = dict(clone.sql("SELECT item, price FROM prices").rows())
        return [known.get(item) for item in items.to_pylist()]

    connection.create_function("price", price, [int], int)
    assert connection.sql("SELECT sum(price(value)) FROM generate_series(1, 3)").rows() == [(60,)]
    clone.close()


def test_many_threads_call_functions_at_once(connection):
    connection.create_function("double", lambda a: pc.multiply(a, 2), [int], int)
    wrong = []

    def ask(clone):
        with clone:
            for _ in range(10):
                if clone.sql("SELECT sum(double(value)) FROM generate_series(1, 50000)").rows() != [(2_500_050_000,)]:
                    wrong.append(1)

    threads = [threading.Thread(target=ask, args=[connection.adbc_clone()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_result_dropped_inside_its_function_does_not_hang(connection):
    """The reader is collected while Python's lock is held and the engine's threads wait for it."""
    started = threading.Event()

    def slow(values):
        started.set()
        return values

    connection.create_function("slow", slow, [int], int)
    for _ in range(10):
        started.clear()
        result = connection.sql("SELECT slow(a.value) FROM generate_series(1, 100000) a, generate_series(1, 100) b")
        reader = result.reader()
        assert started.wait(30)
        del result, reader
        gc.collect()


def test_libraries_that_read_with_pythons_lock_held(connection):
    import polars as pl

    connection.create_function("double", lambda a: pc.multiply(a, 2), [int], int)
    frame = pl.DataFrame(connection.sql("SELECT double(value) AS d FROM generate_series(1, 100000)"))
    assert frame["d"].sum() == 10_000_100_000
    frame = pl.read_database("SELECT double(value) AS d FROM generate_series(1, 100000)", connection)
    assert frame["d"].sum() == 10_000_100_000


def test_python_may_end_while_a_query_calls_it():
    program = (
        "import plasmon\n"
        "connection = plasmon.connect(threads=2)\n"
        "connection.create_function('same', lambda a: a.to_numpy() + 0, [int], int)\n"
        "sql = 'SELECT same(a.value) FROM generate_series(1, 100000) a, generate_series(1, 1000) b'\n"
        "batches = iter(connection.sql(sql))\n"
        "next(batches)\n"
        "print('leaving')\n"
    )
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (run.returncode, run.stdout) == (0, "leaving\n"), run.stderr


def test_functions_are_let_go_with_their_session():
    gc.collect()
    before = len(plasmon._functions._functions)
    with plasmon.connect() as connection:
        connection.create_function("f", lambda a: a, [int], int)
        connection.create_function("f", lambda a: a, [int], int)
        connection.create_table_function("t", lambda: {"a": [1]})
        assert connection.sql("SELECT f(a) FROM t()").rows() == [(1,)]
        assert len(plasmon._functions._functions) == before + 2
    gc.collect()
    assert len(plasmon._functions._functions) == len(plasmon._functions._handles) == before


def test_a_model_scores_rows(connection):
    numpy = pytest.importorskip("numpy")
    linear = pytest.importorskip("sklearn.linear_model")
    random = numpy.random.default_rng(1)
    features = random.normal(size=(5000, 3))
    model = linear.LinearRegression().fit(features, features @ [1.0, 2.0, 3.0])
    connection.register("points", pa.table({name: features[:, i] for i, name in enumerate("xyz")}))
    connection.create_function("score", lambda *columns: model.predict(numpy.column_stack(columns)), [float] * 3, float)
    got = connection.sql("SELECT score(x, y, z) AS s FROM points").table().column("s").to_numpy()
    # Two workers give their rows in any order.
    assert numpy.allclose(numpy.sort(got), numpy.sort(model.predict(features)))
