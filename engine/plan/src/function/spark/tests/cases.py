"""The cases of the golden files."""
from generate import *  # noqa: F403

INF, NAN = float("inf"), float("nan")
INTS = {"int8": (-128, 127), "int16": (-2**15, 2**15 - 1), "int32": (-2**31, 2**31 - 1), "int64": (-2**63, 2**63 - 1)}
FAMILIES = {}


def family(function):
    FAMILIES[function.__name__] = function
    return function


def cast(f, value, to, modes="LAT"):
    target = sql_type(to)
    sql = {"L": "cast({0} as " + target + ")", "A": "cast({0} as " + target + ")", "T": "try_cast({0} as " + target + ")"}
    f.add("spark_cast", [value], to, sql, modes, [value, null(to), text(ZONE), i32(JAVA)])


NUMBER_TEXTS = ["", " ", "0", "-0", "+7", "12", " 12 ", "\t12\n", "\x7f12", "1.5", "-1.9", ".5", "5.", ".", "-", "+", "1e3", "1E3", "0x10", "127", "128", "-128", "-129", "32768",
                "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                "-9223372036854775809", "99999999999999999999", "1 2", "12a", "١٢", "1.2.3", "--1", "NaN", "nan", "Infinity", "-inf", "+INF", "1d", "1F", "1e400", "-1e-400",
                "4.9e-324", "0x1p3", "-0x1.8p1", "0x1.fffffffffffff8p0", "1e-7", "123456.789", "0.1", "1e38", "1E+5", "1e-50", "0e100", "00012", "\u00a012", "12\u3000",
                "1_000", "1,5", "3.4028236e38", "16777217", "0.000001", "9.995", "9.994999", "-9.995", "1e5000000000", "it's"]


@family
def cast_text_number(f):
    for t in NUMBER_TEXTS:
        for to in ("int32", "int64", "float64", "decimal(5,2)"):
            cast(f, text(t), to, "LA" if to != "int32" else "LAT")
        for to in ("int8", "float32", "decimal(38,18)"):
            cast(f, text(t), to, "L")
    for t in ["127", "128", "32767", "-32769", "1.5"]:
        cast(f, text(t), "int16")
        cast(f, text(t), "int8")
    for t in ["t", "TRUE", " yes ", "Y", "1", "f", "False", "no", "N", "0", "", "2", "tr", "o n", "\x7ftrue"]:
        cast(f, text(t), "boolean")
    cast(f, null("text"), "int32")


DATE_TEXTS = ["2020-01-02", " 2020-01-02 ", "2020-1-2", "2020", "2020-02", "2020-02-30", "2020-13-01", "0001-01-01", "9999-12-31", "10000-01-01", "+2020-01-01", "-0001-05-06",
              "1582-10-10", "1900-02-29", "2000-02-29", "2020-01-02T03:04:05", "2020-01-02 anything", "2020-1", "20200102", "12-01-01", "2020-01-", "2020--01", "", "x",
              "99999999-01-01", "5000000-01-01", "9999999-01-01", "2020/01/02", "2020-01-02x", "2020 ", "2020-02 10", "-", "T12", "2020-123-01"]
STAMP_TEXTS = ["2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020-01-02 03:04:05.123456", "2020-01-02 03:04:05.123456789", "2020-01-02 03:04:05.1", "2020-01-02 03:04:05.",
               "2020-01-02 03:04:05Z", "2020-01-02 03:04:05 UTC", "2020-01-02 03:04:05+01:00", "2020-01-02 03:04:05-7", "2020-01-02 03:04:05 +1:30", "2020-01-02 03:04:05+01:2",
               "2020-01-02 03:04:05.5Europe/Berlin", "2020-01-02 03:04:05 PST", "2020-01-02 03:04:05 EST", "2020-01-02 03:04:05 Nowhere/City", "2020-01-02 3:4:5", "2020-01-02 03:04",
               "2020-01-02 03", "2020-01-02", "2020-01", "2020", "2020-01-02 24:00:00", "2020-01-02 23:60:00", "2020-01-02 23:59:60", "2020-03-08 02:30:00", "2020-11-01 01:30:00",
               "2020-03-08 03:00:00", "1883-11-18 12:00:00", "1800-01-01 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "9999-07-01 00:00:00", "2100-07-01 12:00:00",
               "-0001-01-01 00:00:00", "294247-01-10 04:00:54", "294248-01-01 00:00:00", "999999-01-01 00:00:00", " 2020-01-02 03:04:05 ", "x", "", "2020-01-02 03:04:05 GMT+3",
               "2020-01-02 03:04:05UTC+03:30", "2020-01-02 03:04:05+19:00", "2020-01-02 03:04:05+18:00", "2020-01-02 03:04:05.123Z", "2020-01-02  03:04:05", "1969-12-31 23:59:59.999999",
               "1582-10-10 00:00:00", "2020-01-02 03:04:05 +0130", "2020-01-02 03:04:05+013015", "2020-01-02 03:04:05 +01:30:15", "12-01-02 00:00:00", "2020-01-02 03:04:05,5"]


@family
def cast_text_time(f):
    for t in DATE_TEXTS:
        cast(f, text(t), "date")
    for t in STAMP_TEXTS:
        cast(f, text(t), "timestamp", "LA")
        cast(f, text(t), "clock", "L")


F64 = [0.0, -0.0, 1.0, -1.0, 0.1, 2.0e-3, 1e-3, 9.99e-4, 1.5, 2.5, 3.5, -2.5, 1e7, 9999999.0, 12345678.9, 1e23, 2e23, 8.41e21, 2.2e-322, 4.9e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
       5e-324, 1e-5, 123456789012345680.0, 9007199254740993.0, 1e16, 1e17, 1e18, 9.223372036854775e18, 2**63, -2.0**63, 2147483647.5, 2147483648.0, -2147483648.9, -2147483649.0, 127.9, 128.0, -128.9,
       -129.0, 3.141592653589793, 100.0, 1.0e10, 1.1e-5, 2.0**52, 2.0**53 + 2, 4503599627370497.5, 1.0E22, 5.0E-5, 1.0E-10, 9.5e-3, 0.3, 299792458.0, 6.02214076e23, 1.1999999999999999e10,
       INF, -INF, NAN, 999.995, 1.005, 2.675, 0.5, -0.5, 1e38, 1e37, 12345.675]


def random_doubles(n, seed=7):
    import random
    import struct
    r = random.Random(seed)
    for _ in range(n):
        kind = r.randrange(4)
        if kind == 0:
            v = struct.unpack("<d", struct.pack("<Q", r.getrandbits(64)))[0]
        elif kind == 1:
            v = r.uniform(-1000, 1000)
        elif kind == 2:
            v = round(r.uniform(-10**r.randrange(1, 15), 10**6), r.randrange(0, 6))
        else:
            v = r.randrange(1, 100) * 10.0 ** r.randrange(-30, 40)
        if v == v and abs(v) != INF:
            yield v


@family
def cast_number(f):
    import struct
    single = lambda v: struct.unpack("<f", struct.pack("<f", v))[0] if abs(v) < 3e38 or v != v or abs(v) == INF else v  # noqa: E731
    for v in F64:
        for to in ("text", "int32", "int64", "int8", "decimal(10,2)", "float32"):
            cast(f, f64(v), to, "LA" if to in ("int32", "int64", "int8", "decimal(10,2)") else "L")
        cast(f, f64(v), "decimal(38,18)", "L")
        cast(f, f64(v), "decimal(22,0)", "L")
        if abs(v) < 3e38 or v != v or abs(v) == INF:
            w = single(v)
            for to in ("text", "int32", "decimal(10,2)", "float64"):
                cast(f, f32(w), to, "LA" if to == "int32" else "L")
    cast(f, f64(1e10), "int32", "T")
    cast(f, f64(1.5), "boolean", "L")
    for v in random_doubles(150):
        cast(f, f64(v), "text", "L")
        if 1e-40 < abs(v) < 3e38:
            cast(f, f32(single(v)), "text", "L")
    for name, (low, high) in INTS.items():
        for v in (low, -1, 0, 1, 44, 127, high):
            for to in ("int8", "int16", "int32", "int64", "text", "float32", "float64", "boolean", "decimal(3,0)", "decimal(12,2)", "timestamp"):
                if to != name and not (name == "int64" and to == "timestamp" and abs(v) > 2**50 and False):
                    cast(f, Typed(name, v), to, "LA" if to.startswith(("int", "decimal")) else "L")
    cast(f, i32(300), "int8", "T")
    cast(f, i32(1234), "decimal(3,0)", "T")
    for p, s, v in [(5, 2, 12345), (5, 2, -99999), (5, 2, 0), (5, 2, 50), (5, 2, 49), (5, 2, -50), (18, 0, 10**18 - 1), (38, 0, 10**38 - 1), (38, 18, 1), (38, 18, -5 * 10**17), (38, 38, 10**38 - 1),
                    (38, 10, 2147483647 * 10**10 + 9999999999), (38, 20, 2147483647 * 10**18 * 100 + 99999999999999999999), (20, 0, 9223372036854775808), (20, 0, -9223372036854775808), (10, 7, 1), (10, 6, 1),
                    (12, 12, 0), (10, 1, 2147483647), (20, 1, 92233720368547758079), (38, 0, 2**53 + 1), (38, 5, 123456789012345678901234567), (17, 2, 90071992547409931), (8, 7, 123)]:
        for to in ("int32", "int64", "int8", "decimal(5,1)", "decimal(38,6)"):
            cast(f, dec(p, s, v), to, "LA")
        for to in ("text", "float64", "float32", "boolean"):
            cast(f, dec(p, s, v), to, "LA" if to == "text" else "L")
    for v in (True, False):
        for to in ("int8", "int64", "float64", "decimal(3,1)", "text"):
            cast(f, boolean(v), to, "L")
    cast(f, dec(5, 2, 12345), "decimal(3,1)", "T")
    for v in ("", "616263", "c3a9"):
        cast(f, binary(v), "text", "L")
    cast(f, text("é"), "binary", "L")


DAYS = [0, -1, 1, 18262, 18321, -719162, 2932896, -141428, -141427, -25567, 11016, 2932897, -719529, 16000, 100000]
MICROS = [0, -1, 1, 1577934245123456, 1583661599999999, 1583661600000000, 1604217599999999, 1604221200000000, 1604224800000000, -62135596800000000, 253402300799999999, -12219292800000000,
          -2717640000000000, -2717650000000000, 4118083200000000, 4103000000000000, 253387000000000000, 1500000000000000, -1000001, 1230000]


@family
def cast_time(f):
    for v in DAYS:
        for to in ("timestamp", "clock", "text"):
            cast(f, date(v), to, "L")
    for v in MICROS:
        for to in ("date", "clock", "text", "int64", "int32", "float64"):
            cast(f, stamp(v), to, "LA" if to in ("int32", "int64") else "L")
        for to in ("date", "timestamp", "text"):
            cast(f, clock(v), to, "L")
    cast(f, stamp(253402300799999999), "int8", "LA")


@family
def number(f):
    some = [0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 7.25, -7.25, 1e300, INF, -INF, NAN, 5e-324]
    tries = {"divide": "try_divide({0}, {1})", "remainder": "try_mod({0}, {1})"}
    for name, op in [("divide", "/"), ("remainder", "%")]:
        for a in some:
            for b in (0.0, 2.5, -2.5, NAN, INF):
                f.add(f"spark_{name}", [f64(a), f64(b)], "float64", {"L": "{0} " + op + " {1}", "A": "{0} " + op + " {1}", "T": tries[name]}, "LA")
    f.add("spark_divide", [f64(1), f64(0)], "float64", {"T": tries["divide"]}, "T")
    for n, (low, high) in INTS.items():
        for a in (low, -7, 0, 7, high):
            for b in (low, -3, -1, 0, 3, high):
                f.add("spark_remainder", [Typed(n, a), Typed(n, b)], n, "{0} % {1}", "LA")
                if n in ("int32", "int64"):
                    f.add("spark_pmod", [Typed(n, a), Typed(n, b)], n, "pmod({0}, {1})", "L")
                if n == "int64":
                    f.add("spark_integral_divide", [i64(a), i64(b)], "int64", "{0} div {1}", "LA")
        for v in (low, -1, 0, high):
            f.add("spark_abs", [Typed(n, v)], n, "abs({0})", "LA")
            f.add("spark_bit_count", [Typed(n, v)], "int32", "bit_count({0})")
    for a in (-7.5, 7.5, 0.0, NAN, INF):
        for b in (2.0, -2.0, 0.0):
            f.add("spark_pmod", [f64(a), f64(b)], "float64", "pmod({0}, {1})")
    for a in (-12345, 12345, 0):
        for b in (700, -700, 0):
            f.add("spark_remainder", [dec(10, 2, a), dec(10, 2, b)], "decimal(10,2)", "{0} % {1}", "LA")
            f.add("spark_pmod", [dec(10, 2, a), dec(10, 2, b)], "decimal(10,2)", "pmod({0}, {1})", "L")
            f.add("spark_integral_divide", [dec(10, 2, a), dec(12, 3, b)], "int64", "{0} div {1}", "LA")
        f.add("spark_abs", [dec(10, 2, a)], "decimal(10,2)", "abs({0})", "L")
    big, one = dec(38, 10, 10**38 - 1), dec(38, 18, 15 * 10**17)
    pairs = [(dec(38, 18, 5), dec(38, 18, 10**37)), (big, big), (big, dec(38, 10, -1)), (one, big), (one, dec(38, 18, -3)), (dec(38, 0, 10**38 - 1), dec(38, 0, 1)), (dec(38, 0, 7), dec(38, 0, 3)), (dec(38, 18, -5), dec(38, 18, 3 * 10**18)),
             (dec(38, 0, 10**37), dec(38, 0, 0)), (dec(38, 38, 12345), dec(38, 38, 7)), (dec(38, 6, 25), dec(38, 6, 10**7 * 2))]
    for a, b in pairs:
        (p1, s1), (p2, s2) = ([int(x) for x in t.name[8:-1].split(",")] for t in (a, b))
        for name, op, to in [("add", "+", adjusted(max(s1, s2) + max(p1 - s1, p2 - s2) + 1, max(s1, s2))), ("subtract", "-", adjusted(max(s1, s2) + max(p1 - s1, p2 - s2) + 1, max(s1, s2))),
                             ("multiply", "*", adjusted(p1 + p2 + 1, s1 + s2)), ("divide", "/", adjusted(p1 - s1 + s2 + max(6, s1 + p2 + 1), max(6, s1 + p2 + 1)))]:
            f.add(f"spark_decimal_{name}", [a, b], to, "{0} " + op + " {1}", "L", [a, b, null(to)])
    for v in F64:
        f.add("spark_abs", [f64(v)], "float64", "abs({0})")
        for s in (-2, 0, 2):
            for name in ("round", "bround"):
                f.add(f"spark_{name}", [f64(v), i32(s)], "float64", name + "({0}, {1})", "L", [f64(v), i32(s), null("float64"), i32(JAVA)])
        for name in ("ceil", "floor"):
            f.add(f"spark_{name}", [f64(v)], "int64", name + "({0})", "L", [f64(v), null("int64")])
        for name in ("sqrt", "signum", "rint", "degrees", "radians"):
            f.add(f"spark_{name}", [f64(v)], "float64", name + "({0})")
        f.add("spark_isnan", [f64(v)], "boolean", "isnan({0})")
        f.add("spark_nanvl", [f64(v), f64(7)], "float64", "nanvl({0}, {1})")
    f.add("spark_isnan", [null("float64")], "boolean", "isnan({0})")
    for v in (1.005, 2.5, -2.5, 0.1, 12345.678):
        import struct
        w = struct.unpack("<f", struct.pack("<f", v))[0]
        f.add("spark_round", [f32(w), i32(2)], "float32", "round({0}, {1})", "L", [f32(w), i32(2), null("float32"), i32(JAVA)])
    for p, s, v in [(10, 3, 12345), (10, 3, -12345), (10, 3, 2500), (10, 3, 3500), (10, 3, 999999), (10, 3, -1), (10, 3, 1), (10, 3, 9999999999), (38, 10, 10**38 - 1), (5, 0, 12345)]:
        for k in (-2, 0, 1, 2, 5):
            for name in ("round", "bround"):
                to = rounded_type(p, s, k)
                f.add(f"spark_{name}", [dec(p, s, v), i32(k)], to, name + "({0}, {1})", "L", [dec(p, s, v), i32(k), null(to), i32(JAVA)])
        for name in ("ceil", "floor"):
            to = f"decimal({max(1, p - s + 1) if s else p},0)" if s else f"decimal({p + 1},0)"
            if s:
                f.add(f"spark_{name}", [dec(p, s, v)], to, name + "({0})", "L", [dec(p, s, v), null(to)])
    for n, (low, high) in INTS.items():
        for v in (low, -25, -15, 0, 14, 15, 25, 35, high):
            for k in (-1, -2, 0, 3, -20):
                for name in ("round", "bround"):
                    f.add(f"spark_{name}", [Typed(n, v), i32(k)], n, name + "({0}, {1})", "LA", [Typed(n, v), i32(k), null(n), i32(JAVA)])
    for v in (-1, 0, 1, 20, 21):
        f.add("spark_factorial", [i32(v)], "int64", "factorial({0})")
    for v in (0, 1, -1, 13, 2**63 - 1, -2**63):
        f.add("spark_bin", [i64(v)], "text", "bin({0})")
        for d in (0, 1, 31, 33, 64, -1):
            f.add("spark_shift_right_unsigned", [i64(v), i32(d)], "int64", "shiftrightunsigned({0}, {1})")
            if -2**31 <= v < 2**31:
                f.add("spark_shift_right_unsigned", [i32(v), i32(d)], "int32", "shiftrightunsigned({0}, {1})")
    for p in (0, 3, 31, 32, -1):
        f.add("spark_bit_get", [i32(-9), i32(p)], "int8", "bit_get({0}, {1})")
    for t, a, b in [("100", 2, 10), ("-10", 16, -10), ("-10", 16, 10), ("ff", 16, 2), ("9223372036854775807", 36, 16), ("18446744073709551615", 10, 16), ("18446744073709551616", 10, 16), ("-1", 10, 16),
                    ("zz", 36, 10), ("12x", 10, 2), ("", 10, 2), (" 11 ", 2, 10), ("11", 1, 10), ("11", 10, 37), ("x", 10, 2), ("-0", 10, 2), ("-9223372036854775809", 10, -10), ("-18446744073709551616", 10, -10)]:
        f.add("spark_conv", [text(t), i32(a), i32(b)], "text", "conv({0}, {1}, {2})", "LA")
    for g in ([f64(1), f64(NAN)], [f64(-0.0), f64(0.0)], [f64(0.0), f64(-0.0)], [null("float64"), f64(2)], [f64(1), f64(1), f64(-INF)], [i32(3), null("int32"), i32(-5)], [text("b"), text("é"), text("")],
              [null("int32"), null("int32")], [date(3), date(-3)], [dec(5, 2, 100), dec(5, 2, -100)], [boolean(True), boolean(False)], [stamp(5), stamp(7)], [binary("00ff"), binary("01")]):
        for name in ("greatest", "least"):
            f.add(f"spark_{name}", g, g[0].name, name + "(" + ", ".join("{%d}" % i for i in range(len(g))) + ")")
    for v, a, b, n in [(5.3, 0.2, 10.6, 5), (-2.1, 1.3, 3.4, 3), (8.1, 0.0, 5.7, 4), (-0.9, 5.2, 0.5, 2), (5.2, 5.2, 0.5, 2), (0.5, 5.2, 0.5, 2), (10.6, 0.2, 10.6, 5), (1.0, 1.0, 1.0, 5), (1.0, 0.0, 2.0, 0), (NAN, 0.0, 1.0, 3)]:
        f.add("spark_width_bucket", [f64(v), f64(a), f64(b), i64(n)], "int64", "width_bucket({0}, {1}, {2}, {3})")


def adjusted(p, s):
    """DecimalType.adjustPrecisionScale."""
    if p <= 38:
        return f"decimal({p},{s})"
    return f"decimal(38,{max(38 - (p - s), min(s, 6))})"


def rounded_type(p, s, k):
    """As Spark's Round has it."""
    digits = p - s + 1
    if k < 0:
        return f"decimal({min(38, max(digits, -k + 1))},0)"
    t = min(s, k)
    return f"decimal({min(38, digits + t)},{t})"


WORDS = ["", "a", " ", "  a b  ", "abcabc", "Hello World", "é", "naïve café", "日本語のテキスト", "aé🌏bc", "İstanbul straße", "ǆabc ǆ", "ΑΣ ΣΑΣ", "ﬁn", "x" * 30, "spark sql", "\tx\n", "O'Reilly"]


@family
def texts(f):
    for w in WORDS:
        one = [text(w)]
        for name, sql, to in [("upper", "upper({0})", "text"), ("lower", "lower({0})", "text"), ("initcap", "initcap({0})", "text"), ("trim", "trim({0})", "text"), ("ltrim", "ltrim({0})", "text"),
                              ("rtrim", "rtrim({0})", "text"), ("reverse", "reverse({0})", "text"), ("ascii", "ascii({0})", "int32"), ("length", "length({0})", "int32"), ("octet_length", "octet_length({0})", "int32"),
                              ("bit_length", "bit_length({0})", "int32"), ("soundex", "soundex({0})", "text"), ("hex", "hex({0})", "text")]:
            f.add(f"spark_{name}", one, to, sql)
        for p in (-100, -3, 0, 1, 2, 100) if len(w) < 13 else (-4, 3):
            for n in (-1, 0, 2, 2**31 - 1):
                f.add("spark_substring", [text(w), i32(p), i32(n)], "text", "substring({0}, {1}, {2})")
        for c in ("ab", "", " \t", "é🌏"):
            f.add("spark_trim", [text(w), text(c)], "text", "trim(BOTH {1} FROM {0})")
            f.add("spark_ltrim", [text(w), text(c)], "text", "trim(LEADING {1} FROM {0})")
            f.add("spark_rtrim", [text(w), text(c)], "text", "trim(TRAILING {1} FROM {0})")
        for n, pad in [(5, "é1"), (0, "x"), (-1, "x"), (40, ""), (2, "ab")]:
            f.add("spark_lpad", [text(w), i32(n), text(pad)], "text", "lpad({0}, {1}, {2})")
            f.add("spark_rpad", [text(w), i32(n), text(pad)], "text", "rpad({0}, {1}, {2})")
        for q in ("", "b", "é", "abc"):
            f.add("spark_instr", [text(w), text(q)], "int32", "instr({0}, {1})")
            f.add("spark_starts_with", [text(w), text(q)], "boolean", "startswith({0}, {1})")
            f.add("spark_ends_with", [text(w), text(q)], "boolean", "endswith({0}, {1})")
            f.add("spark_contains", [text(w), text(q)], "boolean", "contains({0}, {1})")
            f.add("spark_replace", [text(w), text(q), text("<é>")], "text", "replace({0}, {1}, {2})")
            for s in (0, 1, 3, 50):
                f.add("spark_locate", [text(q), text(w), i32(s)], "int32", "locate({0}, {1}, {2})")
        f.add("spark_translate", [text(w), text("abé語a"), text("xy")], "text", "translate({0}, {1}, {2})")
        f.add("spark_levenshtein", [text(w), text("abcé")], "int32", "levenshtein({0}, {1})")
        f.add("spark_levenshtein", [text(w), text("abcé"), i32(3)], "int32", "levenshtein({0}, {1}, {2})")
        for n in (-1, 0, 3):
            f.add("spark_repeat", [text(w), i32(n)], "text", "repeat({0}, {1})")
        for p, n in [(1, 0), (2, -1), (3, 2), (0, 1), (-1, 2), (50, 1)]:
            f.add("spark_overlay", [text(w), text("_é"), i32(p), i32(n)], "text", "overlay({0}, {1}, {2}, {3})")
        f.add("spark_concat", [text(w), text("-"), text(w)], "text", "concat({0}, {1}, {2})")
        f.add("spark_concat_ws", [text(","), text(w), null("text"), lst("text", ["p", None, w])], "text", "concat_ws({0}, {1}, {2}, {3})")
    f.add("spark_concat", [text("a"), null("text")], "text", "concat({0}, {1})")
    for t, d, n in [("www.apache.org", ".", 2), ("www.apache.org", ".", -2), ("www.apache.org", ".", 0), ("a", ".", 1), ("", ".", 1), ("aaaa", "aa", 2), ("aaaa", "aa", -2), ("aéaéa", "é", 1), ("abc", "", 1), ("a.b", ".", 9), ("a.b", ".", -9), ("日.本", ".", -1)]:
        f.add("spark_substring_index", [text(t), text(d), i32(n)], "text", "substring_index({0}, {1}, {2})")
        f.add("spark_split_part", [text(t), text(d), i32(n)], "text", "split_part({0}, {1}, {2})", "A")
    for w, s in [("ab", "abc,b,ab,c,def"), ("", ",a"), ("a,b", "a,b"), ("z", "a"), ("é", "a,é"), ("", "")]:
        f.add("spark_find_in_set", [text(w), text(s)], "int32", "find_in_set({0}, {1})")
    for n in (-1, 0, 1, 2, 3):
        f.add("spark_elt", [i32(n), text("a"), text("b")], "text", "elt({0}, {1}, {2})", "LA")
        f.add("spark_space", [i32(n)], "text", "space({0})")
    for v in (-1, 0, 65, 233, 256, 321, 2**40 + 65):
        f.add("spark_chr", [i64(v)], "text", "chr({0})")
        f.add("spark_hex", [i64(v)], "text", "hex({0})")
    for b in ("", "00", "616263", "ff00fe", "c3a9" * 20):
        f.add("spark_hex", [binary(b)], "text", "hex({0})")
        f.add("spark_base64", [binary(b)], "text", "base64({0})")
        f.add("spark_length", [binary(b)], "int32", "length({0})")
        for p, n in [(1, 1), (-2, 5), (0, 2), (2, 2**31 - 1)]:
            f.add("spark_substring", [binary(b), i32(p), i32(n)], "binary", "substring({0}, {1}, {2})")
    for t in ("", "0", "F", "616263", "61626", "zz", "é", "C3A9"):
        f.add("spark_unhex", [text(t)], "binary", "unhex({0})")
    for t in ("", "YWJj", "YQ==", "YWI=", "YW Jj\n", "YQ", "YWI"):
        f.add("spark_unbase64", [text(t)], "binary", "unbase64({0})", "L")


@family
def times(f):
    for d in DAYS + list(range(18257, 18264)) + [59, 2147483647, -2147483648]:
        if abs(d) < 10**8:
            for name, sql in [("year", "year"), ("quarter", "quarter"), ("month", "month"), ("day", "day"), ("day_of_year", "dayofyear"), ("day_of_week", "dayofweek"), ("weekday", "weekday"), ("week_of_year", "weekofyear")]:
                f.add(f"spark_{name}", [date(d)], "int32", sql + "({0})")
            f.add("spark_year_of_week", [date(d)], "int32", "extract(YEAROFWEEK FROM {0})")
            f.add("spark_last_day", [date(d)], "date", "last_day({0})")
            for m in (-13, -1, 0, 1, 2, 12, 25):
                f.add("spark_add_months", [date(d), i32(m)], "date", "add_months({0}, {1})")
            for n in ("mo", "Tue", "SUNDAY", " fri", "xx", ""):
                f.add("spark_next_day", [date(d), text(n)], "date", "next_day({0}, {1})", "L" if d else "LA")
            for n in ("year", "YYYY", "yy", "quarter", "mon", "MM", "month", "week", "day", "x"):
                f.add("spark_trunc", [date(d), text(n)], "date", "trunc({0}, {1})")
        f.add("spark_date_add", [date(d), i32(31)], "date", "date_add({0}, {1})")
        f.add("spark_date_sub", [date(d), i32(31)], "date", "date_sub({0}, {1})")
        f.add("spark_date_diff", [date(d), date(100)], "int32", "datediff({0}, {1})")
    for y, m, d in [(2020, 2, 29), (2021, 2, 29), (2021, 13, 1), (2021, 4, 31), (0, 1, 1), (-5, 12, 31), (9999, 12, 31), (2021, 1, 0), (2021, 2, 30), (1000000000, 1, 1), (5000000, 1, 1), (7000000, 1, 1)]:
        f.add("spark_make_date", [i32(y), i32(m), i32(d)], "date", "make_date({0}, {1}, {2})", "LA" if y < 10**6 or y == 10**9 else "L")
    z = text(ZONE)
    for v in MICROS:
        for name in ("hour", "minute", "second"):
            f.add(f"spark_{name}", [stamp(v)], "int32", name + "({0})", "L", [stamp(v), z])
            f.add(f"spark_{name}", [clock(v)], "int32", name + "({0})", "L", [clock(v), z])
        for name in ("seconds", "millis", "micros"):
            f.add(f"spark_unix_{name}", [stamp(v)], "int64", f"unix_{name}" + "({0})")
        for n in ("microsecond", "MILLISECOND", "second", "minute", "hour", "day", "dd", "week", "month", "quarter", "year", "x"):
            f.add("spark_date_trunc", [text(n), stamp(v)], "timestamp", "date_trunc({0}, {1})", "L", [text(n), stamp(v), z])
        for other in ("Asia/Kolkata", "+01:30", "PST", "UTC", "Pacific/Apia"):
            f.add("spark_from_utc_timestamp", [stamp(v), text(other)], "timestamp", "from_utc_timestamp({0}, {1})")
            f.add("spark_to_utc_timestamp", [stamp(v), text(other)], "timestamp", "to_utc_timestamp({0}, {1})")
        for other in (1577934245123456, 1580428799000000, 1582934400000000):
            for r in (True, False):
                f.add("spark_months_between", [stamp(v), stamp(other), boolean(r)], "float64", "months_between({0}, {1}, {2})", "L", [stamp(v), stamp(other), boolean(r), z])
        for p in ("yyyy-MM-dd HH:mm:ss", "y/M/d H:m:s.SSSSSS", "yy MMM MMMM EEE EEEE a hh:mm", "D DDD SSS ''x'' k K", "yyyyMMdd'T'HHmm"):
            f.add("spark_date_format", [stamp(v), text(p)], "text", "date_format({0}, {1})", "L", [stamp(v), text(p), z])
    for v in (0, -1, 1577934245, 253402300799, -62135596800):
        f.add("spark_timestamp_seconds", [i64(v)], "timestamp", "timestamp_seconds({0})")
        f.add("spark_timestamp_millis", [i64(v)], "timestamp", "timestamp_millis({0})")
        f.add("spark_timestamp_micros", [i64(v)], "timestamp", "timestamp_micros({0})")
        f.add("spark_from_unixtime", [i64(v), text("yyyy-MM-dd HH:mm:ss")], "text", "from_unixtime({0}, {1})", "L", [i64(v), text("yyyy-MM-dd HH:mm:ss"), z])
    f.add("spark_timestamp_seconds", [i64(2**60)], "timestamp", "timestamp_seconds({0})")
    f.add("spark_unix_date", [date(5)], "int32", "unix_date({0})")
    f.add("spark_date_from_unix_date", [i32(-5)], "date", "date_from_unix_date({0})")


@family
def hashes(f):
    values = [i32(0), i32(-1), i8(7), i16(-7), i64(2**63 - 1), boolean(True), boolean(False), f64(0.0), f64(-0.0), f64(NAN), f64(1.5), f32(-0.0), f32(2.5), text(""), text("Spark"), text("é" * 20), binary("00ff"), date(18262), stamp(-1),
              clock(5), dec(10, 2, 12345), dec(18, 0, -10**17), dec(20, 2, 12345), dec(38, 0, -10**37), dec(38, 0, 128), dec(38, 0, -129), null("int32")]
    for v in values:
        f.add("spark_xxhash64", [v], "int64", "xxhash64({0})", "L", [v, i64(42)])
    f.add("spark_xxhash64", [i32(1), text("a"), null("int64"), f64(2)], "int64", "xxhash64({0}, {1}, {2}, {3})", "L", [i32(1), text("a"), null("int64"), f64(2), i64(42)])
    for b in ("", "00", "537061726b", "ff" * 200):
        f.add("spark_crc32", [binary(b)], "int64", "crc32({0})")
        f.add("spark_md5", [binary(b)], "text", "md5({0})")
        f.add("spark_sha1", [binary(b)], "text", "sha1({0})")
        for n in (0, 224, 256, 384, 512, 1):
            f.add("spark_sha2", [binary(b), i32(n)], "text", "sha2({0}, {1})")


@family
def nested(f):
    ints = [lst("int32", [3, 1, None, 2, 3]), lst("int32", []), lst("int32", [5]), null("list<int32>"), lst("int32", [None])]
    for v in ints:
        f.add("spark_size", [v], "int32", "size({0})", "LA")
        f.add("spark_array_min", [v], "int32", "array_min({0})")
        f.add("spark_array_max", [v], "int32", "array_max({0})")
        f.add("spark_array_distinct", [v], "list<int32>", "array_distinct({0})")
        for b in (True, False):
            f.add("spark_sort_array", [v, boolean(b)], "list<int32>", "sort_array({0}, {1})")
        for n in (-9, -1, 0, 1, 3, 9):
            f.add("spark_element_at", [v, i32(n)], "int32", "element_at({0}, {1})", "LA")
            f.add("spark_get_array_item", [v, i32(n)], "int32", "{0}[{1}]", "LA")
        for n in (3, 7):
            f.add("spark_array_contains", [v, i32(n)], "boolean", "array_contains({0}, {1})")
            f.add("spark_array_position", [v, i32(n)], "int64", "array_position({0}, {1})")
    for a in ints:
        f.add("spark_array_reverse", [a], "list<int32>", "reverse({0})")
        for s, n in [(1, 2), (-2, 5), (2, 0), (9, 1), (-9, 3), (0, 1), (1, -1)]:
            f.add("spark_slice", [a, i32(s), i32(n)], "list<int32>", "slice({0}, {1}, {2})")
        for b in ints:
            for name in ("array_union", "array_intersect", "array_except"):
                f.add(f"spark_{name}", [a, b], "list<int32>", name + "({0}, {1})")
            f.add("spark_arrays_overlap", [a, b], "boolean", "arrays_overlap({0}, {1})")
    for v in ([[1, 2], [], [None]], [[1], None], []):
        f.add("spark_flatten", [Typed("list<list<int32>>", v)], "list<int32>", "flatten({0})")
    doubles = lst("float64", [NAN, -0.0, 1.0, 0.0, NAN])
    doubles_null = lst("float64", [NAN, None, -INF])
    for v in (doubles, doubles_null):
        v = Typed(v.name, v.value)
        f.add("spark_array_min", [v], "float64", "array_min({0})", "L", [Typed(v.name, [None if e is None else repr(float(e)) for e in v.value])])
        f.add("spark_array_max", [v], "float64", "array_max({0})", "L", [Typed(v.name, [None if e is None else repr(float(e)) for e in v.value])])
        f.add("spark_array_contains", [v, f64(NAN)], "boolean", "array_contains({0}, {1})", "L", [Typed(v.name, [None if e is None else repr(float(e)) for e in v.value]), f64(NAN)])
    words = [lst("text", ["b", None, "a", "é"]), lst("text", [])]
    for v in words:
        f.add("spark_array_join", [v, text("-")], "text", "array_join({0}, {1})")
        f.add("spark_array_join", [v, text("-"), text("?")], "text", "array_join({0}, {1}, {2})")
        f.add("spark_array_contains", [v, text("a")], "boolean", "array_contains({0}, {1})")
        f.add("spark_sort_array", [v, boolean(True)], "list<text>", "sort_array({0}, {1})")
    f.add("spark_array", [i32(1), null("int32"), i32(3)], "list<int32>", "array({0}, {1}, {2})", "L", [i32(1), null("int32"), i32(3), null("list<int32>")])


@family
def regex(f):
    for w in WORDS + ["abc123", "john@x.org", "a\nb", "a\rb", "١٢"]:
        for p in ("", "abc", "^a.", "b.", "[a-z0-9]+@[^.]+\\.(com|org)", "\\d+", "\\s\\w", "(a|b)+c", "é.*", "[^\\w]{2,3}"):
            f.add("spark_rlike", [text(w), text(p)], "boolean", "{0} RLIKE {1}")
            f.add("spark_regexp_extract", [text(w), text(p), i32(0)], "text", "regexp_extract({0}, {1}, {2})")
            if p and p != "é.*":
                for limit in (-1, 0, 1, 2):
                    f.add("spark_split", [text(w), text(p), i32(limit)], "list<text>", "split({0}, {1}, {2})", "L", [text(w), text(p), i32(limit), null("list<text>")])
                f.add("spark_regexp_replace", [text(w), text(p), text("<>")], "text", "regexp_replace({0}, {1}, {2})")
        f.add("spark_regexp_extract", [text(w), text("(a)|(b)"), i32(2)], "text", "regexp_extract({0}, {1}, {2})")


@family
def bloom(f):
    sketch = f.jvm.org.apache.spark.util.sketch
    for version in (sketch.BloomFilter.Version.V1, sketch.BloomFilter.Version.V2):
        filter = sketch.BloomFilter.create(version, 20, 256, 7)
        for v in (0, 1, -1, 42, 2**40, -2**63, 2**63 - 1, 123456789, -987654321, 77):
            filter.putLong(v)
        out = f.jvm.java.io.ByteArrayOutputStream()
        filter.writeTo(out)
        bytes_ = bytes(b & 255 for b in out.toByteArray()).hex()
        for v in list(range(-3, 60)) + [2**40, -2**63, 2**63 - 1, 123456789, -987654321, 77]:
            f.known("spark_might_contain", [binary(bytes_), i64(v)], "boolean", filter.mightContainLong(v))
    f.known("spark_might_contain", [null("binary"), i64(1)], "boolean", None)
