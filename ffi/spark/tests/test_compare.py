"""The comparison itself: each kind of difference is one."""
import datetime
import decimal
import math

import pytest

import compare

D = decimal.Decimal


@pytest.mark.parametrize("expected, actual", [
    ([(1,)], [(2,)]),
    ([(1,)], [(None,)]),
    ([(1,)], [(True,)]),
    ([(1,)], [(1.0,)]),
    ([(0.0,)], [(-0.0,)]),
    ([(0.1 + 0.2,)], [(0.3,)]),
    ([(math.nan,)], [(None,)]),
    ([(D("1.0"),)], [(D("1.00"),)]),
    ([("a",)], [("a ",)]),
    ([("é",)], [("e\u0301",)]),
    ([(b"a",)], [("a",)]),
    ([([1, None],)], [([None, 1],)]),
    ([({"a": 1.0},)], [({"a": 2.0},)]),
    ([(datetime.date(2020, 1, 1),)], [(datetime.date(2020, 1, 2),)]),
    ([(1,), (1,)], [(1,), (2,)]),
    ([(1,), (1,)], [(1,)]),
    ([(1,)], []),
])
def test_differences_are_found(expected, actual):
    assert compare.difference(expected, actual)
    assert compare.difference(actual, expected)


def test_equal_rows_are_equal_in_any_order():
    rows = [(1, math.nan, "a"), (2, -0.0, None), (2, -0.0, None), (3, 1e300, "é")]
    assert compare.difference(rows, rows[::-1]) is None


def test_order_counts_where_the_query_orders():
    rows = [(1, "a"), (1, "b"), (2, "c")]
    assert compare.difference(rows, [rows[1], rows[0], rows[2]], keys=[0]) is None
    assert "out of order" in compare.difference(rows, rows[::-1], keys=[0])


def test_a_limit_may_keep_other_rows_of_the_last_tie_only():
    rows = [(1, "a"), (2, "b"), (2, "c")]
    assert compare.difference(rows, [(1, "a"), (2, "b"), (2, "d")], keys=[0], limited=True) is None
    assert compare.difference(rows, [(1, "z"), (2, "b"), (2, "c")], keys=[0], limited=True)
    assert compare.difference(rows, [(1, "a"), (2, "b"), (2, "d")], keys=[0])


def test_doubles_may_be_off_by_the_tolerance_and_no_more():
    assert compare.difference([(1, 1.0)], [(1, 1.0 + 1e-12)], relative=1e-9) is None
    assert compare.difference([(1, 1.0)], [(1, 1.0 + 1e-6)], relative=1e-9)
    assert compare.difference([(1, 1.0)], [(2, 1.0 + 1e-12)], relative=1e-9)
    assert compare.difference([(1, math.inf)], [(1, 1e308)], relative=1e-9)
    assert compare.difference([(1, math.nan)], [(1, 1.0)], relative=1e-9)
