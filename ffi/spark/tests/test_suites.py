"""TPC-H and TPC-DS: every query by Spark's operators and by the plugin's, with ANSI mode and without."""
import pytest

import compare
import session
import suites

ANSI = pytest.mark.parametrize("ansi", ["true", "false"], ids=["ansi", "legacy"])
#: Averages, deviations and sums of doubles are added up in the order in which partitions come.
RELATIVE = 1e-9


@pytest.fixture(scope="module")
def suite(request, spark):
    suites.register(spark, request.param)
    return request.param


def pytest_generate_tests(metafunc):
    if "query" in metafunc.fixturenames:
        cases = [(suite, query) for suite in sorted(suites.PLACES) for query in suites.queries(suite)]
        metafunc.parametrize("suite, query", cases, indirect=["suite"], ids=[f"{suite}-{query}" for suite, query in cases], scope="module")


@ANSI
def test_answers(spark, not_native, suite, query, ansi):
    with session.configured(spark, {"spark.sql.ansi.enabled": ansi}):
        sql = suites.queries(suite)[query]
        stock = session.run(spark, sql, native=False)
        assert stock.error is None, stock.message
        native = session.run(spark, sql, native=True)
    assert not stock.native, "the plugin took part although it was told not to"
    assert compare.outcomes(stock, native, RELATIVE) is None
    not_native.check(suite, query, native)


def test_the_list_has_nothing_that_is_native(not_native, suite, query):
    if suite in not_native.seen and not_native.mode == "check":
        stale = not_native.stale(suite, query)
        assert not stale, f"{suite} {query}: native now: {', '.join(stale)}; run this with --not-native=shrink"
