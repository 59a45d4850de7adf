"""Where rows come from and where they go: layouts of files, tables that prune at run time, rows of other operators, writes, streams."""
import collections

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import compare
import plans
import session

ROWS = 5000


@pytest.fixture(scope="module")
def tables(spark, tmp_path_factory):
    """Views: facts (partitioned by day and kind), days, and facts in other formats."""
    folder = tmp_path_factory.mktemp("sources")
    facts = spark.range(ROWS).selectExpr(
        "id", "cast(id % 37 AS int) AS day", "concat('k', id % 3) AS kind", "cast(id * 7 % 1000 AS decimal(9,2)) / 8 AS price", "if(id % 11 = 0, NULL, concat('name ', id % 50)) AS name",
        "array(id, id + 1) AS list", "named_struct('x', cast(id % 5 AS int), 'y', concat('y', id % 4)) AS pair", "map('a', id) AS pairs",
        "CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN array() ELSE array(id, NULL, id % 7) END AS ragged", "CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN map() ELSE map('a', id, 'b', NULL) END AS keyed",
        "CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN array() ELSE array(named_struct('x', id, 'y', concat('y', id % 3)), NULL) END AS structs",
    )
    days = spark.range(37).selectExpr("cast(id AS int) AS day", "concat('week ', id div 7) AS week")
    with session.configured(spark, {session.ENABLED: "false"}):
        facts.repartition(3).write.partitionBy("day", "kind").parquet(f"{folder}/facts")
        days.write.parquet(f"{folder}/days")
        flat = facts.drop("list", "pair", "pairs", "ragged", "keyed", "structs")
        flat.write.csv(f"{folder}/csv", header=True)
        flat.write.orc(f"{folder}/orc")
        flat.write.json(f"{folder}/json")
        flat.repartition(2).write.bucketBy(4, "id").sortBy("id").mode("overwrite").saveAsTable("bucketed")
    spark.read.parquet(f"{folder}/facts").createOrReplaceTempView("facts")
    spark.read.parquet(f"{folder}/days").createOrReplaceTempView("days")
    for form in ("orc", "json"):
        spark.read.format(form).load(f"{folder}/{form}").createOrReplaceTempView(f"facts_{form}")
    spark.read.csv(f"{folder}/csv", header=True, inferSchema=True).createOrReplaceTempView("facts_csv")
    spark.range(ROWS).selectExpr("id", "id % 10 AS g").createOrReplaceTempView("numbers")
    yield folder
    spark.sql("DROP TABLE bucketed")


def same(spark, sql, relative=0.0):
    """Both outcomes are equal; gives the plugin's."""
    stock, native = session.run(spark, sql, native=False), session.run(spark, sql, native=True)
    assert stock.error is None, stock.message
    assert compare.outcomes(stock, native, relative) is None
    return native


ADAPTIVE = pytest.mark.parametrize("adaptive", ["true", "false"], ids=["adaptive", "static"])

QUERIES = {
    "partition columns": "SELECT day, kind, count(*), sum(price) FROM facts WHERE day < 9 AND kind <> 'k1' GROUP BY day, kind",
    "partition columns alone": "SELECT DISTINCT kind FROM facts",
    "no columns": "SELECT count(*) FROM facts",
    "dynamic pruning, broadcast": "SELECT kind, sum(price) FROM facts JOIN days USING (day) WHERE week = 'week 2' GROUP BY kind",
    "dynamic pruning, shuffled": "SELECT /*+ MERGE(days) */ kind, sum(price) FROM facts JOIN days USING (day) WHERE week = 'week 2' GROUP BY kind",
    "pruning by a sub-query": "SELECT count(*), max(name) FROM facts WHERE day = (SELECT max(day) FROM days WHERE week = 'week 3')",
    "names of files": "SELECT count(DISTINCT f), count(*) FROM (SELECT input_file_name() AS f FROM facts)",
    "nested columns": "SELECT pair.y, sum(pair.x), max(list[1]), max(pairs['a']), count(list) FROM facts GROUP BY pair.y",
    "nested values as they are": "SELECT id, list, pair, pairs FROM facts WHERE id % 100 = 3",
    "exploded": "SELECT e % 3 AS g, count(*) FROM facts LATERAL VIEW explode(list) AS e GROUP BY 1",
    "exploded where it is": "SELECT id, explode(list) AS e FROM facts WHERE id < 900",
    "exploded with positions": "SELECT id, p, e FROM facts LATERAL VIEW posexplode(ragged) v AS p, e WHERE id % 3 = 1",
    "exploded, rows without elements, too": "SELECT id, p, e, kind FROM facts LATERAL VIEW OUTER posexplode(ragged) v AS p, e",
    "an exploded map": "SELECT kind, k, count(v), sum(v) FROM facts LATERAL VIEW explode(keyed) v AS k, v GROUP BY kind, k",
    "an exploded map, rows without entries, too": "SELECT id, p, k, v FROM facts LATERAL VIEW OUTER posexplode(keyed) v AS p, k, v WHERE id < 1000",
    "structs as rows": "SELECT id, x, y FROM facts LATERAL VIEW inline(structs) v AS x, y",
    "structs as rows, rows without any, too": "SELECT y, count(*), sum(x) FROM facts LATERAL VIEW OUTER inline(structs) v AS x, y GROUP BY y",
    "exploded twice": "SELECT a, b, count(*) FROM facts LATERAL VIEW explode(ragged) v AS a LATERAL VIEW explode(map_keys(keyed)) w AS b WHERE id < 500 GROUP BY a, b",
    "exploded words": "SELECT w, count(*) FROM facts LATERAL VIEW explode(split(name, ' ')) v AS w GROUP BY w",
    "csv": "SELECT kind, count(name), sum(price) FROM facts_csv GROUP BY kind",
    "orc": "SELECT kind, count(name), sum(price) FROM facts_orc GROUP BY kind",
    "json": "SELECT kind, count(name), max(price) FROM facts_json GROUP BY kind",
    "buckets": "SELECT a.kind, count(*) FROM bucketed a JOIN bucketed b ON a.id = b.id WHERE b.price > 3 GROUP BY a.kind",
    "rows of Spark's own": "SELECT g, sum(id), kind, count(*) FROM numbers JOIN facts USING (id) GROUP BY g, kind",
    "literal rows": "SELECT v.b, count(*) FROM facts JOIN (VALUES (1, 'x'), (2, NULL), (NULL, 'z')) AS v(a, b) ON facts.day = v.a GROUP BY v.b",
    "a sample": "SELECT count(*), sum(id) FROM facts TABLESAMPLE (20 PERCENT) REPEATABLE (7)",
    "limits": "SELECT count(*) FROM (SELECT id FROM facts LIMIT 1234)",
    "top": "SELECT id, price FROM facts ORDER BY price DESC, id LIMIT 20 OFFSET 5",
    "repartitioned": "SELECT /*+ REPARTITION(5, kind) */ kind, id FROM facts WHERE id < 100",
    "range partitions": "SELECT /*+ REPARTITION_BY_RANGE(3, id) */ id, price FROM facts WHERE id < 100",
    "round robin": "SELECT /*+ REPARTITION(3) */ id, price FROM facts WHERE id < 100",
    "cube": "SELECT day % 3 AS d, kind, grouping_id(), count(*), sum(price) FROM facts GROUP BY CUBE (day % 3, kind)",
    "pivot": "SELECT * FROM (SELECT day % 2 AS d, kind, price FROM facts) PIVOT (sum(price) FOR kind IN ('k0', 'k1'))",
    "windows": "SELECT id, row_number() OVER w, lag(price) OVER w, sum(price) OVER v FROM facts WHERE day < 3 WINDOW w AS (PARTITION BY kind ORDER BY id), v AS (PARTITION BY kind ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "set operations": "(SELECT day, kind FROM facts WHERE day < 9 EXCEPT SELECT day, 'k1' FROM days) UNION ALL (SELECT day, kind FROM facts INTERSECT SELECT day, 'k0' FROM days)",
    "null-aware anti join": "SELECT count(*) FROM facts WHERE name NOT IN (SELECT name FROM facts WHERE day = 1 AND name IS NOT NULL)",
    "existence join": "SELECT count(*) FROM facts WHERE day = 3 OR EXISTS (SELECT 1 FROM days WHERE days.day = facts.day AND week = 'week 1')",
    "cross join": "SELECT count(*), sum(a.day * b.day) FROM days a CROSS JOIN days b WHERE a.day + b.day > 30",
    "collations": "SELECT upper(name) COLLATE UTF8_LCASE AS n, count(*) FROM facts GROUP BY n",
    "a union of both": "SELECT id, 'file' AS o FROM facts WHERE id < 50 UNION ALL SELECT id, 'range' FROM numbers WHERE id < 50",
}


@pytest.mark.parametrize("name", QUERIES)
@ADAPTIVE
def test_same_as_spark(spark, not_native, tables, name, adaptive):
    with session.configured(spark, {"spark.sql.adaptive.enabled": adaptive}):
        not_native.check("sources", name, same(spark, QUERIES[name]))


PRUNED = {
    "by a table": "SELECT kind, sum(price) FROM facts JOIN days USING (day) WHERE week = 'week 2' GROUP BY kind",
    "by a semi join": "SELECT kind, sum(price) FROM facts WHERE day IN (SELECT day FROM days WHERE week = 'week 4') GROUP BY kind",
    "by an expression": "SELECT kind, sum(price) FROM facts JOIN days ON facts.day = days.day + 1 WHERE week = 'week 2' GROUP BY kind",
    "by a table that is joined itself": "SELECT /*+ BROADCAST(d) */ kind, sum(price) FROM facts JOIN (SELECT /*+ MERGE(b) */ a.day FROM days a JOIN days b USING (day) WHERE a.week = 'week 2') d USING (day) GROUP BY kind",
    "in a union": "SELECT count(*) FROM (SELECT day FROM facts WHERE kind = 'k1' UNION ALL SELECT day FROM facts) JOIN days USING (day) WHERE week = 'week 1'",
}


@pytest.mark.parametrize("name", PRUNED)
@ADAPTIVE
def test_partitions_are_pruned_at_run_time(spark, tables, name, adaptive):
    """By the table of a join that is native, as Spark prunes them, and the table is made once."""
    read, ran = [], []
    with session.configured(spark, {"spark.sql.adaptive.enabled": adaptive}):
        for enabled in ("false", "true"):
            with session.configured(spark, {session.ENABLED: enabled}):
                frame = spark.sql(PRUNED[name])
                frame.collect()
                read.append(sorted(files_read(frame)))
                ran.append(collections.Counter(plans.names(frame)))
        same(spark, PRUNED[name])
    assert read[0] == read[1]
    if session.jar():
        assert ran[1]["PlasmonBroadcastKeysExec"] and ran[1]["PlasmonBroadcastExchangeExec"] == ran[0]["BroadcastExchangeExec"], ran
        assert not [found for found in ran[1] if found.startswith("Broadcast") and not found.endswith("QueryStageExec")], ran


def files_read(frame):
    """How many files each scan has read, be it native or Spark's."""
    for name, node in plans.nodes(frame):
        scan = node.child() if name == "PlasmonScanExec" else node
        if plans.name_of(scan) == "FileSourceScanExec":
            yield scan.metrics().apply("numFiles").value()


CONSTANTS = {
    "values in a union": "SELECT id, name FROM facts WHERE id < 5 UNION ALL VALUES (7L, 'a'), (8L, NULL)",
    "one row in a union": "SELECT sum(id), max(name) FROM (SELECT id, name FROM facts WHERE id < 5 UNION ALL SELECT 1L, 'x')",
    "values as a table": "SELECT v.b, count(*) FROM facts JOIN (VALUES (1, 'x'), (2, NULL), (NULL, 'z')) AS v(a, b) ON facts.day = v.a GROUP BY v.b",
    "values that are shuffled": "SELECT /*+ MERGE(v) */ v.b, count(*) FROM facts JOIN (VALUES (1, 'x'), (2, NULL)) AS v(a, b) ON facts.day = v.a GROUP BY v.b",
    "one row as a table": "SELECT count(*), min(m) FROM days CROSS JOIN (SELECT (SELECT max(day) FROM days) AS m)",
    "one row without columns": "SELECT count(*) FROM (SELECT 1 FROM days UNION ALL SELECT 2)",
    "values that are not to be": "SELECT count(*) FROM days WHERE day NOT IN (SELECT * FROM VALUES (2), (4))",
}


@pytest.mark.parametrize("name", CONSTANTS)
@ADAPTIVE
def test_constants_are_native_beside_files(spark, tables, name, adaptive):
    with session.configured(spark, {"spark.sql.adaptive.enabled": adaptive}):
        native = same(spark, CONSTANTS[name])
    assert session.jar() is None or not native.foreign, native.reasons


@pytest.mark.parametrize("sql", ["SELECT 1", "VALUES (1, 'a'), (2, NULL)", "SELECT a + 1 FROM VALUES (1), (2) AS v(a) WHERE a > 1"])
def test_constants_alone_are_left_to_spark(spark, sql):
    assert same(spark, sql).native == 0


@pytest.mark.parametrize("hint", ["BROADCAST(other)", "BROADCAST(days)", "MERGE(other)"])
@pytest.mark.parametrize("other", ["cached", "facts_orc"])
def test_batches_of_sparks_own_enter_as_rows(spark, tables, other, hint):
    spark.sql("CACHE TABLE cached AS SELECT id, day FROM facts")
    try:
        same(spark, f"SELECT /*+ {hint} */ week, count(*), sum(id) FROM days JOIN {other} AS other USING (day) GROUP BY week")
    finally:
        spark.sql("UNCACHE TABLE cached")
        spark.sql("DROP VIEW cached")


def test_python_functions_in_the_middle(spark, tables):
    from pyspark.sql.types import LongType
    spark.udf.register("twice", lambda v: None if v is None else 2 * v, LongType())
    same(spark, "SELECT kind, sum(twice(id)) FROM facts WHERE twice(day) < 20 GROUP BY kind")


def test_cached_tables(spark, tables):
    spark.sql("CACHE TABLE cached AS SELECT day, kind, price FROM facts WHERE day < 20")
    try:
        same(spark, "SELECT kind, count(*), sum(price) FROM cached WHERE day > 3 GROUP BY kind")
    finally:
        spark.sql("UNCACHE TABLE cached")
        spark.sql("DROP VIEW cached")


def test_a_table_cached_by_the_plugin_reads_the_same(spark, tables):
    answers = []
    for enabled in ("false", "true"):
        with session.configured(spark, {session.ENABLED: enabled}):
            spark.sql("CACHE TABLE cached AS SELECT day, kind, price, name FROM facts WHERE day < 20")
            answers.append([tuple(row) for row in spark.sql("SELECT * FROM cached").collect()])
            spark.sql("UNCACHE TABLE cached")
            spark.sql("DROP VIEW cached")
    assert compare.difference(*answers) is None


@pytest.mark.parametrize("form", ["parquet", "orc", "csv"])
def test_what_is_written_is_the_same(spark, tables, form, tmp_path):
    for enabled in ("false", "true"):
        with session.configured(spark, {session.ENABLED: enabled}):
            written = spark.sql("SELECT id, day, kind, price, name FROM facts WHERE day < 20 DISTRIBUTE BY kind SORT BY id")
            written.write.partitionBy("kind").format(form).save(f"{tmp_path}/{enabled}")
    with session.configured(spark, {session.ENABLED: "false"}):
        expected, actual = ([tuple(row) for row in spark.read.format(form).load(f"{tmp_path}/{enabled}").collect()] for enabled in ("false", "true"))
    assert expected and compare.difference(expected, actual) is None


def test_files_of_different_schemas(spark, tmp_path):
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["z", None], "c": pa.array([1.5, None])}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"c": pa.array([], pa.float64())}), tmp_path / "3.parquet")
    spark.read.option("mergeSchema", "true").parquet(str(tmp_path)).createOrReplaceTempView("mixed")
    assert same(spark, "SELECT a, b, c FROM mixed").rows
    same(spark, "SELECT count(a), count(b), count(c), count(*) FROM mixed WHERE b <> 'x' OR b IS NULL")


def test_upper_and_lower_case_names(spark, tmp_path):
    pq.write_table(pa.table({"Key": [1, 2, 3], "VALUE": ["a", "b", "c"]}), tmp_path / "1.parquet")
    spark.read.schema("key BIGINT, value STRING").parquet(str(tmp_path)).createOrReplaceTempView("cases")
    assert same(spark, "SELECT key, value FROM cases WHERE key > 1").rows == [(2, "b"), (3, "c")]


def test_a_file_that_is_not_there_any_more(spark, tmp_path):
    for i in range(2):
        pq.write_table(pa.table({"a": [i]}), tmp_path / f"{i}.parquet")
    spark.read.parquet(str(tmp_path)).createOrReplaceTempView("vanishing")
    (tmp_path / "1.parquet").unlink()
    stock, native = (session.run(spark, "SELECT sum(a) FROM vanishing", native) for native in (False, True))
    assert stock.error and native.error, (stock.rows, native.rows)
    with session.configured(spark, {"spark.sql.files.ignoreMissingFiles": "true"}):
        same(spark, "SELECT sum(a) FROM vanishing")


def test_a_broken_file(spark, tmp_path):
    for i in range(2):
        pq.write_table(pa.table({"a": list(range(100))}), tmp_path / f"{i}.parquet")
    spark.read.parquet(str(tmp_path)).createOrReplaceTempView("broken")
    (tmp_path / "1.parquet").write_bytes(b"PAR1 this is no Parquet file PAR1")
    stock, native = (session.run(spark, "SELECT sum(a) FROM broken", native) for native in (False, True))
    assert stock.error and native.error, (stock.rows, native.rows)
    with session.configured(spark, {"spark.sql.files.ignoreCorruptFiles": "true"}):
        same(spark, "SELECT sum(a) FROM broken")


def test_streams_are_left_to_spark(spark, tables, tmp_path):
    pq.write_table(pa.table({"a": [1, 2, 3, 3]}), tmp_path / "1.parquet")
    with session.configured(spark, {session.ENABLED: "true", "spark.sql.streaming.checkpointLocation": f"{tmp_path}/checkpoint"}):
        stream = spark.readStream.schema("a BIGINT").parquet(str(tmp_path)).groupBy("a").count()
        query = stream.writeStream.format("memory").queryName("counted").outputMode("complete").trigger(availableNow=True).start()
        assert query.awaitTermination(120)
    assert sorted(tuple(row) for row in spark.sql("SELECT a, count FROM counted").collect()) == [(1, 1), (2, 1), (3, 2)]


def test_explain_names_the_operators(spark, tables):
    if session.jar() is None:
        pytest.skip("without the plugin there is nothing to see")
    with session.configured(spark, {session.ENABLED: "true"}):
        frame = spark.sql(QUERIES["partition columns"])
        frame.collect()
        assert any(name.startswith("Plasmon") for name in plans.names(frame))
        assert "Plasmon" in frame._jdf.queryExecution().executedPlan().toString()
