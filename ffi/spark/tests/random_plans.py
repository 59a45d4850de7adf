"""Random queries on random tables: Spark's operators against the plugin's.

    target/spark-4.3.0/bin/python ffi/spark/tests/random_plans.py [--queries N] [--seed S] [--seconds T]

Tables and queries are those of tests/oracle (random_data, random_sql) with what only Spark has (spark_grammar), put into Spark's dialect. Each round makes tables from its seed, draws settings of Spark's that
change plans, and asks `PER_ROUND` queries. A difference is cut to the smallest query and data that still show it and printed with the round's seed. The exit status
tells whether there was one. Queries that Spark refuses are counted and passed over.
"""
import argparse
import collections
import concurrent.futures
import contextlib
import copy
import itertools
import math
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

import compare
import session

sys.path.insert(0, str(session.ROOT / "tests/oracle"))
import random_data  # noqa: E402
import random_sql  # noqa: E402
import smallest  # noqa: E402
import spark_grammar  # noqa: E402

PER_ROUND = 40
#: Columns whose last digits depend on the order of evaluation.
RELATIVE_FUZZY = 1e-7
SHRINK_SECONDS = 60
#: What is said otherwise in Spark.
DIALECT = [
    (re.compile(r"\bAS VARCHAR\b"), "AS STRING"),
    (re.compile(r"\bstrpos\("), "instr("),
    (re.compile(r"string_agg\(([\w.]+), ',' ORDER BY [\w.]+\)"), r"string_agg(\1, ',') WITHIN GROUP (ORDER BY \1)"),
    (re.compile(r" GROUPS BETWEEN "), " RANGE BETWEEN "),
    (re.compile(r"(?<=[ (])'((?:[^']|'')*\\(?:[^']|'')*)'"), r"r'\1'"),
]
#: Settings that lead to other plans, or other meanings, of the same query; the first is drawn as often as all others together.
CHOICES = {
    "spark.sql.ansi.enabled": ["false", "true"],
    "spark.sql.session.timeZone": ["UTC", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe"],
    "spark.sql.timestampType": ["TIMESTAMP_LTZ", "TIMESTAMP_NTZ"],
    "spark.sql.decimalOperations.allowPrecisionLoss": ["true", "false"],
    "spark.sql.adaptive.enabled": ["true", "false"],
    "spark.sql.adaptive.coalescePartitions.enabled": ["true", "false"],
    "spark.sql.shuffle.partitions": ["3", "1", "2"],
    "spark.sql.autoBroadcastJoinThreshold": ["-1", "10485760"],
    "spark.sql.join.preferSortMergeJoin": ["true", "false"],
    "spark.sql.join.forceApplyShuffledHashJoin": ["false", "true"],
    "spark.sql.codegen.wholeStage": ["false", "false", "false", "true"],
    "spark.sql.subexpressionElimination.enabled": ["true", "false"],
    "spark.sql.sources.useV1SourceList": ["parquet", "parquet", ""],
    "spark.sql.parquet.filterPushdown": ["true", "false"],
    "spark.sql.optimizeNullAwareAntiJoin": ["true", "false"],
    "spark.sql.optimizer.windowGroupLimitThreshold": ["1000", "-1"],
    "spark.sql.optimizer.runtime.bloomFilter.enabled": ["true", "false"],
    "spark.sql.execution.topKSortFallbackThreshold": ["2147483632", "0"],
    "spark.sql.execution.replaceHashWithSortAgg": ["false", "true"],
    "spark.sql.execution.useObjectHashAggregateExec": ["true", "false"],
    "spark.sql.cbo.enabled": ["false", "true"],
    "spark.sql.constraintPropagation.enabled": ["true", "false"],
    "spark.sql.optimizer.excludedRules": ["", *(f"org.apache.spark.sql.catalyst.optimizer.{rule}" for rule in (
        "ConvertToLocalRelation", "PushDownPredicates", "ColumnPruning", "CombineFilters", "ConstantFolding", "LimitPushDown", "InferFiltersFromConstraints", "EliminateOuterJoin", "CollapseProject"))],
}
#: Where files are cut, they make about so many tasks each.
CUTS = 3
#: Files of this size are not cut.
WHOLE = "128m"
#: A query that takes Spark this long is passed over; the plugin may take longer, as other work may come between.
STOCK_SECONDS, NATIVE_SECONDS = 60, 240
CANCELLED = "SPARK_JOB_CANCELLED"
#: Of so many queries, the plan of one is looked at, which costs more than the query.
LOOKED_AT = 10


def spark_text(query):
    """The query as Spark's SQL has it."""
    sql = query.render(random_sql.OURS)
    for ours, theirs in DIALECT:
        sql = ours.sub(theirs, sql)
    return sql


class Round:
    """One seed: its tables as files, its settings, its queries."""

    def __init__(self, spark, seed):
        self.spark, self.seed, self.random = spark, seed, random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="plasmon-random-"))
        self.tables = [spark_grammar.table(self.random, f"r{i}") for i in range(4)]
        if self.random.random() < 0.1:
            random_data.enlarge(self.random, self.random.choice(self.tables))
        self.files = {table.name: self.random.choice([1, 1, 2, 5]) for table in self.tables}
        self.settings = {key: values[0] if self.random.random() < 0.5 else self.random.choice(values[1:]) for key, values in CHOICES.items()}
        self.settings["spark.sql.files.maxPartitionBytes"] = WHOLE
        self.cut = self.random.random() < 0.4
        self.grammar = spark_grammar.SparkGrammar(self.random, self.tables)
        self.loads, self.asked = 0, 0

    def load(self):
        """Writes the tables, each into as many files as it has, and names them."""
        self.loads += 1
        largest = 0
        for table in self.tables:
            place = self.folder / f"{table.name}-{self.loads}"
            place.mkdir()
            count = self.files[table.name]
            for i in range(count):
                part = copy.copy(table)
                part.rows = table.rows[i * len(table.rows) // count : (i + 1) * len(table.rows) // count]
                part.write(place / f"{i}.parquet")
                largest = max(largest, (place / f"{i}.parquet").stat().st_size)
            self.spark.read.parquet(str(place)).createOrReplaceTempView(table.name)
        self.spark.conf.set("spark.sql.files.maxPartitionBytes", largest // CUTS if self.cut else WHOLE)

    def check(self, query):
        """`same`, `refused`, `failed alike`, or what is wrong; and how many operators were the plugin's, where the plan was looked at."""
        sql, look = spark_text(query), self.asked % LOOKED_AT == 0
        self.asked += 1
        stock = self.ask(sql, False, STOCK_SECONDS)
        if not stock.planned or stock.error == CANCELLED:
            return f"refused: {stock.error}", None
        native = self.ask(sql, True, NATIVE_SECONDS, look)
        operators = native.native if look else None
        if stock.error and native.error:
            return ("failed alike" if stock.error == native.error else "failed otherwise"), operators
        stock.keys, stock.limited = [position - 1 for position, _ in query.order or []], query.limit is not None
        fuzzy = any(e.fuzzy for _, e in query.select)
        what = compare.outcomes(stock, native, RELATIVE_FUZZY if fuzzy else 0.0)
        return what or "same", operators

    def ask(self, sql, native, seconds, look=False):
        """Runs a query, and cancels it when it takes too long."""
        timer = threading.Timer(seconds, self.spark.interruptAll)
        timer.start()
        try:
            return session.run(self.spark, sql, native, fetch=session.exactly, look=look)
        finally:
            timer.cancel()

    def unusual(self):
        """The settings that are not the first of their choices."""
        return {key: self.spark.conf.get(key) for key, value in self.settings.items() if value != CHOICES.get(key, [None])[0]}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def good(what):
    return what == "same" or what.startswith(("refused", "failed"))


def kind_of(what):
    """What shrinking must keep: the difference's beginning, without numbers."""
    return re.sub(r"\d+", "", what)[:40]


def shrink(round, query, wanted):
    """The smallest query and data that still differ alike."""
    end = time.time() + SHRINK_SECONDS
    fails = lambda candidate: kind_of(round.check(candidate)[0]) == kind_of(wanted)
    def fails_loaded():
        round.load()
        return fails(query)

    query = smallest.smaller_query(query, spark_text, fails, end)
    for table in round.tables:
        if table.name in spark_text(query):
            smallest.fewer_rows(table, fails_loaded, end)
    round.load()
    return query


def report(round, query, original, what):
    """Prints a difference, at once: other rounds print too."""
    sql = spark_text(query)
    lines = [f"\n==== seed {round.seed}: {what}\n  settings: {round.unusual()}"]
    for table in round.tables:
        if table.name in sql:
            used = [i for i, c in enumerate(table.columns) if f".{c.name}" in sql] or [0]
            lines.append(f"  {table.name}, {round.files[table.name]} files: " + ", ".join(f"{table.columns[i].name} {table.columns[i].arrow_type}" for i in used) + f"   {table.storage}")
            lines += [f"     {[row[i] for i in used]}" for row in table.rows[:12]]
            if len(table.rows) > 12:
                lines.append(f"     … {len(table.rows)} rows")
    lines.append(f"  query: {sql}\n  before shrinking: {spark_text(original)}\n")
    print("\n".join(lines), end="", flush=True)


def run_round(spark, seed, count, counts, operators, shrinking=True):
    """Asks the queries of a seed; gives those that differ, with what is different."""
    round, found = Round(spark, seed), []
    with contextlib.closing(round), session.configured(spark, round.settings):
        round.load()
        for _ in range(count):
            query = round.grammar.query(2, top=True)
            what, native = round.check(query)
            operators["looked at"] += native is not None
            operators["native"] += bool(native)
            counts[what.partition(":")[0] if good(what) else "DIFFERENT"] += 1
            if good(what):
                continue
            found.append((spark_text(query), what))
            kept, smallest = [table.rows for table in round.tables], query
            if shrinking:
                smallest = shrink(round, query, what)
            report(round, smallest, query, what)
            for table, rows in zip(round.tables, kept):
                table.rows = rows
            if shrinking:
                round.load()
    return found


def run_rounds(spark, arguments, counts, operators):
    """Runs rounds in threads, each in a session of its own, until there is enough; gives the number of those that were run."""
    start, rounds = time.time(), 0
    enough = lambda: time.time() - start >= arguments.seconds or counts["DIFFERENT"] >= arguments.failures
    sizes = [min(PER_ROUND, arguments.queries - begun) for begun in range(0, arguments.queries, PER_ROUND)]

    def run(seed, size):
        found, native = collections.Counter(), collections.Counter()
        if not enough():
            run_round(spark.newSession(), seed, size, found, native, not arguments.no_shrink)
        return found, native

    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        for found, native in pool.map(run, itertools.count(arguments.seed), sizes):
            counts.update(found)
            operators.update(native)
            rounds += bool(found)
            if found:
                print(f"{sum(counts.values())} queries in {time.time() - start:.0f} s, {counts['DIFFERENT']} different", flush=True)
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no round after this long")
    parser.add_argument("--failures", type=int, default=20, help="begin no round after so many")
    parser.add_argument("--threads", type=int, default=3, help="rounds at once")
    parser.add_argument("--no-shrink", action="store_true")
    arguments = parser.parse_args()
    counts, operators = collections.Counter(), collections.Counter()
    with session.started(session.QUICK_JAVA, **session.QUICK) as spark:
        rounds = run_rounds(spark, arguments, counts, operators)
    print(f"{sum(counts.values())} queries, seeds {arguments.seed} to {arguments.seed + rounds - 1}, of those looked at {operators['native']} of {operators['looked at']} with operators of the plugin's: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    sys.exit(1 if counts["DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
