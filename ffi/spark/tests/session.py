"""A Spark session with the plugin in it, and queries that run by Spark's own operators or by the plugin's, as one setting tells."""
import contextlib
import dataclasses
import logging
import os
import pathlib
import re
import shutil
import tempfile

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import arrow_values
import plans

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
#: Whether a query's operators are the plugin's; read anew for every query.
ENABLED = "spark.plasmon.enabled"
#: How an error condition stands in the text of an exception.
CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]")

#: For thousands of small queries: two thirds of the JVM's time went into compiling to machine code what runs only once. The rest is what nobody reads.
QUICK = {
    "spark.sql.ui.explainMode": "simple", "spark.sql.maxPlanStringLength": "0", "spark.sql.ui.retainedExecutions": "1", "spark.ui.retainedJobs": "1", "spark.ui.retainedStages": "1", "spark.ui.retainedTasks": "1",
    "spark.rdd.compress": "false", "spark.shuffle.compress": "false", "spark.broadcast.compress": "false",
}
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def jar():
    """The plugin's jar; None when PLASMON_SPARK_JAR is `none`, which holds Spark against itself and so tests the tests."""
    told = os.environ.get("PLASMON_SPARK_JAR")
    if told:
        return None if told == "none" else pathlib.Path(told).resolve(strict=True)
    found = [path for path in (TARGET / "spark").glob("plasmon-spark_2.13-*.jar") if re.fullmatch(r"[\d.]+", path.stem.rpartition("-")[2])]
    if len(found) != 1:
        raise SystemExit(f"{TARGET}/spark: {len(found)} jars of the plugin, where one is needed: mvn -f ffi/pom.xml package, or name one in PLASMON_SPARK_JAR")
    return found[0]


def settings(folder):
    """What every session has: two threads, little and equal memory, all files below `folder`, and the plugin."""
    conf = {
        "spark.master": "local[2]",
        "spark.driver.memory": "4g",
        "spark.memory.offHeap.enabled": "true",
        "spark.memory.offHeap.size": "2g",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.local.dir": f"{folder}/local",
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={folder}",
        "spark.driver.host": "localhost",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Tasks fail here on purpose, and each failure is a page.
        "spark.log.level": os.environ.get("PLASMON_SPARK_LOG", "OFF"),
        # A task that ends with memory that it took from Spark and has not given back fails.
        "spark.unsafe.exceptionOnMemoryLeak": "true",
    }
    if jar():
        conf |= {"spark.jars": str(jar()), "spark.plugins": "dev.plasmon.spark.PlasmonPlugin"}
    return conf


@contextlib.contextmanager
def started(java="", **more):
    """A session with `settings`, what `more` adds (dots written as two underscores) and options of the JVM's; its files go when it ends."""
    folder = tempfile.mkdtemp(prefix="plasmon-spark-")
    builder = SparkSession.builder.appName("plasmon")
    conf = settings(folder) | {key.replace("__", "."): value for key, value in more.items()}
    conf["spark.driver.extraJavaOptions"] += " " + java
    for key, value in conf.items():
        builder = builder.config(key, value)
    # PySpark's own log of errors, which are compared here.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def configured(spark, conf):
    """Runtime settings for a while."""
    before = {key: spark.conf.get(key, None) for key in conf}
    for key, value in conf.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)


@dataclasses.dataclass
class Outcome:
    """What became of a query: rows or an error condition, and how it ran."""

    #: Tuples, in the order in which they came; None when it failed.
    rows: list | None
    #: Spark's error condition, such as DIVIDE_BY_ZERO; None when it went well.
    error: str | None
    #: What the exception said.
    message: str
    #: Operators of the executed plan that are not the plugin's, with how often each is there.
    foreign: dict
    #: How many of its operators are the plugin's.
    native: int
    #: Positions of the columns by which the rows are ordered, most significant first.
    keys: list
    #: Whether a limit cut the rows.
    limited: bool
    #: Whether Spark took the query; if not, the error is one of its text.
    planned: bool = True
    #: Why operators were left to Spark.
    reasons: list = dataclasses.field(default_factory=list)


def condition(error):
    """The error condition of an exception of PySpark's, or of one of Java's that PySpark has no name for."""
    told = error.getCondition() if isinstance(error, PySparkException) else None
    if told and not told.startswith("_"):
        return told
    found = CONDITION.search(str(error))
    return found[1] if found else type(error).__name__


def collected(frame):
    """The rows of a frame as Python objects, which know no year 0."""
    return [tuple(row) for row in frame.collect()]


def exactly(frame):
    """The rows of a frame with values as Spark has them in memory."""
    return arrow_values.rows(frame.toArrow())


def run(spark, sql, native, fetch=collected, look=True):
    """Runs a query by the plugin's operators (`native`) or by Spark's, and gets the rows of its frame by `fetch`.
    Without `look` the plan is not looked at, which takes longer than a small query: the outcome has no operators and no order."""
    with configured(spark, {ENABLED: str(native).lower()}):
        frame = None
        try:
            frame = spark.sql(sql)
            rows = fetch(frame)
        except (PySparkException, Py4JJavaError) as error:
            return Outcome(None, condition(error), str(error), *counted(frame if look else None), [], False, frame is not None)
        if not look:
            return Outcome(rows, None, "", {}, 0, [], False)
        keys, limited = plans.order(frame)
        outcome = Outcome(rows, None, "", *counted(frame), keys, limited)
        if native and outcome.foreign and jar():
            outcome.reasons = plans.reasons(frame)
        return outcome


def counted(frame):
    return plans.foreign_and_native(frame) if frame is not None else ({}, 0)
