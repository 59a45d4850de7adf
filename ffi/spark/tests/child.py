"""Sessions that a test cannot share, each in a process of its own: `child.py NAME`; the exit status tells whether it went well.

    little_memory    queries with far less off-heap memory than they want
    local_cluster    executors in JVMs of their own
    connect          a client of Spark Connect
"""
import os
import pathlib
import sys

from pyspark.sql import SparkSession

import arrow_values
import compare
import session
import suites

#: A join with an aggregate, many groups, a sort, a sub-query.
QUERIES = ["q03", "q09", "q13", "q18", "q21"]


def compared(spark, names):
    """Runs queries of TPC-H by both; gives how many operators were the plugin's."""
    native = 0
    for name in names:
        sql = suites.queries("tpch")[name]
        expected, actual = session.run(spark, sql, native=False), session.run(spark, sql, native=True)
        assert expected.error is None, expected.message
        different = compare.outcomes(expected, actual, 1e-9)
        assert different is None, f"{name}: {different}"
        native += actual.native
    return native


def little_memory():
    # Spark gives a task half of what there is; 16 MB are less than one batch of each operator would like to hold.
    with session.started(spark__memory__offHeap__size="16m") as spark:
        suites.register(spark, "tpch")
        native = compared(spark, QUERIES)
    assert native or session.jar() is None, "nothing was native"


def local_cluster():
    with session.started(spark__master="local-cluster[2,1,1024]", spark__executor__memory="1024m", spark__memory__offHeap__size="512m") as spark:
        suites.register(spark, "tpch")
        native = compared(spark, QUERIES)
    assert native or session.jar() is None, "nothing was native"


def connect():
    import tempfile
    folder = tempfile.mkdtemp(prefix="plasmon-connect-")
    # The server takes its settings from where a deployment has them: a client cannot set those of the process.
    defaults = "\n".join(f"{key} {value}" for key, value in session.settings(folder).items() if key != "spark.master")
    pathlib.Path(folder, "spark-defaults.conf").write_text(defaults + "\n")
    os.environ["SPARK_CONF_DIR"] = folder
    spark = SparkSession.builder.remote("local[2]").getOrCreate()
    try:
        suites.register(spark, "tpch")
        for name in QUERIES:
            sql, answers = suites.queries("tpch")[name], []
            for enabled in ("false", "true"):
                spark.conf.set(session.ENABLED, enabled)
                frame = spark.sql(sql)
                answers.append(arrow_values.rows(frame.toArrow()))
                plan = frame._explain_string(extended=False)
                assert ("Plasmon" in plan) == (enabled == "true" and session.jar() is not None), plan
            different = compare.difference(*answers, relative=1e-9)
            assert different is None, f"{name}: {different}"
    finally:
        spark.stop()


if __name__ == "__main__":
    # Executors are started by Spark's scripts, which look for Python and Java on their own.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    {"little_memory": little_memory, "local_cluster": local_cluster, "connect": connect}[sys.argv[1]]()
