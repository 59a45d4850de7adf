#!/usr/bin/env python3
"""Our Substrait plans of the TPC-H queries, run by other engines and looked at by the validator: one table of what came of it.

    substrait_plans.py --plasmon target/release/plasmon [--scale 0.1] [--queries 1,6]

DataFusion, DuckDB and Acero read the plans that `plasmon explain --format substrait` writes; their answers must be ours. Needs the packages of
substrait_requirements.txt. Exits with 1 when an answer differs, when the validator finds a plan invalid, or when an engine runs fewer plans
than it did when this was written.
"""

import argparse
import collections
import datetime
import decimal
import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
NUMBER = (decimal.Decimal, int, float)
# What each reads today; fewer is a failure.
AT_LEAST = {"datafusion": 19, "duckdb": 16, "acero": 1}
# That engine gives another answer every time it runs this plan; DataFusion and Plasmon agree on it, and DuckDB itself on the text.
UNSTEADY = {("duckdb", "17")}


def plain(value):
    if isinstance(value, (datetime.date, datetime.datetime)):
        return str(value)[:10]
    return value if value is None or isinstance(value, NUMBER) else str(value)


def unit(value):
    """One in the last place of a decimal: some round quotients, some cut them off."""
    return 10.0 ** value.as_tuple().exponent if isinstance(value, decimal.Decimal) else 0.0


def same(a, b):
    if isinstance(a, NUMBER) and isinstance(b, NUMBER):
        return abs(float(a) - float(b)) <= max(1e-9 * abs(float(b)), 1.000_001 * max(unit(a), unit(b)))
    return a == b


def rows(table):
    columns = [column.to_pylist() for column in table.columns]
    return [tuple(plain(v) for v in row) for row in zip(*columns)]


def agree(given, wanted):
    """The same rows in any order."""
    key = lambda row: tuple("" if v is None else f"{float(v):.4g}" if isinstance(v, NUMBER) else v for v in row)
    given, wanted = sorted(rows(given), key=key), sorted(rows(wanted), key=key)
    return len(given) == len(wanted) and all(len(g) == len(w) and all(map(same, g, w)) for g, w in zip(given, wanted))


def reason(error):
    """What a class of refusals has in common: the first sentence, without places and addresses."""
    text = " ".join(str(error).split()).replace("https://github.com/substrait-io/substrait/blob/main/extensions/", "")
    return text.removeprefix("DataFusion error: ").split(". ")[0].split(" This error signals")[0][:130]


class DataFusion:
    def __init__(self, data):
        import datafusion

        self.context = datafusion.SessionContext()
        for name in TABLES:
            self.context.register_parquet(name, str(data / f"{name}.parquet"))

    def run(self, plan):
        from datafusion import substrait

        logical = substrait.Consumer.from_substrait_plan(self.context, substrait.Serde.deserialize_bytes(plan))
        return self.context.create_dataframe_from_logical_plan(logical).to_arrow_table()


class Acero:
    def __init__(self, data):
        # Its readers know no string views.
        text = lambda t: pa.string() if t == pa.string_view() else t
        self.tables = {}
        for name in TABLES:
            table = pq.read_table(data / f"{name}.parquet")
            schema = pa.schema([pa.field(f.name, text(f.type), f.nullable) for f in table.schema])
            self.tables[name] = table.cast(schema)

    def run(self, plan):
        import pyarrow.substrait as substrait

        provider = lambda names, schema: self.tables[names[0]]
        return substrait.run_query(pa.py_buffer(plan), table_provider=provider).read_all()


class DuckDB:
    def __init__(self, data):
        self.folder = tempfile.TemporaryDirectory()
        self.file = f"{self.folder.name}/tables"
        # Tables, not views: from_substrait binds plans where views of files cannot be looked up.
        with self.connect(False) as connection:
            for name in TABLES:
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{data / name}.parquet'")

    def connect(self, read_only):
        import duckdb

        return duckdb.connect(self.file, read_only, config={"allow_unsigned_extensions": "true"})

    def run(self, plan):
        import duckdb_extension_substrait

        # A connection for each: some plans that it refuses leave it unusable.
        with self.connect(True) as connection:
            folder = pathlib.Path(duckdb_extension_substrait.__file__).parent
            connection.load_extension(str(next(folder.glob("**/substrait.duckdb_extension"))))
            return connection.from_substrait(plan).arrow()


VALIDATE = """
import sys, substrait_validator as validator
handle = validator.plan_to_result_handle(sys.stdin.buffer.read())
print({1: "valid", 0: "maybe", -1: "invalid"}[handle.check()])
print(next((line for line in handle.export_diagnostics().splitlines() if line.startswith("Error")), ""))
"""


def validity(plan):
    """`valid`, `maybe` or `invalid`, and the first thing that is wrong. In a process of its own: two packages may not bring one protocol."""
    told = subprocess.run([sys.executable, "-c", VALIDATE], input=plan, check=True, capture_output=True).stdout.decode()
    verdict, _, first = told.partition("\n")
    return verdict, reason(first)


class Tally:
    """What came of the plans in one engine."""

    def __init__(self, engine):
        self.engine, self.agree, self.differ, self.refused = engine, [], [], collections.defaultdict(list)

    def run(self, number, plan, wanted):
        try:
            agrees = agree(self.engine.run(plan), wanted)
        except BaseException as error:  # panics of native code are no Exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            self.refused[reason(error)].append(number)
            return "refuses"
        (self.agree if agrees else self.differ).append(number)
        return "agrees" if agrees else "DIFFERS"

    def lines(self, name):
        refused = sum(map(len, self.refused.values()))
        run = len(self.agree) + len(self.differ)
        yield f"{name:12}{run + refused:6}{run:6}{len(self.agree):7}{refused:9}"
        for told, numbers in sorted(self.refused.items(), key=lambda item: -len(item[1])):
            yield f"    {', '.join(numbers)}: {told}"


def ours(options, number):
    """Our plan of a query, and our answer."""
    define = "".join(f"CREATE EXTERNAL TABLE {t} STORED AS PARQUET LOCATION '{options.data / t}.parquet';" for t in TABLES)
    query = ROOT / f"benchmarks/tpch/queries/q{number:02}.sql"
    explain = [options.plasmon, "explain", "--data", str(options.data), "--format", "substrait", "-f", str(query)]
    plan = subprocess.run(explain, check=True, capture_output=True).stdout
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        answer = [options.plasmon, "sql", define + query.read_text(), "--format", "parquet", "--output", file.name]
        subprocess.run(answer, check=True, capture_output=True)
        return plan, pq.read_table(file.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plasmon", default=str(ROOT / "target/release/plasmon"))
    parser.add_argument("--scale", default="0.1", help="of the data, which is generated")
    parser.add_argument("--queries", default=",".join(str(n) for n in range(1, 23)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        subprocess.run([options.plasmon, "tpch", "generate", "--scale", options.scale, "--data", data], check=True, capture_output=True)
        options.data = pathlib.Path(data)
        failures = compare(options)
    if failures:
        sys.exit("\n".join(failures))


def compare(options):
    """Prints what comes of every plan, and gives what must not be."""
    tallies = {
        "datafusion": Tally(DataFusion(options.data)),
        "duckdb": Tally(DuckDB(options.data)),
        "acero": Tally(Acero(options.data)),
    }
    failures = []
    print(f"{'query':6}{'bytes':>6}  {'validator':10}" + "".join(f"{name:12}" for name in tallies))
    for number in options.queries.split(","):
        plan, wanted = ours(options, int(number))
        if not wanted.num_rows:
            failures.append(f"{number}: no rows to compare")
        verdict, first = validity(plan)
        if verdict == "invalid":
            failures.append(f"{number}: {first}")
        outcomes = [tally.run(number, plan, wanted) for tally in tallies.values()]
        print(f"{number:6}{len(plan):6}  {verdict:10}" + "".join(f"{o:12}" for o in outcomes) + first, flush=True)
    print(f"\n{'engine':12}{'plans':>6}{'run':>6}{'equal':>7}{'refused':>9}")
    whole = options.queries.count(",") == 21
    for name, tally in tallies.items():
        print("\n".join(tally.lines(name)))
        failures += [f"{number}: {name} gives another answer" for number in tally.differ if (name, number) not in UNSTEADY]
        if whole and len(tally.agree) < AT_LEAST[name]:
            failures.append(f"{name} agrees on {len(tally.agree)} plans, {AT_LEAST[name]} before")
    return failures


if __name__ == "__main__":
    main()
