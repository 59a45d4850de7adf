"""Random queries on random tables: Spark's operators against the plugin's.

    target/spark-4.3.0/bin/python ffi/spark/tests/random_plans.py [--queries N] [--seed S] [--seconds T]

Tables and queries are those of tests/oracle (random_data, random_sql), put into Spark's dialect. Each round makes tables from its seed, draws settings of Spark's that
change plans, and asks `PER_ROUND` queries. A difference is cut to the smallest query and data that still show it and printed with the round's seed. The exit status
tells whether there was one. Queries that Spark refuses are counted and passed over.
"""
import argparse
import collections
import math
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

import compare
import session

sys.path.insert(0, str(session.ROOT / "tests/oracle"))
import random_data  # noqa: E402
import random_sql  # noqa: E402
import smallest  # noqa: E402

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
#: Settings that lead to other plans for the same query.
CHOICES = {
    "spark.sql.ansi.enabled": ["true", "false", "false"],
    "spark.sql.adaptive.enabled": ["true", "true", "false"],
    "spark.sql.shuffle.partitions": ["1", "3", "4"],
    "spark.sql.autoBroadcastJoinThreshold": ["-1", "-1", "10485760"],
    "spark.sql.join.preferSortMergeJoin": ["true", "false"],
    "spark.sql.files.maxPartitionBytes": ["200", "134217728"],
    "spark.sql.adaptive.coalescePartitions.enabled": ["true", "false"],
}


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
        self.tables = [random_data.table(self.random, f"r{i}") for i in range(4)]
        if self.random.random() < 0.3:
            random_data.enlarge(self.random, self.random.choice(self.tables))
        self.files = {table.name: self.random.choice([1, 1, 2, 5]) for table in self.tables}
        self.settings = {key: self.random.choice(values) for key, values in CHOICES.items()}
        self.grammar = random_sql.Grammar(self.random, self.tables)
        self.loads = 0
        self.load()

    def load(self):
        """Writes the tables, each into as many files as it has, and names them."""
        self.loads += 1
        for table in self.tables:
            place = self.folder / f"{table.name}-{self.loads}"
            place.mkdir()
            count = self.files[table.name]
            for i in range(count):
                part = random_data.Table(table.name, table.columns, table.rows[i * len(table.rows) // count : (i + 1) * len(table.rows) // count])
                part.storage = table.storage
                part.write(place / f"{i}.parquet")
            self.spark.read.parquet(str(place)).createOrReplaceTempView(table.name)

    def check(self, query):
        """`same`, `refused`, `failed alike`, or what is wrong; and how many operators were the plugin's."""
        sql = spark_text(query)
        with session.configured(self.spark, self.settings):
            stock = session.run(self.spark, sql, native=False, exact=True)
            if not stock.planned:
                return f"refused: {stock.error}", 0
            native = session.run(self.spark, sql, native=True, exact=True)
        if stock.error and native.error:
            return ("failed alike" if stock.error == native.error else "failed otherwise"), 0
        fuzzy = any(e.fuzzy for _, e in query.select)
        what = compare.outcomes(stock, native, RELATIVE_FUZZY if fuzzy else 0.0)
        return what or "same", native.native

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
    sql = spark_text(query)
    print(f"\n==== seed {round.seed}: {what}\n  settings: {round.settings}")
    for table in round.tables:
        if table.name in sql:
            used = [i for i, c in enumerate(table.columns) if f".{c.name}" in sql] or [0]
            print(f"  {table.name}, {round.files[table.name]} files: " + ", ".join(f"{table.columns[i].name} {table.columns[i].arrow_type}" for i in used) + f"   {table.storage}")
            for row in table.rows[:12]:
                print("    ", [row[i] for i in used])
            if len(table.rows) > 12:
                print(f"     … {len(table.rows)} rows")
    print(f"  query: {sql}\n  before shrinking: {spark_text(original)}", flush=True)


def run_round(spark, seed, count, counts, operators, shrinking=True):
    """Asks the queries of a seed; gives those that differ, with what is different."""
    round, found = Round(spark, seed), []
    try:
        for _ in range(count):
            query = round.grammar.query(2, top=True)
            what, native = round.check(query)
            operators["native"] += native > 0
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
    finally:
        round.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after this long")
    parser.add_argument("--failures", type=int, default=20, help="stop after so many")
    parser.add_argument("--no-shrink", action="store_true")
    arguments = parser.parse_args()
    counts, operators, seed, start = collections.Counter(), collections.Counter(), arguments.seed, time.time()
    with session.started() as spark:
        while sum(counts.values()) < arguments.queries and time.time() - start < arguments.seconds and counts["DIFFERENT"] < arguments.failures:
            run_round(spark, seed, min(PER_ROUND, arguments.queries - sum(counts.values())), counts, operators, not arguments.no_shrink)
            seed += 1
            print(f"{sum(counts.values())} queries in {time.time() - start:.0f} s, {counts['DIFFERENT']} different", flush=True)
    print(f"{sum(counts.values())} queries, seeds {arguments.seed} to {seed - 1}, {operators['native']} with operators of the plugin's: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    sys.exit(1 if counts["DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
