"""The queries of TPC-H and TPC-DS, and their tables, which tests/run makes."""
import functools
import pathlib
import re

from session import ROOT, TARGET

#: Folder of the queries, folder of the data.
PLACES = {
    "tpch": (ROOT / "benchmarks/tpch/queries", TARGET / "data/tpch-sf0.01"),
    "tpcds": (ROOT / "tests/tpcds/queries", TARGET / "data/tpcds-sf0.01"),
}


@functools.cache
def queries(suite):
    """Name → text of every query. Names in quotes are those of columns, which Spark quotes by backticks."""
    folder, _ = PLACES[suite]
    found = {path.stem: path.read_text().strip().rstrip(";").replace('"', "`") for path in sorted(folder.glob("*.sql"))}
    assert found, f"{folder} has no queries"
    return found


def register(spark, suite, data=None):
    """Makes the suite's tables known to a session."""
    folder = pathlib.Path(data or PLACES[suite][1])
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise SystemExit(f"{folder} has no tables: tests/run makes them")
    for file in files:
        spark.read.parquet(str(file)).createOrReplaceTempView(re.sub(r"\W", "_", file.stem))
