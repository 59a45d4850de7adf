"""What ends before its time, and what must be gone afterwards: tasks, memory, files, processes."""
import gc
import pathlib
import subprocess
import sys
import threading
import time

import pytest
from pyspark import InheritableThread

import child
import compare
import plans
import session
import suites

#: What must happen has that long.
PATIENCE_SECONDS = 120
#: Some 200 million pairs: seconds of work.
PAIRS = "SELECT /*+ MERGE(b) */ sum(a.l_quantity) AS s, count(*) AS c FROM lineitem a JOIN lineitem b ON a.l_linenumber = b.l_linenumber WHERE a.l_orderkey % 7 < 3"
#: A fast machine may be done before a task is killed.
ATTEMPTS = 5
#: Nobody waits for this one's end.
ENDLESS = "SELECT /*+ MERGE(b), MERGE(c) */ sum(a.l_quantity) FROM lineitem a JOIN lineitem b ON a.l_linenumber = b.l_linenumber JOIN lineitem c ON b.l_linenumber = c.l_linenumber"


@pytest.fixture(scope="module")
def tpch(spark):
    suites.register(spark, "tpch")
    return spark


def eventually(condition, what):
    """Waits until `condition` gives something, and gives that."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


def memory_in_use(spark):
    """Bytes that tasks of this JVM hold of Spark's execution memory, on the heap and off it."""
    jvm = spark.sparkContext._jvm
    # By the field: a look at SparkEnv's methods needs classes that PySpark does not have.
    field = jvm.java.lang.Class.forName("org.apache.spark.SparkEnv").getDeclaredField("_memoryManager")
    field.setAccessible(True)
    return field.get(spark.sparkContext._jsc.sc().env()).executionMemoryUsed()


def nothing_is_left(spark):
    eventually(lambda: memory_in_use(spark) == 0, "memory of tasks that are over is given back")
    sql = suites.queries("tpch")["q03"]
    assert compare.outcomes(session.run(spark, sql, native=False), session.run(spark, sql, native=True), 1e-9) is None


def running_tasks(spark):
    """(stage, task) of every task that runs now."""
    context = spark.sparkContext
    store = context._jsc.sc().statusStore()
    found = []
    for stage in context.statusTracker().getActiveStageIds():
        tasks = plans.sequence(store.taskList(stage, 0, 100))
        found += [(stage, task.taskId()) for task in tasks if task.status() == "RUNNING"]
    return found


class Background:
    """A query on a thread of its own."""

    def __init__(self, spark, sql, native):
        self.outcome = None

        def work():
            spark.sparkContext.setJobGroup("background", sql, interruptOnCancel=True)
            self.outcome = session.run(spark, sql, native)

        self.thread = InheritableThread(target=work, daemon=True)
        self.thread.start()

    def ended(self):
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive(), "the query did not end"
        return self.outcome


@pytest.fixture(params=[False, True], ids=["stock", "native"])
def native(request):
    return request.param


def test_operators_count_their_own_rows(tpch):
    """Also those that end in a shuffle, whose writing is a node of the native plan, but none of Spark's."""
    if session.jar() is None:
        pytest.skip("without the plugin")
    with session.configured(tpch, {session.ENABLED: "true"}):
        frame = tpch.sql("SELECT l_orderkey + l_linenumber AS x FROM lineitem WHERE l_quantity > 25 DISTRIBUTE BY x")
        kept = len(frame.collect())
    rows = {name: node.metrics().apply("numOutputRows").value() for name, node in plans.nodes(frame) if name in ("PlasmonProjectExec", "PlasmonFilterExec")}
    assert kept > 1000 and rows == {"PlasmonProjectExec": kept, "PlasmonFilterExec": kept}


def test_a_cancelled_query_ends_and_leaves_nothing(tpch, native):
    query = Background(tpch, ENDLESS, native)
    eventually(lambda: running_tasks(tpch), "tasks run")
    tpch.sparkContext.cancelJobGroup("background")
    outcome = query.ended()
    assert outcome.error and "cancel" in outcome.message, outcome.message
    eventually(lambda: not running_tasks(tpch), "tasks end")
    nothing_is_left(tpch)


def test_a_killed_task_is_done_again(tpch, native):
    expected = session.run(tpch, PAIRS, native=False)
    killed = 0
    for _ in range(ATTEMPTS):
        query = Background(tpch, PAIRS, native)
        while query.thread.is_alive() and not killed:
            for _, task in running_tasks(tpch):
                killed += tpch.sparkContext._jsc.sc().killTaskAttempt(task, True, "a test")
        assert compare.outcomes(expected, query.ended()) is None
        if killed:
            break
    assert killed, f"{ATTEMPTS} times the query was over before one of its tasks could be killed"
    nothing_is_left(tpch)


def test_a_failing_task_gives_sparks_error_and_leaves_nothing(tpch):
    sql = "SELECT l_orderkey, sum(l_quantity / (l_suppkey - 50)) AS s FROM lineitem GROUP BY l_orderkey"
    with session.configured(tpch, {"spark.sql.ansi.enabled": "true"}):
        stock, native = session.run(tpch, sql, native=False), session.run(tpch, sql, native=True)
    assert stock.error == "DIVIDE_BY_ZERO", stock.message
    assert compare.outcomes(stock, native) is None
    nothing_is_left(tpch)


def test_one_exchange_serves_two(tpch):
    half = "(SELECT l_orderkey AS k, sum(l_quantity) AS q FROM lineitem GROUP BY l_orderkey)"
    sql = f"SELECT a.k, a.q, b.q FROM {half} a JOIN {half} b ON a.k = b.k WHERE a.q > 200"
    with session.configured(tpch, {"spark.sql.autoBroadcastJoinThreshold": "-1"}):
        assert compare.outcomes(session.run(tpch, sql, native=False), session.run(tpch, sql, native=True)) is None
        with session.configured(tpch, {session.ENABLED: "true"}):
            frame = tpch.sql(sql)
            frame.collect()
            assert "ReusedExchangeExec" in plans.names(frame), plans.names(frame)


def test_shuffle_files_go_with_their_query(tpch, native):
    local = pathlib.Path(tpch.conf.get("spark.local.dir"))
    files = lambda: {path.name for path in local.glob("**/shuffle_*")}

    def gone(names):
        gc.collect()
        tpch.sparkContext._jvm.System.gc()
        return not files() & names

    before = files()
    with session.configured(tpch, {session.ENABLED: str(native).lower(), "spark.sql.autoBroadcastJoinThreshold": "-1"}):
        frame = tpch.sql("SELECT o_orderpriority, count(*) FROM orders JOIN lineitem ON o_orderkey = l_orderkey GROUP BY 1")
        frame.collect()
        made = files() - before
        assert made, "the query wrote no shuffle files"
        del frame
    eventually(lambda: gone(made), f"shuffle files are removed: {sorted(made)[:3]}")


def test_many_queries_at_once(tpch):
    names = ["q01", "q03", "q06", "q10", "q12", "q14"]
    expected = {name: session.run(tpch, suites.queries("tpch")[name], native=False) for name in names}
    actual = {}

    def work(name):
        actual[name] = session.run(tpch, suites.queries("tpch")[name], native=True)

    with session.configured(tpch, {session.ENABLED: "true"}):
        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert set(actual) == set(names)
    for name in names:
        assert compare.outcomes(expected[name], actual[name], 1e-9) is None, name
    nothing_is_left(tpch)


@pytest.mark.parametrize("name", [child.little_memory.__name__, child.local_cluster.__name__, child.connect.__name__])
def test_in_a_process_of_its_own(name):
    ended = subprocess.run([sys.executable, child.__file__, name], capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]
