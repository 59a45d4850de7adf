"""Sessions that a test cannot share, each in a process of its own: `child.py NAME`; the exit status tells whether it went well.

    little_memory    queries with far less off-heap memory than they want
    local_cluster    executors in JVMs of their own
    connect          a client of Spark Connect
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pyspark
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
    with server() as address:
        spark = SparkSession.builder.remote(address).getOrCreate()
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


@contextlib.contextmanager
def server():
    """A server of Spark Connect as deployments start it, with the plugin in it; its address. (One that PySpark starts by itself has no plugins but its own.)"""
    folder = tempfile.mkdtemp(prefix="plasmon-connect-")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    home = pathlib.Path(pyspark.__file__).parent
    settings = session.settings(folder) | {"spark.connect.grpc.binding.port": str(port)}
    command = [str(home / "bin/spark-submit"), "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    environment = os.environ | {"SPARK_HOME": str(home)}
    running = subprocess.Popen([*command, "spark-internal"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            with socket.socket() as asked:
                if asked.connect_ex(("localhost", port)) == 0:
                    break
            assert running.poll() is None, f"the server ended with {running.returncode}"
            time.sleep(0.1)
        yield f"sc://localhost:{port}"
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # Executors are started by Spark's scripts, which look for Python and Java on their own.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    {"little_memory": little_memory, "local_cluster": local_cluster, "connect": connect}[sys.argv[1]]()
