"""The DB-API and the additions to it: results, parameters, tables, errors."""
import datetime
import decimal
import threading
import time

import plasmon
import pyarrow as pa
import pytest


def test_a_session_answers(connection):
    assert connection.sql("SELECT 6 * 7 AS answer, 'x' AS name").rows() == [(42, "x")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT a FROM (VALUES (1), (2), (3)) t(a) ORDER BY a")
        assert [column[0] for column in cursor.description] == ["a"]
        assert cursor.fetchone() == (1,)
        assert cursor.fetchmany(5) == [(2,), (3,)]
        assert cursor.fetchone() is None


def test_values_of_every_type_come_back(connection):
    values = {
        "flag": True,
        "whole": -(2**63),
        "real": 0.5,
        "text": "ä\x00z",
        "data": b"\xff\x00",
        "date": datetime.date(1999, 12, 31),
        "time": datetime.datetime(2024, 2, 29, 12, 30, 1, 5),
        "exact": decimal.Decimal("-12.345"),
    }
    columns = ", ".join(f"${name} AS {name}" for name in values)
    assert connection.sql(f"SELECT {columns}", values).table().to_pylist() == [values]
    marks = ", ".join("?" for _ in values)
    assert connection.sql(f"SELECT {marks}", list(values.values())).rows() == [tuple(values.values())]


def test_parameters_are_numbered_named_or_marks(connection):
    assert connection.sql("SELECT $2 - $1", [1, 43]).rows() == [(42,)]
    assert connection.sql("SELECT $b - $a - $a", {"a": 1, "b": 44}).rows() == [(42,)]
    assert connection.sql("SELECT '?' AS q, ? AS v", [1]).rows() == [("?", 1)]
    with pytest.raises(plasmon.ProgrammingError, match="2 parameters and nothing is bound"):
        connection.sql("SELECT ?, ?")
    with pytest.raises(plasmon.ProgrammingError, match="2 parameters, 1 are bound"):
        connection.sql("SELECT ?, ?", [1])
    with pytest.raises(plasmon.ProgrammingError, match=r"no value is bound to parameter \$b"):
        connection.sql("SELECT $a, $b", {"a": 1})
    with pytest.raises(plasmon.ProgrammingError, match="all question marks, all numbered or all named"):
        connection.sql("SELECT ?, $2", [1, 2])


def test_a_statement_runs_once_for_every_row_of_parameters(connection):
    rows = pa.table({"low": [1, 5, 9], "high": [2, 5, 12]})
    sql = "SELECT value FROM generate_series(1, 20) WHERE value BETWEEN $1 AND $2 ORDER BY value"
    assert [value for (value,) in connection.sql(sql, rows).rows()] == [1, 2, 5, 9, 10, 11, 12]
    assert connection.sql(sql, rows.to_batches()[0]).table().num_rows == 7
    assert connection.sql(sql, rows.slice(0, 0)).table().schema.names == ["value"]
    assert connection.sql(sql, rows.slice(0, 0)).rows() == []


def test_rows_affected(connection):
    connection.sql("CREATE TABLE t (a BIGINT, b VARCHAR)").close()
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x"), (2, "y"), (3, None)])
        assert cursor.rowcount == 3
        cursor.execute("INSERT INTO t SELECT a + 10, b FROM t")
        assert cursor.rowcount == 3 and cursor.fetchall() == []
        cursor.executescript("CREATE TABLE u AS SELECT * FROM t; INSERT INTO u SELECT * FROM t WHERE a > 2")
    assert connection.sql("SELECT count(*), sum(a) FROM u").rows() == [(10, 81)]


def test_register_takes_anything_that_gives_arrow_data(connection):
    table = pa.table({"a": [1, 2, 3]})
    sources = [
        table,
        table.to_batches()[0],
        table.to_reader(),
        {"a": [1, 2, 3]},
        [{"a": 1}, {"a": 2}, {"a": 3}],
        connection.sql("SELECT a FROM (VALUES (1), (2), (3)) t(a)"),
    ]
    for source in sources:
        connection.register("t", source)
        assert connection.sql("SELECT sum(a) FROM t").rows() == [(6,)]
    connection.unregister("t")
    with pytest.raises(plasmon.ProgrammingError, match="there is no table or view t"):
        connection.sql("SELECT * FROM t")
    with pytest.raises(plasmon.ProgrammingError, match="there is no table or view t"):
        connection.unregister("t")
    with pytest.raises(TypeError, match="int is no Arrow data"):
        connection.register("t", 1)


def test_no_buffer_is_copied(connection):
    values = pa.array(range(10_000), pa.int64())
    connection.register("t", pa.table({"a": values}))
    batches = connection.sql("SELECT a FROM t").table().column("a").chunks
    start = values.buffers()[1].address
    assert all(start <= batch.buffers()[1].address < start + 80_000 for batch in batches)


def test_folders_are_tables(connection, tmp_path):
    connection.sql(f"COPY (SELECT 1 AS a UNION ALL SELECT 2) TO '{tmp_path}/Numbers.parquet'").close()
    (tmp_path / "parts").mkdir()
    for part in range(3):
        connection.sql(f"COPY (SELECT {part} AS p) TO '{tmp_path}/parts/{part}.parquet'").close()
    (tmp_path / "notes.txt").write_text("no table")
    connection.register("both", tmp_path / "parts")
    assert connection.sql("SELECT count(*) FROM both").rows() == [(3,)]
    with plasmon.connect(tmp_path) as other:
        assert other.sql("SELECT (SELECT sum(a) FROM numbers), (SELECT sum(p) FROM parts)").rows() == [(3, 3)]
    with plasmon.connect(tmp_path / "Numbers.parquet") as other:
        assert other.sql("SELECT sum(a) FROM numbers").rows() == [(3,)]
    with pytest.raises(plasmon.OperationalError, match="nowhere"):
        plasmon.connect(tmp_path / "nowhere")


def test_settings(connection):
    setting = "SHOW threads"
    assert connection.sql(setting).table().column("value").to_pylist() == ["2"]
    with pytest.raises(plasmon.ProgrammingError, match="speed"):
        plasmon.connect(speed=11)
    with plasmon.connect(threads=1, **{"s3.region": "eu"}) as other:
        assert "s3.region" in other.sql("SHOW ALL").table().column("name").to_pylist()


def test_errors_tell_what_and_how_to_go_on(connection):
    with pytest.raises(plasmon.ProgrammingError) as told:
        connection.sql("SELECT nothing FROM generate_series(1, 2)")
    assert "nothing" in str(told.value) and told.value.sqlstate == "42000"
    assert dict(told.value.details)[b"plasmon.code"] == b"10"
    with pytest.raises(plasmon.DataError) as told:
        connection.sql("SELECT value / (value - 50000) FROM generate_series(1, 100000)").table()
    assert told.value.sqlstate == "22000"
    with pytest.raises(plasmon.NotSupportedError):
        connection.adbc_connection.set_autocommit(False)


def test_a_query_is_cancelled_from_another_thread(connection):
    sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    for cancel in ["cursor", "connection"]:
        result = connection.sql(sql)
        stop = result.cancel if cancel == "cursor" else connection.adbc_cancel
        timer = threading.Timer(0.05, stop)
        timer.start()
        begin = time.monotonic()
        with pytest.raises(plasmon.OperationalError, match="(?i)cancel"):
            result.table()
        assert time.monotonic() - begin < 20
        timer.join()
    assert connection.sql("SELECT 1").rows() == [(1,)]


def test_a_deadline_ends_a_query(connection):
    sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    with connection.cursor(adbc_stmt_kwargs={"plasmon.deadline_milliseconds": 50}) as cursor:
        cursor.execute(sql)
        with pytest.raises(plasmon.OperationalError, match="deadline"):
            cursor.fetchall()


def test_results_that_nobody_reads_end(connection):
    for _ in range(20):
        connection.sql("SELECT a.value FROM generate_series(1, 100000) a, generate_series(1, 1000) b").close()
    assert connection.sql("SELECT 1").rows() == [(1,)]


def test_results_outlive_their_connection():
    connection = plasmon.connect(threads=2)
    connection.register("t", {"a": list(range(100_000))})
    reader = pa.RecordBatchReader.from_stream(connection.sql("SELECT a + 1 AS b FROM t"))
    first = reader.read_next_batch()
    assert first.column(0)[0].as_py() is not None
    del reader
    connection.close()
    assert first.column(0).null_count == 0


def test_connections_share_a_session_between_threads(connection):
    connection.register("t", {"a": list(range(10_000))})
    wrong = []

    def ask(clone):
        with clone:
            for number in range(20):
                if clone.sql("SELECT count(*) FROM t WHERE a >= ?", [number]).rows() != [(10_000 - number,)]:
                    wrong.append(number)

    threads = [threading.Thread(target=ask, args=[connection.adbc_clone()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_doc_examples_hold(connection):
    import doctest

    import plasmon._connection
    import plasmon._functions
    import plasmon._library

    connection.register("t", {"a": [1, 2, 3]})
    for module in [plasmon, plasmon._connection, plasmon._functions, plasmon._library]:
        names = {"plasmon": plasmon, "connection": connection, **vars(module)}
        outcome = doctest.testmod(module, globs=names)
        assert outcome.attempted > 0 and outcome.failed == 0
