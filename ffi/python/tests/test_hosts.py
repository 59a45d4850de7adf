"""Libraries that know ADBC or Arrow: pandas, polars, DuckDB, pyarrow, and driver managers that find the driver by its name."""
import subprocess
import sys

import adbc_driver_manager.dbapi
import adbc_driver_plasmon.dbapi
import plasmon
import pyarrow as pa
import pytest

SQL = "SELECT value AS n, value * 0.5 AS half, CAST(value AS VARCHAR) AS text FROM generate_series(1, 1000)"


def test_pandas(connection):
    import pandas as pd

    frame = pd.read_sql(SQL, connection)
    assert list(frame.columns) == ["n", "half", "text"] and frame["n"].sum() == 500_500
    frame.to_sql("made", connection, index=False, if_exists="replace")
    frame.to_sql("made", connection, index=False, if_exists="append")
    assert connection.sql("SELECT count(*), sum(n) FROM made").rows() == [(2000, 1_001_000)]
    with pytest.raises(ValueError, match="exists"):
        frame.to_sql("made", connection, index=False)
    connection.register("frame", frame)
    assert connection.sql("SELECT sum(n) FROM frame").pandas().iloc[0, 0] == 500_500


def test_polars(connection):
    import polars as pl

    frame = pl.read_database(SQL, connection)
    assert frame["n"].sum() == 500_500 and frame.columns == ["n", "half", "text"]
    connection.register("frame", frame)
    assert connection.sql("SELECT sum(n) FROM frame").polars().item() == 500_500
    assert pl.DataFrame(connection.sql(SQL)).height == 1000
    frame.write_database("made", connection, engine="adbc", if_table_exists="replace")
    frame.write_database("made", connection, engine="adbc", if_table_exists="append")
    assert connection.sql("SELECT count(*) FROM made").rows() == [(2000,)]


def test_polars_by_uri(connection, tmp_path):
    import polars as pl

    connection.sql(f"COPY ({SQL}) TO '{tmp_path}/numbers.parquet'").close()
    frame = pl.read_database_uri("SELECT sum(n) AS s FROM numbers", f"plasmon://{tmp_path}", engine="adbc")
    assert frame.item() == 500_500


def test_duckdb_reads_results_and_is_read(connection):
    import duckdb

    result = connection.sql(SQL)
    assert duckdb.sql("SELECT sum(n) FROM result").fetchall() == [(500_500,)]
    connection.register("ducks", duckdb.sql("SELECT range AS n FROM range(1000)"))
    assert connection.sql("SELECT sum(n) FROM ducks").rows() == [(499_500,)]


def test_pyarrow(connection):
    assert pa.table(connection.sql(SQL)).num_rows == 1000
    reader = pa.RecordBatchReader.from_stream(connection.sql(SQL))
    assert sum(batch.num_rows for batch in reader) == 1000
    assert [batch.num_rows > 0 for batch in connection.sql(SQL)].count(True) >= 1


def test_the_driver_managers_own_way(tmp_path):
    with plasmon.connect() as made:
        made.sql(f"COPY ({SQL}) TO '{tmp_path}/numbers.parquet'").close()
    for connect in [
        lambda: adbc_driver_manager.dbapi.connect(plasmon.driver_path(), str(tmp_path), autocommit=True),
        lambda: adbc_driver_manager.dbapi.connect(plasmon.driver_path(), db_kwargs={"path": str(tmp_path), "plasmon.threads": "1"}, autocommit=True),
        lambda: adbc_driver_plasmon.dbapi.connect(f"file://{tmp_path}"),
    ]:
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sum(n) FROM numbers")
            assert cursor.fetchall() == [(500_500,)]


def test_autocommit_cannot_be_left():
    with pytest.warns(adbc_driver_manager.dbapi.Warning, match="Cannot disable autocommit"):
        adbc_driver_manager.dbapi.connect(plasmon.driver_path()).close()


def test_a_manifest_makes_the_driver_known_by_name(tmp_path):
    manifest = plasmon.install_manifest(tmp_path)
    assert manifest == tmp_path / "plasmon.toml" and str(plasmon.driver_path()) in manifest.read_text()
    program = (
        "import adbc_driver_manager.dbapi as d\n"
        "with d.connect('plasmon', autocommit=True) as c, c.cursor() as q:\n"
        "    q.execute('SELECT 42'); print(q.fetchall())\n"
        "with d.connect('plasmon://', autocommit=True) as c, c.cursor() as q:\n"
        "    q.execute('SELECT 43'); print(q.fetchall())\n"
    )
    run = subprocess.run([sys.executable, "-c", program], env={"ADBC_DRIVER_PATH": str(tmp_path)}, capture_output=True, text=True)
    assert run.stdout == "[(42,)]\n[(43,)]\n", run.stderr
