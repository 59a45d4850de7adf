"""Writes tests/slt/functions/*.slt: every function and type that DataFusion has, called through SQL, answers by DataFusion.

    pip install datafusion==55.0.0 pyarrow
    python tests/oracle/make_functions_slt.py

A statement that DataFusion refuses is left out and told on standard error, and so is one whose cells a test file cannot hold. Not asked, because we
mean something else: averages of decimals (we round, DataFusion cuts), overflow of integers (we fail, DataFusion wraps), SIMILAR TO (we take
the standard's pattern, DataFusion a regular expression).
"""
import re, decimal, math, pathlib, sys
import datafusion, pyarrow as pa

TARGET = pathlib.Path(__file__).parent.parent / "slt" / "functions"
CONTEXT = datafusion.SessionContext()

# One table of every scalar type: nulls, zeros, extremes, Unicode.
ROWS = """
(1, 5, 2.5, 1.25, 'apple pie', 'an', DATE '2024-02-29', TIMESTAMP '2024-02-29T13:45:59.123456', true, 12345678901234567890.123),
(2, -7, -0.5, -3.75, 'Banana', 'a', DATE '1969-12-31', TIMESTAMP '1969-12-31T23:59:59.999999', false, -0.001),
(3, 0, 0.0, 0.00, '', '', DATE '1970-01-01', TIMESTAMP '1970-01-01T00:00:00', NULL, 0.000),
(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(5, 2147483647, 1e10, 9999.99, 'naïve café élan', 'é', DATE '2100-12-31', TIMESTAMP '2100-12-31T23:00:00', true, 99999999999999999999.999),
(6, -2147483648, -1e-10, -9999.99, '日本語 text longer than twelve', '本', DATE '1582-10-15', TIMESTAMP '1700-03-01T06:07:08', false, -99999999999999999999.999),
(7, 100, 3.14159, 0.01, '  padded  ', ' ', DATE '2000-01-01', TIMESTAMP '2000-01-01T12:00:00', true, 1.500),
(8, 12, 144.0, 12.00, 'a,b,,c', ',', DATE '2023-11-06', TIMESTAMP '2023-11-06T01:30:00', false, 2.500)
"""
TABLE = f"""CREATE TABLE v AS SELECT CAST(c1 AS BIGINT) AS id, CAST(c2 AS INTEGER) AS i, CAST(c3 AS DOUBLE) AS f, CAST(c4 AS DECIMAL(10,2)) AS d,
  arrow_cast(c5, 'Utf8View') AS s, arrow_cast(c6, 'Utf8View') AS p, CAST(c7 AS DATE) AS t, CAST(c8 AS TIMESTAMP) AS ts, CAST(c9 AS BOOLEAN) AS b, CAST(c10 AS DECIMAL(30,3)) AS w
FROM (VALUES {ROWS}) AS x(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10)"""
NESTED = """CREATE TABLE n AS SELECT * FROM (VALUES (1, make_array(3, 1, 2, 1), make_array('b', 'a', 'c'), make_array(1.5, -2.0)), (2, make_array(5, NULL, 4), make_array('é', NULL), make_array(0.0, 4.0)),
  (3, make_array(7), make_array(''), make_array(3.0, 3.0)), (4, NULL, NULL, NULL)) AS x(id, l, m, g)"""


def cast_texts(array):
    """Texts by DataFusion's own cast; `None` for nulls."""
    CONTEXT.deregister_table("answer_")
    CONTEXT.register_record_batches("answer_", [[pa.record_batch([array], names=["c"])]])
    return pa.table(CONTEXT.sql("SELECT CAST(c AS VARCHAR) AS c FROM answer_").to_arrow_table()).column(0).to_pylist()


def duration_text(value, unit):
    """As ISO 8601 in seconds."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    sign, value = ("-" if value < 0 else ""), abs(value)
    seconds, fraction = divmod(value, 10 ** digits)
    fraction = f"{fraction:0{digits}}".rstrip("0") if digits else ""
    return "P0D" if value == 0 else f"{sign}PT{seconds}{'.' + fraction if fraction else ''}S"


def texts(array):
    """What Arrow's display shows for each value, `None` for nulls."""
    kind = array.type
    valid = array.is_valid().to_pylist()
    if pa.types.is_struct(kind):
        children = [(kind.field(i).name, texts(array.field(i))) for i in range(kind.num_fields)]
        return ["{" + ", ".join(f"{n}: {c[row] or ''}" for n, c in children) + "}" if ok else None for row, ok in enumerate(valid)]
    if pa.types.is_map(kind):
        keys, items = texts(array.keys), texts(array.items)
        offsets = array.offsets.to_pylist()
        return ["{" + ", ".join(f"{keys[i]}: {items[i] or ''}" for i in range(offsets[row] - offsets[0], offsets[row + 1] - offsets[0])) + "}" if ok else None for row, ok in enumerate(valid)]
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ["[" + ", ".join(t or "" for t in texts(array[row].values)) + "]" if ok else None for row, ok in enumerate(valid)]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if v is None else v.hex() for v in array.to_pylist()]
    if pa.types.is_duration(kind):
        return [None if v is None else duration_text(v, kind.unit) for v in array.cast(pa.int64()).to_pylist()]
    return cast_texts(array)


def number(text):
    """A float as tests/integration/slt.rs shows it."""
    value = float(text)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{decimal.Decimal(repr(float(f'{value:.9e}') + 0.0)):f}".removesuffix(".0")


def cells(column):
    """The texts that tests/integration/slt.rs prints for a column."""
    array = column.combine_chunks()
    found = texts(array)
    if pa.types.is_float32(array.type) or pa.types.is_float64(array.type):
        return ["NULL" if t is None else number(t) for t in found]
    return ["NULL" if t is None else t if t != "" else "(empty)" for t in found]

BESIDE_FLOATS = re.compile(r"(coalesce|nullif|greatest|least|nvl2)\(f, [^)]*\bd\b[^)]*\)")


class Topic:
    def __init__(self, name, *setup):
        self.name, self.lines, self.count = name, [f"# {name}: answers by DataFusion {datafusion.__version__}, see tests/oracle/make_functions_slt.py"], 0
        for sql in setup:
            CONTEXT.sql(sql).collect()
            self.lines += ["", "statement ok", sql]

    def query(self, sql, marked=False):
        # Beside a float a decimal is a float with us; the library makes the float a decimal of 30 digits.
        asked = BESIDE_FLOATS.sub(lambda m: re.sub(r"\b(d|0\.0)\b", r"CAST(\1 AS DOUBLE)", m[0]), sql)
        try:
            table = CONTEXT.sql(asked).to_arrow_table()
            columns = [cells(table.column(i)) for i in range(table.num_columns)]
        except BaseException as error:
            print(f"left out: {sql}: {str(error)[:200]}", file=sys.stderr)
            return
        rows = sorted((list(r) for r in zip(*columns)))
        # Test files cannot hold cells that start or end with a space, or double spaces.
        if any(cell != cell.strip() or "  " in cell for row in rows for cell in row):
            if not marked and sql.startswith("SELECT id, ") and " AS x FROM v" in sql:
                call = sql.split("SELECT id, ", 1)[1].rsplit(" AS x FROM v", 1)[0]
                return self.query(f"SELECT id, '<' || replace({call}, ' ', '.') || '>' AS x FROM v", True)
            print(f"left out (spaces): {sql}", file=sys.stderr)
            return
        if any("\n" in cell for row in rows for cell in row):
            print(f"left out (line breaks): {sql}", file=sys.stderr)
            return
        self.lines += ["", f"query {'T' * table.num_columns} rowsort", sql, "----", *(" ".join(r) for r in rows)]
        self.count += 1

    def each(self, source, calls):
        """Every call over a table; its key keeps rows apart."""
        for call in calls:
            self.query(f"SELECT id, {call} AS x FROM {source}")

    def alone(self, calls):
        for call in calls:
            self.query(f"SELECT {call} AS x")

    def write(self):
        TARGET.mkdir(parents=True, exist_ok=True)
        (TARGET / f"{self.name}.slt").write_text("\n".join(self.lines) + "\n")
        print(self.name, self.count)


def math_functions():
    topic = Topic("math", TABLE)
    unary = "abs acos acosh asin asinh atan atanh cbrt ceil cos cosh cot degrees exp floor isnan iszero ln log log10 log2 radians round signum sin sinh sqrt tan tanh trunc".split()
    topic.each("v", [f"{f}({c})" for f in unary for c in ("f", "d", "i")])
    topic.each("v", [f"{f}(w)" for f in ("abs", "ceil", "floor", "round", "trunc", "signum", "sqrt")])
    topic.each("v", [f"round({c}, {n})" for c in ("f", "d", "w", "i") for n in (-2, 0, 1, 3)])
    topic.each("v", [f"trunc({c}, {n})" for c in ("f", "d") for n in (-1, 1)])
    topic.each("v", ["atan2(f, d)", "power(f, 2)", "pow(i % 10, 3)", "power(d, 2)", "gcd(i % 100, 15)", "lcm(i % 100, 15)", "nanvl(f, 1.0)", "log(2, f)", "log(10, d)", "factorial(abs(i % 10))",
                     "i % 7", "f % 2", "d % 3", "w / 3", "d * d", "w + d", "i / 2", "-(id % 5)", "i & 6", "i | 1", "i ^ 3", "abs(i / 2)", "sqrt(abs(f))", "sqrt(abs(i / 2))", "CAST(id AS BIGINT) << 2", "id >> 1"])
    topic.alone(["pi()", "random() BETWEEN 0 AND 1", "rand() BETWEEN 0 AND 1", "nanvl('NaN'::double, 2.0)", "isnan('NaN'::double)", "abs(-0.0)", "sqrt(-1)", "ln(0)", "log(0.0)", "round(2.5)", "round(-2.5)", "round(0.5)", "trunc(-1.999, 2)",
                 "factorial(20)", "gcd(0, 0)", "lcm(0, 5)", "power(2, 0.5)", "power(0, 0)", "ceil(-0.5)", "floor(-0.5)", "degrees(pi())", "signum(-3)"])
    topic.write()


def string_functions():
    topic = Topic("string", TABLE)
    unary = "ascii bit_length btrim char_length character_length initcap length lower ltrim md5 octet_length reverse rtrim sha224 sha256 sha384 sha512 trim upper".split()
    topic.each("v", [f"{f}(s)" for f in unary])
    topic.each("v", [f"{f}(s, p)" for f in ("contains", "starts_with", "ends_with", "strpos", "instr", "position", "levenshtein", "btrim", "ltrim", "rtrim")])
    topic.each("v", [f"{f}(s, 'a')" for f in ("contains", "starts_with", "ends_with", "strpos", "btrim", "ltrim", "rtrim", "find_in_set")])
    topic.each("v", [f"{f}(s, {n})" for f in ("left", "right", "substr", "repeat") for n in (-2, 0, 1, 3, 100) if not (f == "repeat" and n > 3)])
    topic.each("v", ["left(s, id - 3)", "right(s, id - 3)", "substr(s, id)", "substr(s, id, 3)", "substr(s, -1, 4)", "substr(s, 3, 2)", "substring(s FROM 2 FOR 3)", "substring(s, 4)", "overlay(s PLACING 'XX' FROM 2 FOR 3)", "overlay(s PLACING p FROM 1)",
                     "lpad(s, 12, '*')", "rpad(s, 12, 'é')", "lpad(s, 5)", "rpad(s, 5)", "lpad(s, id, p)", "replace(s, 'a', 'AA')", "replace(s, p, '-')", "replace(s, '', 'x')", "translate(s, 'abé', 'xy')", "split_part(s, ',', 1)", "split_part(s, ' ', -1)", "split_part(s, p, 2)",
                     "substr_index(s, ' ', 1)", "substring_index(s, 'a', -1)", "concat(s, p, id)", "concat(s, NULL, '!')", "concat_ws('-', s, p, NULL, 'z')", "s || p", "s || id", "s || '!'", "to_hex(i)", "chr(65 + id)", "encode(arrow_cast(s, 'Binary'), 'hex')", "encode(s, 'base64')", "decode(encode(s, 'base64'), 'base64')",
                     "digest(s, 'sha256')", "digest(s, 'md5')", "digest(s, 'blake3')", "position('a' IN s)", "trim(BOTH 'a' FROM s)", "trim(LEADING ' ' FROM s)", "trim(TRAILING ' ' FROM s)", "s LIKE '%a%'", "s ILIKE '%A%'", "s LIKE '_a%'", "s NOT LIKE '%é%'", "s ~ 'a.*e'", "s ~* 'BAN'", "s !~ 'a'", 
                     "regexp_like(s, '[aeiou]{2}')", "regexp_like(s, 'BAN', 'i')", "regexp_match(s, '([a-z])([a-z])')", "regexp_replace(s, '[aeiou]', '_', 'g')", "regexp_replace(s, 'a', 'b')", "regexp_replace(s, '(a)(p)', '\\2\\1')", "regexp_count(s, 'a')", "regexp_count(s, 'A', 1, 'i')", "regexp_instr(s, 'a')", "string_to_array(s, ',')", "string_to_list(s, ' ')", "string_to_array(s, ',', '')",
                     "levenshtein(s, 'apple')", "find_in_set('b', s)", "ascii(p)", "s IN ('Banana', '', 'x')", "s BETWEEN 'a' AND 'b'", "s < p", "upper(s) = 'BANANA'", "nullif(s, '')", "coalesce(s, p, 'none')"])
    topic.alone(["uuid() <> uuid()", "length(uuid())", "upper('straße')", "lower('İ')", "initcap('hello wORLD')", "reverse('añb')", "chr(128512)", "to_hex(-1)", "lpad('hi', 5, 'xy')", "split_part('a.b.c', '.', 2)", "left('日本語', 2)", "right('日本語', -1)", "substr('日本語', 2)", "strpos('日本語', '語')", "octet_length('日本語')", "char_length('日本語')", "concat_ws(',', 'a', 'b')", "repeat('ab', 3)",
                 "translate('12345', '143', 'ax')", "btrim('xyxtrimyyx', 'xyz')", "starts_with(NULL, 'a')", "version() LIKE '%'", "decode('68656c6c6f', 'hex')", "regexp_match('foobarbequebaz', '(bar)(beque)')"])
    topic.write()


def temporal_functions():
    topic = Topic("temporal", TABLE)
    parts = "year isoyear quarter month week day doy dow isodow hour minute second millisecond microsecond nanosecond epoch".split()
    topic.each("v", [f"date_part('{p}', {c})" for p in parts for c in ("ts", "t")])
    topic.each("v", [f"EXTRACT({p} FROM ts)" for p in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")] + ["datepart('year', t)"])
    for unit in ("Second", "Millisecond", "Microsecond", "Nanosecond"):
        topic.each("v", [f"date_trunc('{p}', arrow_cast(ts, 'Timestamp({unit}, None)'))" for p in ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")])
        topic.each("v", [f"date_part('{p}', arrow_cast(ts, 'Timestamp({unit}, None)'))" for p in ("year", "hour", "second", "epoch", "week")])
    topic.each("v", ["date_trunc('month', t)", "datetrunc('week', t)", "date_trunc('hour', arrow_cast(ts, 'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))'))", "date_trunc('day', arrow_cast(ts, 'Timestamp(Microsecond, Some(\"America/New_York\"))'))", "date_part('hour', arrow_cast(ts, 'Timestamp(Nanosecond, Some(\"+02:00\"))'))"])
    topic.each("v", ["date_bin(INTERVAL '15 minutes', ts)", "date_bin(INTERVAL '1 month', ts, TIMESTAMP '2001-01-01')", "date_bin(INTERVAL '1 day', ts, TIMESTAMP '2001-01-01T06:00:00')", "to_char(t, '%d.%m.%Y')", "to_char(ts, '%Y-%m-%d %H:%M:%S')", "date_format(t, '%Y')", "to_unixtime(ts)", "to_unixtime(t)", "to_local_time(ts)", "from_unixtime(id * 100000)", "make_date(2000 + id, 1 + id, id)", "make_time(id, 30, 15)",
                     "to_timestamp(id)", "to_timestamp_seconds(id * 1000)", "to_timestamp_millis(id * 1000)", "to_timestamp_micros(id)", "to_timestamp_nanos(id)", "to_date(t)", "CAST(ts AS DATE)", "CAST(t AS TIMESTAMP)", "CAST(ts AS TIME)", "CAST(t AS VARCHAR)", "CAST(ts AS VARCHAR)",
                     "t + INTERVAL '1 month'", "t - INTERVAL '1 year'", "t + INTERVAL '1 month 3 days'", "ts + INTERVAL '1 month'", "ts - INTERVAL '90 minutes'", "ts + INTERVAL '1 year 2 months 3 days 4 hours'", "t - DATE '2000-01-01'", "ts - TIMESTAMP '1990-01-01'", "t + 3", "t > DATE '2000-01-01'", "ts BETWEEN TIMESTAMP '1900-01-01' AND TIMESTAMP '2000-01-01'",
                     "CAST(ts AS TIME) + INTERVAL '1 hour'", "date_part('hour', CAST(ts AS TIME))", "date_trunc('minute', CAST(ts AS TIME))"])
    topic.alone(["now() > TIMESTAMP '2020-01-01'", "current_timestamp > TIMESTAMP '2020-01-01'", "current_date > DATE '2020-01-01'", "today() = current_date()", "current_time() >= TIME '00:00:00'", "to_timestamp('2024-01-02T03:04:05Z')", "to_timestamp('2024-01-02 03:04:05.123456789')", "to_timestamp('02/01/2024', '%d/%m/%Y')", "to_date('2024-03-05')", "to_date('05.03.2024', '%d.%m.%Y')", "to_time('12:30:00')", "to_timestamp_seconds('2024-01-01')",
                 "make_date(2024, 2, 29)", "date_part('epoch', INTERVAL '1 day 2 hours')", "date_part('month', INTERVAL '14 months')", "INTERVAL '1 year' + INTERVAL '1 day'", "INTERVAL '3 days' = INTERVAL '72 hours'", "INTERVAL '1 month' > INTERVAL '29 days'", "DATE '2024-01-31' + INTERVAL '1 month'", "TIMESTAMP '2024-03-31T02:30:00' AT TIME ZONE 'Europe/Berlin'", "TIME '23:59:59'", "TIMESTAMP '2024-01-01T00:00:00+02:00'", "arrow_cast('2024-06-01T12:00:00', 'Timestamp(Nanosecond, Some(\"Europe/Berlin\"))')",
                 "to_local_time(TIMESTAMP '2024-06-01T12:00:00' AT TIME ZONE 'Europe/Berlin')", "to_char(INTERVAL '1 day', '%d')", "arrow_cast(5, 'Duration(Second)')", "make_time(23, 59, 59)"])
    topic.write()


def conditional_functions():
    topic = Topic("conditional", TABLE)
    for c, other in (("i", "id"), ("f", "d"), ("d", "w"), ("s", "p"), ("t", "DATE '2000-01-01'"), ("ts", "TIMESTAMP '2000-01-01'"), ("b", "true")):
        topic.each("v", [f"coalesce({c}, {other})", f"nullif({c}, {other})", f"greatest({c}, {other})", f"least({c}, {other})", f"nvl({c}, {other})", f"ifnull({c}, {other})", f"nvl2({c}, {other}, {c})", f"CASE WHEN {c} = {other} THEN 'same' WHEN {c} IS NULL THEN 'null' ELSE 'other' END",
                         f"{c} IS DISTINCT FROM {other}", f"{c} IS NOT DISTINCT FROM {other}", f"{c} IN ({other}, {c})", f"{c} BETWEEN {other} AND {c}", f"arrow_typeof({c})", f"arrow_cast({c}, 'Utf8')", f"TRY_CAST({c} AS VARCHAR)"])
    topic.each("v", ["greatest(i, id, 3)", "least(f, 0.0, d)", "coalesce(NULL, NULL, i)", "b IS TRUE", "b IS NOT FALSE", "b IS UNKNOWN", "b AND i > 0", "b OR i > 0", "NOT b", "struct(i, s)", "row(i, s)", "named_struct('a', i, 'b', s)", "get_field(named_struct('a', i, 'b', s), 'a')", "named_struct('a', i)['a']", "arrow_metadata(arrow_cast(i, 'Int64'), 'k')", "with_metadata(i, 'k', 'v')", "arrow_try_cast(s, 'Int32')"])
    casts = {"i": ["TINYINT UNSIGNED", "SMALLINT", "BIGINT", "DOUBLE", "REAL", "DECIMAL(15,3)", "VARCHAR", "BOOLEAN"], "f": ["INTEGER", "BIGINT", "REAL", "DECIMAL(20,4)", "VARCHAR", "BOOLEAN"], "d": ["INTEGER", "BIGINT", "DOUBLE", "DECIMAL(8,1)", "DECIMAL(38,10)", "VARCHAR"], "w": ["DOUBLE", "DECIMAL(38,3)", "VARCHAR", "BIGINT"],
             "s": ["INTEGER", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "DECIMAL(10,2)", "VARCHAR"], "t": ["TIMESTAMP", "VARCHAR", "INTEGER"], "ts": ["DATE", "BIGINT", "VARCHAR"], "b": ["INTEGER", "VARCHAR"]}
    topic.each("v", [f"TRY_CAST({c} AS {t})" for c, ts in casts.items() for t in ts])
    topic.alone([f"CAST({v} AS {t})" for v, t in [("'12'", "INTEGER"), ("' 12 '", "INTEGER"), ("'1e3'", "DOUBLE"), ("'inf'", "DOUBLE"), ("'2024-02-29'", "DATE"), ("'12:30:00'", "TIME"), ("'true'", "BOOLEAN"), ("'t'", "BOOLEAN"), ("'12.345'", "DECIMAL(10,2)"), ("1.5", "INTEGER"), ("-1.5", "INTEGER"), ("2.5", "BIGINT"), ("true", "INTEGER"), ("0", "BOOLEAN"), ("'1 day'", "INTERVAL"), ("1e20", "DECIMAL(38,0)"), ("X'6869'", "VARCHAR"), ("'a'", "BYTEA")]])
    topic.alone(["arrow_typeof(1)", "arrow_typeof('a')", "arrow_typeof(make_array(1))", "arrow_cast(1, 'UInt8')", "arrow_cast('a', 'Dictionary(Int32, Utf8)')", "union_tag(NULL)", "arrow_field(1)", "cast_to_type('12', 5)", "try_cast_to_type('x', 5)", "nvl(NULL, 3)"])
    topic.write()


def nested_functions():
    topic = Topic("nested", NESTED)
    unary = "array_any_value array_compact array_dims array_distinct empty array_empty array_length array_max array_min array_ndims array_pop_back array_pop_front array_reverse array_sort cardinality flatten list_length list_distinct list_sort list_max list_reverse array_sum array_avg array_product".split()
    topic.each("n", [f"{f}({c})" for f in unary for c in ("l", "m", "g")])
    topic.each("n", [f"array_append({c}, {v})" for c, v in (("l", "9"), ("m", "'z'"))] + [f"array_prepend({v}, {c})" for c, v in (("l", "9"), ("m", "'z'"))])
    topic.each("n", ["array_cat(l, l)", "array_concat(m, make_array('q'))", "list_cat(l, make_array(1))", "l || make_array(8)", "array_contains(l, 1)", "array_has(m, 'a')", "array_has_all(l, make_array(1, 3))", "array_has_any(l, make_array(1, 99))", "arrays_overlap(l, make_array(5))", "array_element(l, 2)", "l[1]", "l[-1]", "l[2:3]", "m[1]", "array_extract(l, 1)", "element_at(map(make_array('a'), make_array(id)), 'a')", "array_except(l, make_array(1))", "array_intersect(l, make_array(1, 2, 5))", "array_union(l, make_array(1, 10))",
                     "array_join(m, '-')", "array_to_string(l, ',')", "array_to_string(l, ',', 'nil')", "list_to_string(m, '+')", "array_position(l, 1)", "array_position(l, 1, 3)", "array_positions(l, 1)", "array_indexof(l, 2)", "array_remove(l, 1)", "array_remove_n(l, 1, 1)", "array_remove_all(l, 1)", "array_repeat(id, 2)", "array_repeat(l, 2)", "array_replace(l, 1, 100)", "array_replace_n(l, 1, 100, 1)", "array_replace_all(l, 1, 100)", "array_resize(l, 2)", "array_resize(l, 5, 0)", "array_slice(l, 1, 2)", "array_slice(l, 1, 4, 2)", "array_sort(l, 'DESC', 'NULLS LAST')", "arrays_zip(l, m)", "list_zip(l, l)",
                     "array_distance(g, make_array(0.0, 0.0))", "cosine_distance(g, make_array(1.0, 1.0))", "inner_product(g, make_array(1.0, 2.0))", "dot_product(g, g)", "array_normalize(g)", "array_add(g, g)", "array_subtract(g, g)", "array_scale(g, 2.0)", "make_array(id, id + 1)", "make_list(id, 2)", "range(id)", "range(1, id, 2)", "generate_series(1, id)", "map(make_array('k', 'j'), make_array(id, 2))", "map_keys(MAP {'a': id, 'b': 2})", "map_values(MAP {'a': id, 'b': 2})", "map_entries(MAP {'a': id})", "map_extract(MAP {'a': id, 'b': 2}, 'a')", "MAP {'a': id}['a']",
                     "named_struct('x', l, 'y', m)", "struct(l, id)", "l = make_array(7)", "l IS NULL", "l < make_array(4)", "coalesce(l, make_array(0))", "CASE WHEN id = 1 THEN l ELSE make_array(-1) END", "arrow_typeof(l)", "arrow_cast(l, 'List(Int32)')", "array_length(m)", "nullif(l, make_array(7))", "CAST(l AS VARCHAR)"])
    topic.alone(["flatten(make_array(make_array(1, 2), make_array(3)))", "array_dims(make_array(make_array(1, 2), make_array(3, 4)))", "array_ndims(make_array(make_array(1)))", "make_array()", "generate_series(DATE '2024-01-01', DATE '2024-03-01', INTERVAL '1 month')", "range(DATE '2024-01-01', DATE '2024-01-04', INTERVAL '1 day')", "array_length(make_array(make_array(1, 2)), 2)", "map_keys(MAP {})", "make_array(1, NULL, 3)", "make_array(named_struct('a', 1), named_struct('a', 2))", "[1, 2, 3]", "{'a': 1, 'b': [1, 2]}", "[1, 2][1]"])
    for key in ("l", "m", "g"):
        topic.query(f"SELECT {key}, count(*), min(id) FROM n GROUP BY {key}")
        topic.query(f"SELECT DISTINCT {key} FROM n")
        topic.query(f"SELECT a.id, b.id FROM n a JOIN n b ON a.{key} = b.{key}")
        topic.query(f"SELECT id, row_number() OVER (ORDER BY {key}, id) FROM n")
        topic.query(f"SELECT id, lag({key}) OVER (ORDER BY id), first_value({key}) OVER (ORDER BY id DESC) FROM n")
        topic.query(f"SELECT id, unnest({key}) FROM n")
        topic.query(f"SELECT array_agg({key}) FROM n WHERE id = 1")
        topic.query(f"SELECT {key} FROM n UNION SELECT {key} FROM n")
    topic.write()


def aggregate_functions():
    topic = Topic("aggregate", TABLE)
    unary = "approx_distinct avg count max mean median min stddev stddev_pop stddev_samp sum var var_pop var_population var_samp var_sample any_value".split()
    for group in ("", "id % 3", "b"):
        key, suffix = (f"{group} AS k, ", f" GROUP BY {group}") if group else ("", "")
        for f in unary:
            for c in ("i", "f", "d"):
                if f == "any_value" and not group:
                    continue
                argument = f"{c} FILTER (WHERE id = 1)" if f == "any_value" else c
                topic.query(f"SELECT {key}{f}({c}){' FILTER (WHERE id = 1)' if f == 'any_value' else ''} AS x FROM v{suffix}")
        for call in ("bit_and(i)", "bit_or(i)", "bit_xor(i)", "bool_and(b)", "bool_or(b)", "corr(f, d)", "covar(f, d)", "covar_pop(f, d)", "covar_samp(f, d)", "regr_avgx(f, d)", "regr_avgy(f, d)", "regr_count(f, d)", "regr_intercept(f, d)", "regr_r2(f, d)", "regr_slope(f, d)", "regr_sxx(f, d)", "regr_sxy(f, d)", "regr_syy(f, d)",
                     "first_value(s ORDER BY id)", "last_value(s ORDER BY id)", "first_value(i ORDER BY id DESC)", "nth_value(s, 2 ORDER BY id)", "array_agg(i ORDER BY id)", "array_agg(DISTINCT b ORDER BY b)", "string_agg(s, '|' ORDER BY id)", "string_agg(DISTINCT p, '|' ORDER BY p)", "min(s)", "max(s)", "min(t)", "max(ts)", "min(b)", "max(w)", "sum(w)", "count(DISTINCT s)", "sum(DISTINCT i)", "count(s, i)",
                     "approx_median(f)", "approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY f)", "approx_percentile_cont(f, 0.9)", "approx_percentile_cont_with_weight(f, id, 0.5)", "approx_percentile_cont_with_weight(id, 0.5) WITHIN GROUP (ORDER BY f)", "percentile_cont(0.25) WITHIN GROUP (ORDER BY f)", "quantile_cont(f, 0.75)", "percentile_cont(f, 0.5)", "median(DISTINCT i)", "count(*) FILTER (WHERE b)", "sum(i) FILTER (WHERE f > 0)", "avg(t - DATE '2000-01-01')", "min(ts - TIMESTAMP '2000-01-01')"):
            topic.query(f"SELECT {key}{call} AS x FROM v{suffix}")
    topic.query("SELECT i % 2 AS a, b, grouping(i % 2), grouping(b), count(*) FROM v GROUP BY ROLLUP (i % 2, b)")
    topic.write()


def window_functions():
    topic = Topic("window", TABLE)
    calls = ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(3)", "lag(s)", "lag(i, 2, 0)", "lead(t)", "lead(d, 1, 0)", "first_value(s)", "last_value(s)", "nth_value(i, 2)", "sum(i)", "avg(f)", "min(s)", "max(ts)", "count(b)", "array_agg(i)", "string_agg(p, ',')", "stddev(f)", "median(i)", "bool_or(b)", "corr(f, d)", "sum(w)", "approx_distinct(i)", "first_value(i) IGNORE NULLS", "lag(s) IGNORE NULLS", "last_value(d) IGNORE NULLS", "nth_value(s, 1) IGNORE NULLS"]
    for over in ("ORDER BY id", "PARTITION BY b ORDER BY id", "PARTITION BY id % 2 ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ORDER BY t NULLS FIRST, id", "ORDER BY id RANGE BETWEEN 2 PRECEDING AND CURRENT ROW", "ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"):
        for call in calls:
            # DataFusion takes rows out of floating-point sums, which loses digits after 1e10 has passed through.
            if "BETWEEN" in over and call in ("avg(f)", "stddev(f)", "corr(f, d)"):
                continue
            topic.query(f"SELECT id, {call} OVER ({over}) AS x FROM v")
    topic.query("SELECT id, sum(i) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '10 years' PRECEDING AND CURRENT ROW) AS x FROM v WHERE ts IS NOT NULL")
    topic.write()


TYPES = {
    "decimal256": "arrow_cast(d, 'Decimal256(60, 5)')", "decimal32": "arrow_cast(d, 'Decimal32(9, 2)')", "decimal64": "arrow_cast(d, 'Decimal64(15, 2)')", "wide": "w", "tiny": "CAST(i % 100 AS TINYINT)", "small": "CAST(i % 100 AS SMALLINT)", "unsigned": "arrow_cast(abs(i % 100), 'UInt32')", "unsigned64": "arrow_cast(abs(i % 100), 'UInt64')", "unsigned8": "arrow_cast(abs(i % 100), 'UInt8')", "real": "CAST(f AS REAL)",
    "time32s": "arrow_cast(CAST(ts AS TIME), 'Time32(Second)')", "time32ms": "arrow_cast(CAST(ts AS TIME), 'Time32(Millisecond)')", "time64us": "arrow_cast(CAST(ts AS TIME), 'Time64(Microsecond)')", "time64ns": "CAST(ts AS TIME)", "date64": "arrow_cast(t, 'Date64')", "seconds": "arrow_cast(ts, 'Timestamp(Second, None)')", "millis": "arrow_cast(ts, 'Timestamp(Millisecond, None)')", "zoned": "arrow_cast(ts, 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))')", "utc": "arrow_cast(ts, 'Timestamp(Nanosecond, Some(\"+00:00\"))')",
    "interval": "arrow_cast(concat(id % 3, ' days'), 'Interval(MonthDayNano)')", "duration": "arrow_cast(id % 3 * 86400, 'Duration(Second)')", "binary": "arrow_cast(s, 'Binary')", "binaryview": "arrow_cast(s, 'BinaryView')", "largebinary": "arrow_cast(s, 'LargeBinary')", "fixedbinary": "arrow_cast(arrow_cast(substr(concat(s, '----'), 1, 0) || 'abcd', 'Binary'), 'FixedSizeBinary(4)')", "largeutf8": "arrow_cast(s, 'LargeUtf8')", "utf8": "arrow_cast(s, 'Utf8')", "dictionary": "arrow_cast(arrow_cast(s, 'Utf8'), 'Dictionary(Int32, Utf8)')", "dictionary_int": "arrow_cast(i, 'Dictionary(Int8, Int32)')",
    "list": "make_array(i, 1)", "liststring": "make_array(s, p)", "fixedlist": "arrow_cast(make_array(i, 2), 'FixedSizeList(2, Int64)')", "largelist": "arrow_cast(make_array(i, 2), 'LargeList(Int64)')", "struct": "named_struct('a', i, 'b', s)", "deep": "named_struct('a', make_array(named_struct('c', i)), 'b', s)", "map": "map(make_array('k'), make_array(i))", "null": "NULL", "half": "arrow_cast(CAST(id AS DOUBLE) / 2, 'Float16')", "intervalym": "arrow_cast('1 month', 'Interval(YearMonth)')", "intervaldt": "arrow_cast('1 day', 'Interval(DayTime)')", "boolean": "b",
}


def type_paths():
    """Each type through scan, filter, join keys, group keys, sort, window, set operations and output."""
    topic = Topic("types", TABLE.replace("'  padded  ', ' '", "'padded', '_'"))
    for name, expression in TYPES.items():
        setup = f"CREATE TABLE ty_{name} AS SELECT id, {expression} AS x FROM v"
        try:
            CONTEXT.sql(setup).collect()
        except BaseException as error:
            print(f"left out: {setup}: {str(error)[:150]}", file=sys.stderr)
            continue
        topic.lines += ["", "statement ok", setup]
        table = f"ty_{name}"
        for sql in (f"SELECT id, x FROM {table}", f"SELECT arrow_typeof(x) FROM {table} WHERE id = 1", f"SELECT id, x FROM {table} WHERE x IS NOT NULL AND id > 1", f"SELECT id FROM {table} WHERE x = (SELECT x FROM {table} WHERE id = 2)", f"SELECT id FROM {table} WHERE x IS DISTINCT FROM (SELECT x FROM {table} WHERE id = 2)", f"SELECT a.id FROM {table} a, {table} b WHERE b.id = 7 AND a.x < b.x",
                    f"SELECT a.id, b.id FROM {table} a JOIN {table} b ON a.x = b.x", f"SELECT a.id, b.x FROM {table} a LEFT JOIN {table} b ON a.x = b.x AND b.id > 3", f"SELECT id FROM {table} WHERE x IN (SELECT x FROM {table} WHERE id > 5)", f"SELECT x, count(*), min(id) FROM {table} GROUP BY x", f"SELECT x, id % 2, count(*) FROM {table} GROUP BY x, id % 2", f"SELECT DISTINCT x FROM {table}",
                    f"SELECT id, row_number() OVER (ORDER BY x, id ROWS UNBOUNDED PRECEDING) FROM {table}", f"SELECT id, row_number() OVER (ORDER BY x DESC NULLS LAST, id ROWS UNBOUNDED PRECEDING) FROM {table}", f"SELECT id, rank() OVER (PARTITION BY x ORDER BY id) FROM {table}", f"SELECT id, lag(x) OVER (ORDER BY id), last_value(x) OVER (ORDER BY id) FROM {table}", f"SELECT id, x FROM {table} ORDER BY x, id LIMIT 3", f"SELECT x FROM {table} UNION SELECT x FROM {table}", f"SELECT x FROM {table} INTERSECT SELECT x FROM {table} WHERE id < 4",
                    f"SELECT count(x), count(DISTINCT x) FROM {table}", f"SELECT min(x), max(x) FROM {table}", f"SELECT id % 2, first_value(x ORDER BY id), last_value(x ORDER BY id) FROM {table} GROUP BY id % 2", f"SELECT id % 2, array_agg(x ORDER BY id) FROM {table} GROUP BY id % 2", f"SELECT id, CASE WHEN id < 4 THEN x END FROM {table}", f"SELECT id, coalesce(x, (SELECT x FROM {table} WHERE id = 1)) FROM {table}", f"SELECT id, make_array(x) FROM {table}", f"SELECT id, named_struct('q', x) FROM {table}"):
            # Not asked, because DataFusion contradicts itself: min and max of lists put nulls last where ORDER BY puts them first; a map is shown by
            # pyarrow without its offset; 16-bit floats keep -0 apart from 0.
            nested = name.endswith("list") or name in ("liststring", "struct", "deep", "map")
            if nested and sql.startswith("SELECT min") or name == "map" and ("make_array" in sql or "array_agg" in sql):
                continue
            topic.query(sql)
    topic.write()


if __name__ == "__main__":
    for topic in (math_functions, string_functions, temporal_functions, conditional_functions, nested_functions, aggregate_functions, window_functions, type_paths):
        CONTEXT = datafusion.SessionContext(datafusion.SessionConfig({"datafusion.execution.target_partitions": "1", "datafusion.sql_parser.parse_float_as_decimal": "true"}))
        topic()
