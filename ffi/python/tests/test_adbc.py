"""What ADBC's documentation asks of a driver (`adbc.h`), behaviour by behaviour; ffi/adbc/README.md lists them."""
import json
import threading

import adbc_driver_manager as adbc
import plasmon
import pyarrow as pa
import pytest

STATUS = adbc.AdbcStatusCode


@pytest.fixture
def database():
    with adbc.AdbcDatabase(driver=str(plasmon.driver_path()), **{"plasmon.threads": "2"}) as opened:
        yield opened


@pytest.fixture
def link(database):
    with adbc.AdbcConnection(database) as opened:
        yield opened


@pytest.fixture
def statement(link):
    with adbc.AdbcStatement(link) as opened:
        yield opened


def fails(status, call, *arguments, **named):
    with pytest.raises(adbc.Error) as told:
        call(*arguments, **named)
    assert told.value.status_code == status, told.value
    return told.value


def read(stream):
    return pa.RecordBatchReader._import_from_c(stream.address).read_all()


def run(link, sql):
    with adbc.AdbcStatement(link) as statement:
        statement.set_sql_query(sql)
        stream, affected = statement.execute_query()
        return read(stream), affected


def ingest(link, name, table, mode="create", **options):
    with adbc.AdbcStatement(link) as statement:
        statement.set_options(**{"adbc.ingest.target_table": name, "adbc.ingest.mode": f"adbc.ingest.mode.{mode}", **options})
        statement.bind_stream(table.to_reader())
        return statement.execute_update()


# --- databases and connections


def test_options_of_a_database(database):
    assert database.get_option("plasmon.threads") == "2"
    assert database.get_option_int("plasmon.threads") == 2
    assert database.get_option_float("plasmon.threads") == 2.0
    assert database.get_option_bytes("plasmon.threads") == b"2"
    database.set_options(**{"plasmon.threads": 1})
    assert database.get_option("plasmon.threads") == "1"
    fails(STATUS.NOT_IMPLEMENTED, database.set_options, speed="11")
    fails(STATUS.INVALID_ARGUMENT, database.set_options, **{"plasmon.speed": "11"})
    fails(STATUS.INVALID_ARGUMENT, database.set_options, **{"plasmon.threads": "many"})
    fails(STATUS.INVALID_STATE, database.set_options, uri="elsewhere")
    fails(STATUS.NOT_FOUND, database.get_option, "speed")
    fails(STATUS.NOT_FOUND, database.get_option, "plasmon.speed")
    fails(STATUS.NOT_FOUND, database.get_option_int, "plasmon.driver")


def test_options_of_a_connection(link):
    assert link.get_option("adbc.connection.autocommit") == "true"
    assert link.get_option("adbc.connection.readonly") == "false"
    assert link.get_option("adbc.connection.catalog") == "plasmon"
    assert link.get_option("adbc.connection.db_schema") == "main"
    link.set_options(**{"adbc.connection.catalog": "plasmon", "adbc.connection.db_schema": "main", "adbc.connection.autocommit": "true"})
    fails(STATUS.NOT_FOUND, link.set_options, **{"adbc.connection.catalog": "other"})
    fails(STATUS.NOT_IMPLEMENTED, link.set_options, **{"adbc.connection.autocommit": "false"})
    fails(STATUS.NOT_IMPLEMENTED, link.set_options, **{"adbc.connection.readonly": "true"})
    fails(STATUS.INVALID_ARGUMENT, link.set_options, **{"adbc.connection.readonly": "perhaps"})
    isolation = "adbc.connection.transaction.isolation"
    link.set_options(**{f"{isolation}_level": f"{isolation}.default"})
    fails(STATUS.NOT_IMPLEMENTED, link.set_options, **{f"{isolation}_level": f"{isolation}.serializable"})
    fails(STATUS.NOT_IMPLEMENTED, link.set_options, speed="11")
    fails(STATUS.NOT_FOUND, link.get_option, "speed")
    assert link.get_option_int("plasmon.session") > 0
    fails(STATUS.INVALID_ARGUMENT, link.set_options, **{"plasmon.session": 1})


def test_settings_of_a_connection_are_its_own(database, link):
    link.set_options(**{"plasmon.batch_rows": 7})
    assert link.get_option_int("plasmon.batch_rows") == 7
    with adbc.AdbcConnection(database) as other:
        assert other.get_option_int("plasmon.batch_rows") != 7
    table, _ = run(link, "SELECT value FROM generate_series(1, 100)")
    assert max(table.column(0).chunks, key=len).__len__() <= 7


def test_transactions_are_refused(link):
    fails(STATUS.INVALID_STATE, link.commit)
    fails(STATUS.INVALID_STATE, link.rollback)


def test_a_connection_with_options_before_it_opens(database):
    with adbc.AdbcConnection(database, **{"plasmon.threads": "1"}) as link:
        assert link.get_option("plasmon.threads") == "1"
    fails(STATUS.NOT_IMPLEMENTED, adbc.AdbcConnection, database, speed="11")


def test_tables_are_seen_by_all_connections(database, link):
    run(link, "CREATE TABLE t AS SELECT 1 AS a")
    with adbc.AdbcConnection(database) as other:
        assert run(other, "SELECT a FROM t")[0].num_rows == 1


# --- metadata


def test_info(link):
    known = {row["info_name"]: row["info_value"] for row in read(link.get_info()).to_pylist()}
    assert known[0] == "Plasmon" and known[3] is True and known[103] == 1_001_000
    assert known[1] == known[101] == plasmon.version()
    some = read(link.get_info([100, 4242, 0]))
    assert sorted(some.column(0).to_pylist()) == [0, 100]
    assert read(link.get_info([4242])).num_rows == 0
    assert some.schema.field(0) == pa.field("info_name", pa.uint32(), nullable=False)
    assert some.schema.field(1).type.num_fields == 6


def objects(link, depth=adbc.GetObjectsDepth.ALL, **filters):
    return read(link.get_objects(depth, **filters)).to_pylist()


def names(found):
    return [t["table_name"] for catalog in found for schema in catalog["catalog_db_schemas"] for t in schema["db_schema_tables"]]


def test_objects(link):
    run(link, "CREATE TABLE first AS SELECT 1 AS a, 'x' AS b")
    run(link, "CREATE TABLE second AS SELECT CAST(1.5 AS DECIMAL(10, 2)) AS price")
    run(link, "CREATE VIEW third AS SELECT a FROM first")
    depth = adbc.GetObjectsDepth
    assert objects(link, depth.CATALOGS) == [{"catalog_name": "plasmon", "catalog_db_schemas": None}]
    assert objects(link, depth.DB_SCHEMAS) == [{"catalog_name": "plasmon", "catalog_db_schemas": [{"db_schema_name": "main", "db_schema_tables": None}]}]
    tables = objects(link, depth.TABLES)[0]["catalog_db_schemas"][0]["db_schema_tables"]
    assert [(t["table_name"], t["table_type"], t["table_columns"]) for t in tables] == [("first", "TABLE", None), ("second", "TABLE", None), ("third", "VIEW", None)]
    full = objects(link)[0]["catalog_db_schemas"][0]["db_schema_tables"]
    assert [[(c["column_name"], c["ordinal_position"]) for c in t["table_columns"]] for t in full] == [[("a", 1), ("b", 2)], [("price", 1)], [("a", 1)]]
    assert all(t["table_constraints"] == [] for t in full)
    price = full[1]["table_columns"][0]
    assert price["xdbc_type_name"] == "DECIMAL(10, 2)" and price["xdbc_column_size"] == 10 and price["xdbc_decimal_digits"] == 2


def test_filters_of_objects(link):
    run(link, "CREATE TABLE first AS SELECT 1 AS a, 'x' AS b")
    run(link, "CREATE TABLE second AS SELECT 1 AS b")
    run(link, "CREATE VIEW third AS SELECT a FROM first")
    assert objects(link, catalog="other") == [] and objects(link, catalog="") == []
    assert objects(link, catalog="pl%", db_schema="x") == [{"catalog_name": "plasmon", "catalog_db_schemas": []}]
    assert objects(link, db_schema="")[0]["catalog_db_schemas"] == []
    assert names(objects(link, db_schema="m_in")) == ["first", "second", "third"]
    assert names(objects(link, table_name="%s%")) == ["first", "second"]
    assert names(objects(link, table_name="FIRST")) == ["first"]
    assert names(objects(link, table_name="none")) == []
    assert names(objects(link, table_types=["VIEW"])) == ["third"]
    assert names(objects(link, table_types=["VIEW", "TABLE"])) == ["first", "second", "third"]
    assert names(objects(link, table_types=["INDEX"])) == []
    columns = [[c["column_name"] for c in t["table_columns"]] for t in objects(link, column_name="b")[0]["catalog_db_schemas"][0]["db_schema_tables"]]
    assert columns == [["b"], ["b"], []]


def test_a_view_over_what_is_gone_hides_nothing(link):
    run(link, "CREATE TABLE t AS SELECT 1 AS a")
    run(link, "CREATE VIEW v AS SELECT a FROM t")
    run(link, "DROP TABLE t")
    assert names(objects(link)) == ["v"]


def test_table_schemas(link):
    run(link, "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b")
    run(link, "CREATE VIEW v AS SELECT b FROM t")
    schema = pa.schema(link.get_table_schema(None, None, "t"))
    assert schema.names == ["a", "b"]
    assert pa.schema(link.get_table_schema("plasmon", "main", "T")).names == ["a", "b"]
    assert pa.schema(link.get_table_schema("", "", "v")).names == ["b"]
    fails(STATUS.NOT_FOUND, link.get_table_schema, None, None, "nothing")
    fails(STATUS.NOT_FOUND, link.get_table_schema, "other", None, "t")
    fails(STATUS.NOT_FOUND, link.get_table_schema, None, "other", "t")


def test_table_types(link):
    assert read(link.get_table_types()).column("table_type").to_pylist() == ["TABLE", "VIEW", "LOCAL TEMPORARY"]


def statistics(link, **filters):
    found = read(link.get_statistics(**filters)).to_pylist()
    return [row for catalog in found for schema in catalog["catalog_db_schemas"] for row in schema["db_schema_statistics"]]


def test_statistics(link, tmp_path):
    run(link, f"COPY (SELECT value AS n, CASE WHEN value < 10 THEN NULL ELSE value END AS m FROM generate_series(1, 1000)) TO '{tmp_path}/t.parquet'")
    run(link, f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{tmp_path}/t.parquet'")
    run(link, "CREATE TABLE other AS SELECT 1 AS a")
    rows = statistics(link, table_name="t")
    found = {(row["column_name"], row["statistic_key"]): row["statistic_value"] for row in rows}
    assert found[(None, 6)] == 1000 and found[("n", 3)] == 1000 and found[("n", 4)] == 1 and found[("m", 5)] == 9
    assert not any(row["statistic_is_approximate"] for row in statistics(link, approximate=False))
    assert {row["table_name"] for row in statistics(link)} == {"t", "other"}
    assert statistics(link, catalog="x") == [] and statistics(link, db_schema="x") == []
    assert read(link.get_statistic_names()).to_pylist() == [{"statistic_name": "plasmon.statistic.bytes", "statistic_key": 1024}]


# --- statements


def test_queries_and_updates(link, statement):
    statement.set_sql_query("SELECT 42 AS answer")
    stream, affected = statement.execute_query()
    assert affected == -1 and read(stream).to_pylist() == [{"answer": 42}]
    # Again, without setting it again.
    assert read(statement.execute_query()[0]).num_rows == 1
    assert statement.execute_update() == -1
    assert run(link, "CREATE TABLE t AS SELECT 1 AS a")[0].num_columns == 0
    statement.set_sql_query("INSERT INTO t SELECT * FROM generate_series(1, 10)")
    assert statement.execute_update() == 10
    stream, affected = statement.execute_query()
    assert affected == 10 and read(stream).num_rows == 0


def test_statements_out_of_order(link, statement):
    fails(STATUS.INVALID_STATE, statement.execute_query)
    fails(STATUS.INVALID_STATE, statement.execute_update)
    fails(STATUS.INVALID_STATE, statement.execute_schema)
    fails(STATUS.INVALID_STATE, statement.prepare)
    fails(STATUS.INVALID_STATE, statement.get_parameter_schema)
    fails(STATUS.INVALID_STATE, statement.cancel)
    statement.set_sql_query("SELECT ?")
    fails(STATUS.INVALID_STATE, statement.execute_query)
    fails(STATUS.INVALID_ARGUMENT, statement.set_sql_query, " -- nothing")
    fails(STATUS.INVALID_ARGUMENT, statement.set_sql_query, "SELECT ?; SELECT ?")
    fails(STATUS.INVALID_ARGUMENT, statement.set_sql_query, "SELECT 'open")


def test_errors_come_when_they_are_known(statement):
    statement.set_sql_query("SELECT nothing")
    error = fails(STATUS.INVALID_ARGUMENT, statement.prepare)
    assert error.sqlstate == "42000" and (b"plasmon.code", b"10") in error.details
    fails(STATUS.INVALID_ARGUMENT, statement.execute_schema)
    fails(STATUS.INVALID_ARGUMENT, statement.execute_query)
    statement.set_sql_query("COPY (SELECT 1) TO '/proc/nowhere/x.parquet'")
    fails(STATUS.IO, statement.execute_update)


def test_schemas_without_running(link, statement):
    run(link, "CREATE TABLE t AS SELECT 1 AS a")
    statement.set_sql_query("SELECT a, $1 AS p FROM t")
    assert pa.schema(statement.execute_schema()).names == ["a", "p"]
    assert pa.schema(statement.get_parameter_schema()) == pa.schema([("$1", pa.null())])
    statement.bind(pa.record_batch({"p": [0.5]}))
    assert pa.schema(statement.execute_schema()).field("p").type == pa.float64()
    statement.set_sql_query("INSERT INTO t VALUES (2)")
    assert pa.schema(statement.execute_schema()).names == []
    assert run(link, "SELECT count(*) AS n FROM t")[0].to_pylist() == [{"n": 1}]
    statement.set_sql_query("SHOW TABLES")
    assert pa.schema(statement.execute_schema()).names == ["table_name", "kind", "details"]
    statement.set_sql_query("EXPLAIN ANALYZE SELECT 1")
    assert pa.schema(statement.execute_schema()).names == ["plan"]


def test_prepared_statements_are_bound_again_and_again(statement):
    statement.set_sql_query("SELECT $1 * 2 AS d")
    statement.prepare()
    for values in [[1], [2, 3], []]:
        statement.bind(pa.record_batch({"x": pa.array(values, pa.int64())}))
        assert read(statement.execute_query()[0]).column("d").to_pylist() == [value * 2 for value in values]
    # What was bound as a batch stays bound, a stream is used up.
    statement.bind(pa.record_batch({"x": [4]}))
    for _ in range(2):
        assert read(statement.execute_query()[0]).column("d").to_pylist() == [8]
    statement.bind_stream(pa.table({"x": [5, 6]}).to_reader())
    assert read(statement.execute_query()[0]).column("d").to_pylist() == [10, 12]
    fails(STATUS.INVALID_STATE, statement.execute_query)


def test_substrait_plans_are_run(statement):
    plan = {"relations": [{"root": {"names": ["n"], "input": {"project": {
        "common": {"emit": {"outputMapping": [1]}},
        "input": {"read": {
            "baseSchema": {"names": ["a"], "struct": {"types": [{"i64": {}}]}},
            "virtualTable": {"expressions": [{"fields": [{"literal": {"i64": "1"}}]}]}}},
        "expressions": [{"dynamicParameter": {"type": {"i64": {}}, "parameterReference": 0}}]}}}}]}
    statement.set_substrait_plan(json.dumps(plan).encode())
    statement.bind(pa.record_batch({"x": pa.array([7, 8], pa.int64())}))
    assert read(statement.execute_query()[0]).column("n").to_pylist() == [7, 8]
    statement.set_substrait_plan(b"plan")
    fails(STATUS.INVALID_ARGUMENT, statement.execute_query)
    fails(STATUS.INVALID_ARGUMENT, statement.set_substrait_plan, b"")


def test_partitions_are_refused(link, statement):
    statement.set_sql_query("SELECT 1")
    fails(STATUS.NOT_IMPLEMENTED, statement.execute_partitions)
    fails(STATUS.NOT_IMPLEMENTED, link.read_partition, b"x")
    fails(STATUS.NOT_IMPLEMENTED, statement.set_options, **{"adbc.statement.exec.incremental": "true"})
    statement.set_options(**{"adbc.statement.exec.incremental": "false"})


def test_options_of_a_statement(statement):
    statement.set_options(**{"plasmon.threads": 1, "plasmon.deadline_milliseconds": 60000})
    assert statement.get_option_int("plasmon.threads") == 1
    assert statement.get_option_int("plasmon.deadline_milliseconds") == 60000
    statement.set_options(**{"adbc.ingest.target_table": "t", "adbc.ingest.mode": "adbc.ingest.mode.append"})
    assert statement.get_option("adbc.ingest.target_table") == "t"
    assert statement.get_option("adbc.ingest.mode") == "adbc.ingest.mode.append"
    fails(STATUS.INVALID_ARGUMENT, statement.set_options, **{"adbc.ingest.mode": "somehow"})
    fails(STATUS.NOT_IMPLEMENTED, statement.set_options, speed="11")
    fails(STATUS.NOT_FOUND, statement.get_option, "speed")
    fails(STATUS.NOT_FOUND, statement.get_option_float, "adbc.statement.exec.progress")


def test_progress(statement):
    statement.set_sql_query("SELECT value FROM generate_series(1, 100000)")
    stream, _ = statement.execute_query()
    reader = pa.RecordBatchReader._import_from_c(stream.address)
    reader.read_next_batch()
    assert statement.get_option_float("adbc.statement.exec.max_progress") == 100_000
    assert 0 < statement.get_option_float("adbc.statement.exec.progress") <= 100_000
    reader.close()


def test_cancel_from_another_thread(statement):
    statement.set_sql_query("CREATE TABLE t AS SELECT count(*) AS n FROM generate_series(1, 100000) a, generate_series(1, 100000) b")

    def stop():
        while True:
            try:
                return statement.cancel()
            except adbc.ProgrammingError:
                pass  # not begun yet

    thread = threading.Thread(target=stop)
    thread.start()
    fails(STATUS.CANCELLED, statement.execute_update)
    thread.join()


def test_results_outlive_their_statement(link):
    statement = adbc.AdbcStatement(link)
    statement.set_sql_query("SELECT value FROM generate_series(1, 100000)")
    stream, _ = statement.execute_query()
    statement.close()
    assert read(stream).num_rows == 100_000


# --- ingestion

ROWS = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_ingestion_creates_appends_and_replaces(link):
    assert ingest(link, "t", ROWS) == 3
    fails(STATUS.ALREADY_EXISTS, ingest, link, "t", ROWS)
    assert ingest(link, "t", ROWS, "append") == 3
    assert run(link, "SELECT * FROM t")[0].num_rows == 6
    assert ingest(link, "t", ROWS, "replace") == 3
    assert run(link, "SELECT * FROM t")[0].equals(ROWS)
    assert ingest(link, "t", ROWS, "create_append") == 3
    assert ingest(link, "u", ROWS, "create_append") == 3
    fails(STATUS.NOT_FOUND, ingest, link, "nothing", ROWS, "append")
    fails(STATUS.ALREADY_EXISTS, ingest, link, "t", ROWS.select(["a"]), "append")
    fails(STATUS.ALREADY_EXISTS, ingest, link, "t", pa.table({"a": ["x"], "b": ["y"]}), "append")
    run(link, "CREATE VIEW v AS SELECT 1 AS a")
    fails(STATUS.NOT_IMPLEMENTED, ingest, link, "v", ROWS, "append")


def test_ingestion_fits_columns_by_name_and_layout(link):
    ingest(link, "t", ROWS)
    mixed = pa.table({"b": pa.array(["q"], pa.large_string()).dictionary_encode(), "a": [9]})
    assert ingest(link, "t", mixed, "append") == 1
    assert run(link, "SELECT a, b FROM t WHERE a = 9")[0].to_pylist() == [{"a": 9, "b": "q"}]


def test_ingestion_names_its_place(link):
    place = {"adbc.ingest.target_catalog": "plasmon", "adbc.ingest.target_db_schema": "main"}
    assert ingest(link, "t", ROWS, **place) == 3
    fails(STATUS.NOT_FOUND, ingest, link, "u", ROWS, **{"adbc.ingest.target_catalog": "other"})
    fails(STATUS.NOT_FOUND, ingest, link, "u", ROWS, **{"adbc.ingest.target_db_schema": "other"})
    fails(STATUS.INVALID_ARGUMENT, ingest, link, "", ROWS)


def test_temporary_tables_are_the_connections_own(database, link):
    temporary = {"adbc.ingest.temporary": "true"}
    ingest(link, "t", ROWS)
    assert ingest(link, "t", ROWS.slice(0, 1), **temporary) == 1
    assert ingest(link, "t", ROWS.slice(0, 1), "append", **temporary) == 1
    assert run(link, "SELECT * FROM t")[0].num_rows == 2
    with adbc.AdbcConnection(database) as other:
        assert run(other, "SELECT * FROM t")[0].num_rows == 3
        fails(STATUS.NOT_FOUND, ingest, other, "t", ROWS, "append", **temporary)
    assert names(objects(link, table_types=["LOCAL TEMPORARY"])) == ["t"]


def test_ingestion_needs_rows(link):
    with adbc.AdbcStatement(link) as statement:
        statement.set_options(**{"adbc.ingest.target_table": "t"})
        fails(STATUS.INVALID_STATE, statement.execute_update)


def test_a_stream_that_fails_leaves_nothing(link):
    def batches():
        yield ROWS.to_batches()[0]
        raise RuntimeError("the source is gone")

    with adbc.AdbcStatement(link) as statement:
        statement.set_options(**{"adbc.ingest.target_table": "t"})
        statement.bind_stream(pa.RecordBatchReader.from_batches(ROWS.schema, batches()))
        assert "the source is gone" in str(fails(STATUS.INVALID_DATA, statement.execute_update))
    fails(STATUS.NOT_FOUND, link.get_table_schema, None, None, "t")
