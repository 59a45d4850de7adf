"""Random tables for random_queries.py: every type, hostile values, Parquet in every encoding."""
import datetime, decimal, math
import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
WORDS = ["", "a", "A", "b", "ab", "abc", "naïve", "日本", "é", "e\u0301", "zz", "a%b", "a_b", "'", '"', "\\", " pad ", "twelve chars", "thirteen char", "a longer string than twelve", "a longer string than thirteen", "x" * 300, "😀", "ÀÉ", "\t", "0", "-1", "12", "NULL"]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, -7.125, 2.25, math.nan, math.inf, -math.inf, 3.0, 100.0]
INTEGERS = {"i8": (pa.int8(), -2**7, 2**7 - 1), "i16": (pa.int16(), -2**15, 2**15 - 1), "i32": (pa.int32(), -2**31, 2**31 - 1), "i64": (pa.int64(), -2**63, 2**63 - 1),
            "u8": (pa.uint8(), 0, 2**8 - 1), "u16": (pa.uint16(), 0, 2**16 - 1), "u32": (pa.uint32(), 0, 2**32 - 1), "u64": (pa.uint64(), 0, 2**64 - 1)}
DAY = datetime.date(2020, 1, 1)


class Column:
    """A column: its name, its class for the grammar (int, float, dec, str, date, ts, bool), whether arithmetic on it stays in range."""

    def __init__(self, name, kind, arrow_type, safe, unique=False):
        self.name, self.kind, self.arrow_type, self.safe, self.unique = name, kind, arrow_type, safe, unique


class Table:
    def __init__(self, name, columns, rows):
        self.name, self.columns, self.rows = name, columns, rows
        self.storage = {}

    def arrow(self):
        return pa.table({c.name: pa.array([r[i] for r in self.rows], c.arrow_type) for i, c in enumerate(self.columns)})

    def write(self, path):
        pq.write_table(self.arrow(), path, **self.storage)


def integer_column(random, name, kind):
    arrow_type, low, high = INTEGERS[kind]
    shape = random.choice(["tiny", "tiny", "small", "small", "extreme", "dense"])
    if shape == "tiny":
        draw, safe = (lambda i: random.randint(0, 6)), True
    elif shape == "small":
        draw, safe = (lambda i: random.randint(max(low, -100), 100)), True
    elif shape == "dense":
        start = random.randint(max(low, -50), 20)
        draw, safe = (lambda i: min(high, start + i // 3)), kind not in ("i8", "u8")
    else:
        draw, safe = (lambda i: random.choice([low, high, low + 1, high - 1, 0, 1, random.randint(low, high)])), False
    return Column(name, "int", arrow_type, safe), draw


def decimal_column(random, name):
    precision, scale = random.choice([(5, 2), (9, 2), (15, 2), (18, 4), (18, 0), (20, 3), (38, 10), (38, 0)])
    shape = random.choice(["small", "small", "extreme"])
    unit = D(1).scaleb(-scale)
    if shape == "small":
        limit = min(10**precision - 1, 100 * 10**scale)
        pool = [random.randint(-limit, limit) for _ in range(random.choice([3, 1000]))]
    else:
        top = 10**precision - 1
        pool = [top, -top, 0, 1, -1, top - 1, random.randint(-top, top), random.randint(-top, top)]
    with decimal.localcontext() as context:
        context.prec = 80
        pool = [D(v) * unit for v in pool]
    return Column(name, "dec", pa.decimal128(precision, scale), shape == "small" and precision <= 18), lambda i: random.choice(pool)


def other_column(random, name, kind):
    if kind == "str":
        words = random.sample(WORDS, random.choice([3, 6, len(WORDS)]))
        if random.random() < 0.2:
            return Column(name, "str", pa.string(), True), lambda i: f"{random.choice(words)}{i}"
        return Column(name, "str", pa.string(), True), lambda i: random.choice(words)
    if kind == "f64":
        pool = FLOATS if random.random() < 0.6 else [random.uniform(-100, 100) for _ in range(50)]
        return Column(name, "float", pa.float64(), True), lambda i: random.choice(pool)
    if kind == "f32":
        return Column(name, "float", pa.float32(), False), lambda i: random.choice(FLOATS)
    if kind == "extremefloat":
        pool = FLOATS + [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e-300]
        return Column(name, "float", pa.float64(), False), lambda i: random.choice(pool)
    if kind == "bool":
        return Column(name, "bool", pa.bool_(), True), lambda i: random.random() < 0.5
    if kind == "date":
        if random.random() < 0.2:
            pool = [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1970, 1, 1), datetime.date(1969, 12, 31), datetime.date(2000, 2, 29)]
            return Column(name, "date", pa.date32(), False), lambda i: random.choice(pool)
        spread = random.choice([5, 400, 4000])
        return Column(name, "date", pa.date32(), True), lambda i: DAY + datetime.timedelta(days=random.randint(-spread, spread))
    assert kind == "ts", kind
    start = datetime.datetime(2020, 1, 1)
    seconds = random.choice([5, 10**5, 10**8])
    def draw(i):
        return start + datetime.timedelta(seconds=random.randint(-seconds, seconds), microseconds=random.choice([0, 0, 1, 500000, 999999]))
    return Column(name, "ts", pa.timestamp("us"), True), draw


def column(random, name, kind):
    if kind in INTEGERS:
        return integer_column(random, name, kind)
    if kind == "dec":
        return decimal_column(random, name)
    return other_column(random, name, kind)


def storage(random, columns):
    """Random options of the Parquet writer."""
    dictionary = random.choice([True, True, False])
    options = dict(row_group_size=random.choice([5, 17, 64, 1000]), use_dictionary=dictionary, compression=random.choice(["none", "snappy", "zstd", "gzip", "lz4"]),
                   data_page_version=random.choice(["1.0", "2.0"]), data_page_size=random.choice([64, 512, 2**20]), write_page_index=random.random() < 0.5,
                   store_decimal_as_integer=random.random() < 0.5, write_statistics=random.random() < 0.8, write_batch_size=random.choice([3, 16, 1024]))
    if not dictionary and random.random() < 0.7:
        encodings = {}
        for c in columns:
            t = c.arrow_type
            if pa.types.is_string(t):
                encodings[c.name] = random.choice(["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
            elif pa.types.is_floating(t):
                encodings[c.name] = random.choice(["PLAIN", "BYTE_STREAM_SPLIT"])
            elif pa.types.is_boolean(t):
                encodings[c.name] = random.choice(["PLAIN", "RLE"])
            elif pa.types.is_integer(t) or pa.types.is_date(t) or pa.types.is_timestamp(t):
                encodings[c.name] = random.choice(["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"])
        options["column_encoding"] = encodings
    return options


def table(random, name):
    rows = random.choice([0, 1, 3, 10, 10, 40, 40, 100, 300])
    columns = [(Column("id", "int", pa.int64(), True, unique=True), lambda i: i)]
    # k and s are in every table, so that joins find partners.
    keys = random.choice([2, 7, 7, 30])
    columns.append((Column("k", "int", random.choice([pa.int32(), pa.int64(), pa.int32()]), True), lambda i: random.randint(0, keys)))
    words = WORDS[: random.choice([4, 8, len(WORDS)])]
    columns.append((Column("s", "str", pa.string(), True), lambda i: random.choice(words)))
    kinds = list(INTEGERS) + ["f64", "f64", "f64", "f32", "extremefloat", "dec", "dec", "dec", "str", "str", "bool", "bool", "date", "date", "ts", "ts"]
    for i, kind in enumerate(random.sample(kinds, random.randint(2, 7))):
        columns.append(column(random, f"c{i}", kind))
    nulls = [0.0] + [random.choice([0, 0.05, 0.3, 0.9, 0.3 if random.random() < 0.9 else 1.0]) for _ in columns[1:]]
    data = [[None if random.random() < p else draw(i) for (_, draw), p in zip(columns, nulls)] for i in range(rows)]
    if random.random() < 0.3:
        at = random.randrange(1, len(columns))
        data.sort(key=lambda r: (r[at] is None, str(r[at]) if columns[at][0].kind == "str" else (0 if r[at] is None or r[at] != r[at] else r[at])))
    made = Table(name, [c for c, _ in columns], data)
    made.storage = storage(random, made.columns)
    return made


def enlarge(random, table):
    """Gives `table` some thousand rows: those that it has, in any order, under new ids."""
    if table.rows:
        table.rows = [[i] + random.choice(table.rows)[1:] for i in range(random.choice([1000, 3000]))]
