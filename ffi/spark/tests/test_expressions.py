"""Every expression over values at the edges of its types: Spark's answer, or its error, by Spark's operators and by the plugin's."""
import pytest

import compare
import edge_values
import expression_cases
import session

#: How often a table is cut in halves to find rows that fail alone.
RUNS_MAX = 11
ZONES = {"times": ["UTC", "America/Los_Angeles"], "casts": ["UTC", "America/Los_Angeles"]}
#: Sums and powers: what the hardware's or the library's last digit may be.
RELATIVE = {"aggregates": 1e-9, "mathematics": 1e-14}


def pytest_generate_tests(metafunc):
    cases = [(group, text, types) for group in expression_cases.GROUPS for text, types in expression_cases.cases(group)]
    cases = cases[::metafunc.config.getoption("--sample")]
    metafunc.parametrize("group, text, types", cases, ids=[f"{g}-{expression_cases.named(text, types)}" for g, text, types in cases])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("edges")


def query(group, text, path, low, high, count):
    """The expressions over rows `low` to `high` of a table, each under a name of its own."""
    select = ", ".join(f"{part} AS x{i}" for i, part in enumerate(parts(text)))
    where = "" if (low, high) == (0, count) else f" WHERE id >= {low} AND id < {high}"
    source = f"FROM parquet.`{path}`{where}"
    # Groups of a few rows: states that hold several values, and states that are merged.
    return f"SELECT id % 7 AS g, {select} {source} GROUP BY id % 7" if group == "aggregates" else f"SELECT id, {select} {source}"


def parts(text):
    """The text cut at commas outside of brackets and quotes."""
    found, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        quoted ^= c == "'"
        depth += 0 if quoted else (c == "(") - (c == ")")
        if c == "," and depth == 0 and not quoted:
            found.append(text[start:i].strip())
            start = i + 1
    return found + [text[start:].strip()]


def pieces(run, count):
    """Ranges of rows with what became of them: cut in halves around rows that fail, as far as `RUNS_MAX` goes."""
    waiting, done, runs = [(0, count)], [], 0
    while waiting:
        low, high = waiting.pop(0)
        outcome = run(low, high)
        runs += 1
        if outcome.error and high - low > 1 and runs + len(waiting) + 2 <= RUNS_MAX:
            middle = (low + high) // 2
            waiting += [(low, middle), (middle, high)]
        else:
            done.append((low, high, outcome))
    return done


@pytest.mark.parametrize("ansi", ["true", "false"], ids=["ansi", "legacy"])
def test_same_as_spark(spark, not_native, folder, group, text, types, ansi):
    path, count = edge_values.table(folder, types)
    for zone in ZONES.get(group, ["UTC"]):
        with session.configured(spark, {"spark.sql.ansi.enabled": ansi, "spark.sql.session.timeZone": zone}):
            run = lambda low, high, native: session.run(spark, query(group, text, path, low, high, count), native, fetch=session.exactly)
            for low, high, stock in pieces(lambda low, high: run(low, high, False), count):
                # Some types do not go with some modes; any other refusal would be a mistake in the text.
                assert stock.planned or stock.error.startswith("DATATYPE_MISMATCH"), stock.message
                native = run(low, high, True)
                # Which of several rows fails first is nobody's promise.
                if not (stock.error and native.error and high - low > 1):
                    assert compare.outcomes(stock, native, RELATIVE.get(group, 0.0)) is None, f"rows {low} to {high} of {path}, {zone}"
                note(not_native, group, text, types, native)


def note(not_native, group, text, types, outcome):
    """Holds what was left to Spark against the list: what computes the expressions, not what is around them."""
    if outcome.error:
        return
    computing = {name for name in outcome.foreign if name in ("ProjectExec", "HashAggregateExec", "SortAggregateExec", "ObjectHashAggregateExec")}
    outcome.foreign = dict.fromkeys(computing, 1)
    not_native.check(group, expression_cases.named(text, types), outcome)
