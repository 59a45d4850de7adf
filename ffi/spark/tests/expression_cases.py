"""Every expression that is held against Spark's own: texts over the columns a, b, c, and the types that those have (names of edge_values.TYPES)."""
import itertools

INTEGERS = ["tinyint", "smallint", "int", "bigint"]
FLOATS = ["float", "double"]
DECIMALS = ["decimal(5,2)", "decimal(18,4)", "decimal(18,0)", "decimal(38,10)", "decimal(38,0)"]
NUMBERS = INTEGERS + FLOATS + DECIMALS
TIMES = ["date", "timestamp", "timestamp_ntz"]
FLAT = NUMBERS + ["boolean", "string", "binary"] + TIMES
LISTS = ["array<int>", "array<string>", "array<double>"]

SAME = [(t, t) for t in NUMBERS]
MIXED = [
    ("tinyint", "bigint"), ("int", "double"), ("bigint", "float"), ("int", "decimal(5,2)"), ("bigint", "decimal(18,4)"), ("decimal(5,2)", "decimal(18,4)"),
    ("decimal(18,4)", "decimal(38,10)"), ("decimal(38,10)", "decimal(5,2)"), ("decimal(38,0)", "decimal(38,10)"), ("double", "decimal(18,4)"),
]
COMPARISONS = "a = b, a <> b, a < b, a <= b, a > b, a >= b, a <=> b"
CAST_FROM = FLAT + ["numeral", "moment_text", "truth"]
CAST_TO = NUMBERS + ["boolean", "string", "binary"] + TIMES
#: Texts are many, and mean something to few types.
CAST_TEXTS = {"numeral": NUMBERS + ["boolean"], "moment_text": TIMES, "truth": ["boolean"], "string": ["string", "binary", "boolean", "int", "date"]}

#: Text → lists of types for a, b, c; "|" parts those of one column.
ARITHMETIC = {
    "a + b": SAME + MIXED, "a - b": SAME + MIXED, "a * b": SAME + MIXED, "a / b": SAME + MIXED, "a % b": SAME + MIXED,
    "a div b": [(t, t) for t in INTEGERS + DECIMALS], "pmod(a, b)": [(t, t) for t in NUMBERS],
    "try_add(a, b), try_subtract(a, b), try_multiply(a, b)": [(t, t) for t in INTEGERS + DECIMALS], "try_divide(a, b), try_mod(a, b)": [(t, t) for t in ["int", "bigint", "double", "decimal(18,4)"]],
    "-a": [(t,) for t in NUMBERS], "+a": [("int",)], "abs(a)": [(t,) for t in NUMBERS], "sign(a), signum(a)": [("double",), ("int",), ("decimal(18,4)",)],
    "a + 1, a - 1, a * 2": [(t,) for t in INTEGERS], "a * 1.1, a / 3.0, a + 0.05": [(t,) for t in ["int", "decimal(18,4)", "decimal(38,10)"]],
    "a & b, a | b, a ^ b, ~a": [(t, t) for t in INTEGERS], "shiftleft(a, b), shiftright(a, b), shiftrightunsigned(a, b)": [("int", "small"), ("bigint", "small")],
    "bit_count(a)": [(t,) for t in INTEGERS], "greatest(a, b), least(a, b)": [(t, t) for t in FLAT if t != "binary"],
}
MATHEMATICS = {
    "ceil(a), floor(a)": [(t,) for t in ["double", "decimal(18,4)", "decimal(38,10)", "bigint"]],
    "round(a)": [(t,) for t in NUMBERS], "round(a, 1), round(a, -1)": [(t,) for t in NUMBERS], "bround(a, 1), bround(a, -1)": [(t,) for t in NUMBERS],
    "sqrt(a), cbrt(a)": [("double",)], "exp(a), expm1(a)": [("double",)], "ln(a), log10(a), log2(a), log1p(a)": [("double",)], "log(a, b)": [("double", "double")],
    "pow(a, b)": [("double", "double")], "sin(a), cos(a), tan(a)": [("double",)], "asin(a), acos(a), atan(a)": [("double",)], "atan2(a, b), hypot(a, b)": [("double", "double")],
    "sinh(a), cosh(a), tanh(a)": [("double",)], "degrees(a), radians(a)": [("double",)], "rint(a)": [("double",)], "isnan(a)": [("float",), ("double",)],
    "nanvl(a, b)": [("double", "double"), ("float", "float")], "hex(a)": [("bigint",), ("string",), ("binary",)], "unhex(a)": [("numeral",)], "bin(a)": [("bigint",)],
    "conv(a, 10, 16)": [("numeral",)], "factorial(a)": [("small",)], "width_bucket(a, 0, 10, 5)": [("double",)],
}
CONDITIONS = {
    COMPARISONS: [(t, t) for t in FLAT] + MIXED + [("date", "timestamp"), ("timestamp_ntz", "timestamp"), ("string", "int"), ("date", "moment_text")],
    "a AND b, a OR b, NOT a": [("boolean", "boolean")], "a IS NULL, a IS NOT NULL": [(t,) for t in FLAT + ["array<int>"]], "a IS TRUE, a IS NOT TRUE, a IS FALSE": [("boolean",)],
    "a IN (1, 2, 100), a NOT IN (1, NULL)": [(t,) for t in NUMBERS], "a IN ('a', 'ß', ''), a NOT IN ('a', NULL)": [("string",)], "a BETWEEN b AND b": [("int", "int"), ("double", "double"), ("string", "string")],
    "if(a, b, b + 1)": [("boolean", "int")], "CASE WHEN a THEN b WHEN b = 0 THEN 5 END": [("boolean", "int"), ("boolean", "decimal(18,4)")], "CASE a WHEN 1 THEN 'x' WHEN b THEN 'y' ELSE 'z' END": [("int", "int")],
    "CASE WHEN b <> 0 THEN a div b ELSE 0 END": [("int", "int"), ("bigint", "bigint")], "b = 0 OR a % b > 1, b <> 0 AND a % b > 1": [("int", "int")],
    "coalesce(a, b)": [(t, t) for t in FLAT] + MIXED, "nullif(a, b)": [(t, t) for t in FLAT], "ifnull(a, b), nvl2(a, b, 1)": [("int", "int")], "equal_null(a, b)": [("double", "double")],
    "hash(a, b), xxhash64(a, b)": [(t, t) for t in FLAT], "hash(a)": [("array<int>",)],
}
CASTS = {f"cast(a AS {to})": [(t,) for t in CAST_FROM if to in CAST_TEXTS.get(t, CAST_TO)] for to in CAST_TO} | {
    f"try_cast(a AS {to})": [(t,) for t in CAST_TEXTS if to in CAST_TEXTS[t]] + [("bigint",), ("double",), ("decimal(38,10)",)] for to in ["int", "bigint", "double", "decimal(5,2)", "decimal(38,10)", "boolean", "date", "timestamp"]
}
STRINGS = {
    "length(a), char_length(a), octet_length(a), bit_length(a)": [("string",), ("binary",)], "upper(a), lower(a), initcap(a)": [("string",)], "reverse(a)": [("string",)], "ascii(a)": [("string",)], "chr(a)": [("small",), ("bigint",)],
    "trim(a), ltrim(a), rtrim(a)": [("string",)], "trim(BOTH 'xa ' FROM a), trim(LEADING b FROM a)": [("string", "string")], "btrim(a, 'a ')": [("string",)],
    "substring(a, b)": [("string", "small")], "substring(a, b, c)": [("string", "small", "small")], "substring(a, 2, 3), substring(a, -2), substring(a, 0, 2)": [("string",), ("binary",)],
    "left(a, b), right(a, b)": [("string", "small")], "substring_index(a, ',', b)": [("string", "small")], "concat(a, b), a || b": [("string", "string")], "concat(a, b, a)": [("string", "int")], "concat_ws(',', a, b)": [("string", "string")],
    "replace(a, b, '_')": [("string", "string")], "replace(a, 'a', ''), replace(a, '')": [("string",)], "translate(a, 'abl', 'xy')": [("string",)], "overlay(a PLACING '__' FROM 2 FOR 1)": [("string",)],
    "repeat(a, b)": [("string", "small")], "space(a)": [("small",)], "lpad(a, b, '*'), rpad(a, b, 'xy')": [("string", "small")], "lpad(a, 5), rpad(a, 5)": [("string",)], "lpad(a, 3, ''), rpad(a, 3, '')": [("string",)],
    "locate(b, a), instr(a, b), position(b, a)": [("string", "string")], "locate('l', a, b)": [("string", "small")], "contains(a, b), startswith(a, b), endswith(a, b)": [("string", "string"), ("binary", "binary")],
    "a LIKE '%a%', a LIKE 'a%', a LIKE '%c', a LIKE '_', a LIKE ''": [("string",)], "a LIKE 'a\\\\%b_c', a LIKE '%é%', a LIKE 'a_c'": [("string",)], "a LIKE b": [("string", "string")], "a ILIKE '%A%', a ILIKE 'ß'": [("string",)],
    "a LIKE 'a!%b!_c' ESCAPE '!'": [("string",)], "a RLIKE '^a.*c$', a RLIKE '[[:space:]]'": [("string",)], "regexp_replace(a, '[a-c]+', '<$0>')": [("string",)], "regexp_extract(a, '(\\\\w+) (\\\\w+)', 2)": [("string",)], "regexp_count(a, 'l')": [("string",)],
    "split_part(a, ',', 2)": [("string",)], "split_part(a, ',', b)": [("string", "small")], "split(a, ',')": [("string",)], "split(a, '[a-c]+'), split(a, 'l', 2), split(a, ' ', 0), split(a, 'l', 1)": [("string",)], "split(a, ''), split(a, 'x*')": [("string",)], "find_in_set(a, 'a,abc,')": [("string",)], "levenshtein(a, b), soundex(a)": [("string", "string")],
    "md5(a), sha1(a), sha2(a, 256), crc32(a)": [("binary",)], "base64(a), unbase64(base64(a))": [("binary",)], "encode(a, 'UTF-8')": [("string",)], "decode(a, 'UTF-8')": [("binary",)], "format_number(a, 2)": [("double",)],
    "format_string('%s-%05d', a, b)": [("string", "int")], "to_number(a, '999.99')": [("numeral",)], "elt(b, a, 'x')": [("string", "small")],
}
TIMES_AND_DATES = {
    "year(a), month(a), day(a), quarter(a), dayofweek(a), dayofyear(a), weekofyear(a), weekday(a)": [(t,) for t in TIMES], "hour(a), minute(a), second(a)": [("timestamp",), ("timestamp_ntz",)],
    "extract(YEAROFWEEK FROM a), extract(DOW FROM a), extract(DOW_ISO FROM a)": [("date",)], "extract(SECOND FROM a)": [("timestamp",)], "date_add(a, b), date_sub(a, b)": [("date", "small"), ("date", "int")], "a + 1, a - 1": [("date",)],
    "datediff(a, b)": [("date", "date")], "a - b": [("date", "date"), ("timestamp", "timestamp")], "add_months(a, b)": [("date", "small")], "months_between(a, b)": [("timestamp", "timestamp")], "last_day(a)": [("date",)], "next_day(a, 'MON')": [("date",)],
    "trunc(a, 'YEAR'), trunc(a, 'MM'), trunc(a, 'WEEK'), trunc(a, 'QUARTER'), trunc(a, 'nothing')": [("date",)], "date_trunc('YEAR', a), date_trunc('MONTH', a), date_trunc('WEEK', a)": [("timestamp",)],
    "date_trunc('DAY', a), date_trunc('HOUR', a), date_trunc('MINUTE', a), date_trunc('SECOND', a), date_trunc('MILLISECOND', a)": [("timestamp",)],
    "a + INTERVAL 3 DAYS, a - INTERVAL 1 MONTH": [("date",), ("timestamp",), ("timestamp_ntz",)], "a + INTERVAL '1 02:03:04.5' DAY TO SECOND": [("timestamp",), ("timestamp_ntz",)], "a + INTERVAL '1-2' YEAR TO MONTH": [("date",), ("timestamp",)],
    "unix_timestamp(a), unix_seconds(a), unix_millis(a), unix_micros(a)": [("timestamp",)], "unix_date(a)": [("date",)], "date_from_unix_date(a)": [("int",)], "timestamp_seconds(a)": [("bigint",), ("double",)], "timestamp_millis(a), timestamp_micros(a)": [("bigint",)],
    "from_unixtime(a)": [("bigint",)], "date_format(a, 'yyyy-MM-dd HH:mm:ss')": [("timestamp",)], "to_date(a)": [("moment_text",)], "to_timestamp(a)": [("moment_text",)], "to_date(a, 'yyyy-MM-dd')": [("moment_text",)],
    "make_date(a, b, c)": [("small", "small", "small")], "from_utc_timestamp(a, 'America/Los_Angeles'), to_utc_timestamp(a, 'America/Los_Angeles')": [("timestamp",)], "timestampdiff(HOUR, a, b)": [("timestamp", "timestamp")],
}
ARRAYS = {
    "size(a), array_distinct(a), reverse(a)": [(t,) for t in LISTS], "array_max(a), array_min(a)": [(t,) for t in LISTS], "sort_array(a), sort_array(a, false)": [(t,) for t in LISTS],
    "array_union(a, b), array_except(a, b)": [(t, t) for t in LISTS], "array_intersect(a, b), arrays_overlap(a, b)": [(t, t) for t in LISTS], "array_union(a, array(7)), array_intersect(array(1), a)": [("array<int>",)],
    "array_position(a, b), array_contains(a, b)": [("array<int>", "int"), ("array<string>", "string"), ("array<double>", "double")],
    "slice(a, b, c)": [("array<int>", "small", "small")], "slice(a, 1, 2), slice(a, -2, 2), slice(a, 2, 0)": [(t,) for t in LISTS], "flatten(array(a, b))": [("array<int>", "array<int>"), ("array<string>", "array<string>")],
    "array_join(a, ','), array_join(a, '-', '?')": [("array<string>",), ("array<int>",)], "array_join(a, b)": [("array<string>", "string")], "element_at(a, b), a[b]": [("array<string>", "small")],
    "try_element_at(a, b), get(a, b)": [("array<double>", "small")], "array(a, b)": [("int", "int"), ("string", "string")], "a = b, a < b": [("array<int>", "array<int>")],
}
AGGREGATES = {
    "count(*), count(a), count(DISTINCT a)": [(t,) for t in FLAT], "min(a), max(a)": [(t,) for t in FLAT], "sum(a)": [(t,) for t in NUMBERS], "avg(a)": [(t,) for t in NUMBERS], "try_sum(a), try_avg(a)": [("bigint",), ("decimal(38,10)",)],
    "stddev(a), variance(a), stddev_pop(a), var_pop(a)": [("small",), ("decimal(5,2)",)], "bool_and(a), bool_or(a)": [("boolean",)], "bit_and(a), bit_or(a), bit_xor(a)": [(t,) for t in INTEGERS], "count_if(a)": [("boolean",)],
    "max_by(b, a), min_by(b, a)": [("int", "string")], "corr(a, b), covar_samp(a, b), covar_pop(a, b)": [("small", "small")], "sum(a) FILTER (WHERE b)": [("int", "boolean")], "sum(DISTINCT a), avg(DISTINCT a)": [("int",), ("decimal(5,2)",)],
    "skewness(a), kurtosis(a)": [("small",)], "sort_array(collect_list(a)), sort_array(collect_set(a))": [("int",), ("string",)],
}
GROUPS = {"arithmetic": ARITHMETIC, "mathematics": MATHEMATICS, "conditions": CONDITIONS, "casts": CASTS, "strings": STRINGS, "times": TIMES_AND_DATES, "arrays": ARRAYS, "aggregates": AGGREGATES}


def named(text, types):
    return f"{text} of {', '.join(types)}"


def cases(group):
    """Every (text, types) of a group; several expressions in one text are measured together."""
    return list(itertools.chain.from_iterable([(text, types) for types in each] for text, each in GROUPS[group].items()))
