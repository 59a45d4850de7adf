"""One session for all tests of a run: the interpreter that pytest runs in chooses the version of Spark."""
import collections
import json
import pathlib

import pyspark
import pytest

import session

#: Suite → query → operators that the plugin does not have yet and leaves to Spark.
NOT_NATIVE = pathlib.Path(__file__).parent / "not_native.json"


def pytest_addoption(parser):
    parser.addoption("--sample", type=int, default=1, metavar="N", help="every N-th case of the expressions, which are many; more than 1: also TPC-DS in ANSI mode only, few random queries, and no processes of their own")
    parser.addoption("--not-native", choices=["check", "shrink", "accept"], default="check",
                     help="operators left to Spark: check against not_native.json; take out of it what has become native; put into it whatever is left to Spark now")


def pytest_collection_modifyitems(config, items):
    """Leaves out what a sample does without."""
    if config.getoption("--sample") > 1:
        repeated = [item for item in items if is_repetition(item.name)]
        config.hook.pytest_deselected(items=repeated)
        items[:] = [item for item in items if not is_repetition(item.name)]


def is_repetition(name):
    """Whether a test does in another mode, in another process or with other numbers what one before it does."""
    seeds = {"test_same_as_spark[2]", "test_same_as_spark[3]", "test_same_as_spark[4]"}
    return "tpcds" in name and "legacy" in name or name.startswith("test_in_a_process_of_its_own[") or name in seeds


def pytest_report_header(config):
    return f"spark {pyspark.__version__}, plugin {session.jar() or 'none: Spark against itself'}"


@pytest.fixture(scope="session")
def spark():
    with session.started() as started:
        yield started


class NotNative:
    """The committed list of operators that are left to Spark, which only ever shrinks."""

    def __init__(self, mode):
        self.mode = mode
        self.allowed = json.loads(NOT_NATIVE.read_text()) if NOT_NATIVE.exists() else {}
        self.seen = {}

    def check(self, suite, query, outcome):
        """Fails when more is left to Spark than the list allows, of suites that are in it."""
        if session.jar() is None:
            return
        self.seen.setdefault(suite, {}).setdefault(query, set()).update(outcome.foreign)
        if self.mode != "accept" and suite not in self.allowed:
            return
        more = sorted(set(outcome.foreign) - set(self.allowed.get(suite, {}).get(query, [])))
        assert self.mode == "accept" or not more, f"{suite} {query}: left to Spark, and not so before: {', '.join(more)}; " + "; ".join(outcome.reasons)

    def stale(self, suite, query):
        """What the list allows and is native now."""
        return sorted(set(self.allowed.get(suite, {}).get(query, [])) - self.seen.get(suite, {}).get(query, set()))

    def write(self):
        for suite, queries in self.seen.items():
            listed = self.allowed.setdefault(suite, {})
            for query, operators in queries.items():
                # A list that shrinks keeps what is still seen; what versions of Spark differ in is accepted from each.
                kept = operators & set(listed.get(query, [])) if self.mode == "shrink" else operators | set(listed.get(query, []))
                listed[query] = sorted(kept)
                if not kept:
                    del listed[query]
        lines = ",\n".join(
            f' "{suite}": {{\n' + ",\n".join(f'  "{q}": {json.dumps(o)}' for q, o in sorted(queries.items())) + "\n }" for suite, queries in sorted(self.allowed.items())
        )
        NOT_NATIVE.write_text("{\n" + lines + "\n}\n")


    def report(self):
        """How many queries of each suite were native as a whole, and what was left to Spark most often."""
        for suite, queries in sorted(self.seen.items()):
            whole = sum(not operators for operators in queries.values())
            often = collections.Counter(name for operators in queries.values() for name in operators).most_common(8)
            yield f"{suite}: {whole} of {len(queries)} native as a whole" + (f"; left to Spark: {', '.join(f'{name} in {count}' for name, count in often)}" if often else "")


LISTED = pytest.StashKey()


@pytest.fixture(scope="session")
def not_native(request):
    mode = request.config.getoption("--not-native")
    listed = request.config.stash.setdefault(LISTED, NotNative(mode))
    yield listed
    if mode != "check":
        listed.write()


def pytest_terminal_summary(terminalreporter, config):
    if LISTED in config.stash:
        for line in config.stash[LISTED].report():
            terminalreporter.write_line(line)
