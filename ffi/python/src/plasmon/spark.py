"""Plasmon inside Spark: one call configures a session, another tells what was left to Spark.

>>> import plasmon.spark                                                        # doctest: +SKIP
>>> builder = plasmon.spark.configure(SparkSession.builder, off_heap="4g")      # doctest: +SKIP
>>> spark = builder.getOrCreate()                                               # doctest: +SKIP
>>> plasmon.spark.fallback_report(spark.sql("SELECT 1"))                        # doctest: +SKIP
[]
"""
import os
import pathlib
import typing

if typing.TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Names another jar than the one in the package: for those who build it.
_OVERRIDE = "PLASMON_SPARK_JAR"


class Fallback(typing.NamedTuple):
    """A node of a plan that Spark runs itself."""

    #: Its name in the plan.
    node: str
    #: One of a few stable codes, such as ``expression.unsupported``.
    reason: str
    #: The same for people.
    detail: str


def jar_path() -> pathlib.Path:
    """The jar with the plugin and its native library, for Spark 4.0 and newer."""
    named = os.environ.get(_OVERRIDE)
    found = [pathlib.Path(named)] if named else sorted(pathlib.Path(__file__).parent.glob("plasmon-spark_*.jar"))
    if not found or not found[0].is_file():
        raise ImportError(f"the Spark plugin's jar is not in this package\nhint: set {_OVERRIDE} to where it is")
    return found[0].resolve()


def configure(builder: "SparkSession.Builder", off_heap: str = "2g") -> "SparkSession.Builder":
    """Has the session that ``builder`` makes run queries natively; ``off_heap`` is the memory of an executor that native operators may use.

    Jars and plugins that were set before by other means are replaced: name them all in one place then, and leave this out.
    """
    return (
        builder.config("spark.jars", str(jar_path()))
        .config("spark.plugins", "dev.plasmon.spark.PlasmonPlugin")
        .config("spark.memory.offHeap.enabled", "true")
        .config("spark.memory.offHeap.size", off_heap)
    )


def fallback_report(frame: "DataFrame") -> list[Fallback]:
    """The nodes of a frame's plan that are left to Spark, with one reason each; of an adaptive plan, as far as it has run."""
    report = frame.sparkSession._jvm.dev.plasmon.spark.FallbackReport.of(frame._jdf.queryExecution().executedPlan())
    return [Fallback(reason.node(), reason.reason(), reason.detail()) for reason in report]
