"""Whether two answers are one: types and values exactly, doubles to the bit, order as far as the query orders."""
import collections
import decimal
import math
import struct

#: Rows without a partner that are searched for one within the tolerance; more are simply a difference.
SEARCHED_MAX = 3000


class Double:
    """A floating-point number that equals only itself: the zeros are two, and NaN is one."""

    __slots__ = ("bits", "value")

    def __init__(self, value):
        self.value = value
        self.bits = b"nan" if math.isnan(value) else struct.pack(">d", value)

    def __eq__(self, other):
        return isinstance(other, Double) and self.bits == other.bits

    def __hash__(self):
        return hash(self.bits)

    def __repr__(self):
        return repr(self.value)


def canonical(value):
    """A value in a form in which `==` means the same type and the same value."""
    if isinstance(value, float):
        return Double(value)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, decimal.Decimal):
        return ("decimal", str(value))
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return tuple((canonical(k), canonical(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    return value


def close(a, b, relative):
    """Whether two canonical values are equal, doubles up to `relative`."""
    if a == b:
        return True
    if isinstance(a, Double) and isinstance(b, Double):
        return abs(a.value - b.value) <= relative * max(abs(a.value), abs(b.value)) < math.inf
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(close(x, y, relative) for x, y in zip(a, b))
    return False


def difference(expected, actual, keys=(), limited=False, relative=0.0):
    """What tells two answers apart, or None.

    `keys`: positions of the columns that the query orders by; rows that are equal in them may come in any order. `limited`: among the rows that equal the last one
    in the keys, a limit may have kept others. `relative`: what doubles may be off, where sums are added up in an order that no one set."""
    if len(expected) != len(actual):
        return f"{len(expected)} rows expected, {len(actual)} came"
    expected, actual = [canonical(row) for row in expected], [canonical(row) for row in actual]
    for i, (row, other) in enumerate(zip(expected, actual)):
        if not all(close(row[k], other[k], relative) for k in keys):
            return f"row {i} is out of order: {row} expected, {other} came"
    if limited and keys and expected:
        last = [expected[-1][k] for k in keys]
        tied = lambda row: all(close(row[k], v, relative) for k, v in zip(keys, last))
        expected, actual = [r for r in expected if not tied(r)], [r for r in actual if not tied(r)]
    left = collections.Counter(expected) - collections.Counter(actual)
    extra = list((collections.Counter(actual) - collections.Counter(expected)).elements())
    if relative and len(extra) <= SEARCHED_MAX:
        left = unmatched(left.elements(), extra, relative)
    missing = next(iter(left), None)
    return None if missing is None else f"{len(list(extra))} rows differ, such as: {missing} expected, {nearest(missing, extra)} came"


def unmatched(rows, others, relative):
    """The rows that have no partner among `others`; partners are taken out of it."""
    left = []
    for row in rows:
        at = next((i for i, other in enumerate(others) if close(row, other, relative)), None)
        if at is None:
            left.append(row)
        else:
            others.pop(at)
    return left


def nearest(row, others):
    """The row of `others` with the most equal values: most likely the one that should have been `row`."""
    return max(others, key=lambda other: sum(a == b for a, b in zip(row, other)), default=None)


def reason(message):
    """What an exception's text begins with, and the causes that it names further down."""
    return " ".join([message[:300], *(line[:300] for line in message.splitlines() if line.startswith("Caused by:"))])


def outcomes(expected, actual, relative=0.0):
    """What tells two outcomes of a query (`session.Outcome`) apart, or None: rows, or the condition that it failed with."""
    if expected.error != actual.error:
        return f"{expected.error or 'rows'} expected, {actual.error or 'rows'} came: {reason(expected.message or actual.message)}"
    if expected.error:
        return None
    return difference(expected.rows, actual.rows, expected.keys, expected.limited, relative)
