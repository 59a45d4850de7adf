"""Tables of values at the edges of every type, as Parquet files whose every row is another combination."""
import datetime
import decimal
import itertools
import math
import pathlib
import random

import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
#: Rows of a table; of more combinations a sample is drawn, the same every time.
ROWS_MAX = 200
DAY = 86_400_000_000


def day(text):
    return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days


def moment(text):
    return int((datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)) / datetime.timedelta(microseconds=1))


def integers(bits):
    low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    return [None, 0, 1, -1, 2, 7, -10, 100, low, low + 1, high, high - 1]


def decimals(precision, scale):
    top = D(10**precision - 1)
    with decimal.localcontext() as context:
        context.prec = 80
        return [None] + [D(unscaled).scaleb(-scale) for unscaled in (0, 1, -1, 5, 15, -25, 10**scale, -(10**scale), 123456 % 10**precision, top, -top)]


FLOATS = [None, 0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 0.1, 3.7, 1e10, -1e19, math.nan, math.inf, -math.inf]
DATES = ["1970-01-01", "1969-12-31", "2000-02-29", "2024-02-29", "2023-12-31", "2024-12-30", "1900-02-28", "1582-10-04", "1582-10-15", "0001-01-01", "9999-12-31", "2021-03-14", "2021-11-07"]
MOMENTS = ["1970-01-01T00:00:00", "1969-12-31T23:59:59.999999", "2000-02-29T12:34:56.789012", "2021-03-14T02:30:00", "2021-03-14T10:00:00", "2021-11-07T01:30:00", "2021-11-07T09:30:00",
           "1900-01-01T00:00:00", "1582-10-04T23:59:59", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2024-12-30T00:00:00.000001"]
STRINGS = [None, "", " ", "a", "A", "abc", "ABC", "Hello World", "  pad  ", "ß", "é", "e\u0301", "İ", "ﬁ", "日本語", "😀x", "a%b_c", "a\\b", "x" * 70, "\t\n", "a,b,,c", "\u00a0"]
#: Texts that are, or nearly are, values of other types.
NUMERALS = [None, "", "0", "-0", "1", "+1", " 12 ", "1.5", "-2.50", ".5", "5.", "1e3", "1E-2", "0x1F", "127", "128", "-128", "-129", "32768", "2147483647", "2147483648", "-2147483649",
            "9223372036854775807", "9223372036854775808", "NaN", "nan", "Infinity", "-inf", "inf", "1d", "1.0f", "1_000", "abc", "12a", "１２", "1\u00a0", "\t7\n", "99999999999999999999.99", "1e400", "-"]
MOMENT_TEXTS = [None, "", "2020-01-01", "2020-1-1", "2020-13-01", "2020-02-30", "2020", "2020-02", "0001-01-01", "-0001-01-01", "10000-01-01", "2020-01-01T", "2020-01-01 12:34:56", "2020-01-01T12:34:56.789",
                "2020-01-01 12:34:56.1234567", "2020-01-01 24:00:00", "2020-01-01 12:34:56Z", "2020-01-01 12:34:56+02:00", "2020-01-01 12:34:56 America/Los_Angeles", "12:34:56", "T12:34", "epoch", "today ", " 2020-01-01 ",
                "2020-01-01x", "20200101", "1582-10-10", "2021-03-14 02:30:00"]
TRUTHS = [None, "true", "false", "TRUE", "t", "f", "yes", "no", "y", "n", "1", "0", "on", " true ", "tru", "", "2"]

#: Name of a type → Arrow's type, the values.
TYPES = {
    "tinyint": (pa.int8(), integers(8)),
    "smallint": (pa.int16(), integers(16)),
    "int": (pa.int32(), integers(32)),
    "bigint": (pa.int64(), integers(64)),
    "float": (pa.float32(), [*FLOATS, 3.4028234663852886e38, 1.401298464324817e-45]),
    "double": (pa.float64(), [*FLOATS, 1.7976931348623157e308, 5e-324, 9.223372036854776e18, 2147483647.5]),
    "decimal(5,2)": (pa.decimal128(5, 2), decimals(5, 2)),
    "decimal(18,4)": (pa.decimal128(18, 4), decimals(18, 4)),
    "decimal(18,0)": (pa.decimal128(18, 0), decimals(18, 0)),
    "decimal(38,10)": (pa.decimal128(38, 10), decimals(38, 10)),
    "decimal(38,0)": (pa.decimal128(38, 0), decimals(38, 0)),
    "boolean": (pa.bool_(), [None, True, False]),
    "string": (pa.string(), STRINGS),
    "binary": (pa.binary(), [None, b"", b"a", b"\x00", b"\xff\xfe", "é".encode(), b"x" * 40]),
    "date": (pa.date32(), [None, *map(day, DATES)]),
    "timestamp": (pa.timestamp("us", tz="UTC"), [None, *map(moment, MOMENTS)]),
    "timestamp_ntz": (pa.timestamp("us"), [None, *map(moment, MOMENTS)]),
    "array<int>": (pa.list_(pa.int32()), [None, [], [1], [1, None, 3], [3, 2, 1, 2]]),
    "array<string>": (pa.list_(pa.string()), [None, [], ["a"], ["b", None, "a", "é", "a"], ["", "z", "abc"]]),
    "array<double>": (pa.list_(pa.float64()), [None, [], [1.5], [float("nan"), None, 0.0, -0.0, float("nan")], [float("inf"), -1.0, 0.0]]),
    # Texts for one purpose each.
    "numeral": (pa.string(), NUMERALS),
    "moment_text": (pa.string(), MOMENT_TEXTS),
    "truth": (pa.string(), TRUTHS),
    # Counts and positions, where the edges of an int would only give empty or enormous results.
    "small": (pa.int32(), [None, 0, 1, 2, 3, 5, -1, -2, 40]),
}


def table(folder, types):
    """The file of a table with columns a, b, … of the types, and the number of its rows; made when it is not there."""
    path = pathlib.Path(folder) / ("-".join(types).translate(str.maketrans("(),<>", "_____")) + ".parquet")
    values = [TYPES[t][1] for t in types]
    count = min(math.prod(map(len, values)), ROWS_MAX)
    if not path.exists():
        rows = combinations(values, count)
        columns = {"abcdef"[i]: pa.array([row[i] for row in rows], TYPES[t][0]) for i, t in enumerate(types)}
        pq.write_table(pa.table({"id": pa.array(range(len(rows)), pa.int32())} | columns), path)
    return path, count


def combinations(values, count):
    """All combinations, or a sample of `count` in which every single value is."""
    if math.prod(map(len, values)) <= count:
        return list(itertools.product(*values))
    draw = random.Random(0)
    longest = max(map(len, values))
    every = [tuple(v[i % len(v)] for v in values) for i in range(longest)]
    return every + [tuple(draw.choice(v) for v in values) for _ in range(count - longest)]
