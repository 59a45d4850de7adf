"""Asks Spark itself what it answers, and writes the golden files beside this script.

    python generate.py [family …]        with a Python that has pyspark; the files here are of 4.3.0 on Java 17

A line is a JSON array: function, arguments as [type, value], type of the result, the value or {"error": message}. Values: integers, decimals as text, floats as
Python's text, dates in days, timestamps in microseconds, binaries as hexadecimal text, lists as JSON.
"""
import json
import os
import sys
from pathlib import Path

ZONE = "America/Los_Angeles"
JAVA = 17


class Typed:
    def __init__(self, name, value):
        self.name, self.value = name, value


def text(v): return Typed("text", v)
def i8(v): return Typed("int8", v)
def i16(v): return Typed("int16", v)
def i32(v): return Typed("int32", v)
def i64(v): return Typed("int64", v)
def f32(v): return Typed("float32", v)
def f64(v): return Typed("float64", v)
def boolean(v): return Typed("boolean", v)
def binary(v): return Typed("binary", v)
def date(v): return Typed("date", v)
def stamp(v): return Typed("timestamp", v)
def clock(v): return Typed("clock", v)
def dec(p, s, v): return Typed(f"decimal({p},{s})", v)
def lst(element, v): return Typed(f"list<{element}>", v)
def null(name): return Typed(name, None)


SQL = {"text": "STRING", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT", "float32": "FLOAT", "float64": "DOUBLE",
       "boolean": "BOOLEAN", "binary": "BINARY", "date": "DATE", "timestamp": "TIMESTAMP", "clock": "TIMESTAMP_NTZ"}


def sql_type(name):
    if name.startswith("list<"):
        return f"ARRAY<{sql_type(name[5:-1])}>"
    return SQL.get(name, name.upper())


def quoted(v):
    return "'" + "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else {"'": "\\'", "\\": "\\\\"}.get(c, c) for c in v) + "'"


def literal(t):
    """An argument in SQL."""
    n, v = t.name, t.value
    if v is None:
        return f"CAST(NULL AS {sql_type(n)})"
    if n.startswith("list<"):
        return f"CAST(array({', '.join(literal(Typed(n[5:-1], e)) for e in v)}) AS {sql_type(n)})"
    if n == "text":
        return quoted(v)
    if n == "binary":
        return f"X'{v}'"
    if n == "date":
        return f"date_from_unix_date({v})"
    if n == "timestamp":
        return f"timestamp_micros({v}L)" if v != -2**63 else "timestamp_micros(-9223372036854775807L-1L)"
    if n == "clock":
        return f"(TIMESTAMP_NTZ'1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, CAST({v} AS DECIMAL(38,6)) / 1000000BD))"
    if n == "boolean":
        return str(v).lower()
    if n.startswith("decimal"):
        s = int(n.split(",")[1][:-1])
        digits = str(abs(v)).rjust(s + 1, "0")
        body = digits[:len(digits) - s] + ("." + digits[len(digits) - s:] if s else "")
        return f"CAST('{'-' if v < 0 else ''}{body}' AS {n.upper()})"
    return f"CAST('{v}' AS {sql_type(n)})"


def read(sql, name):
    """An expression that gives the value in a form that Python keeps."""
    if name == "binary":
        return f"hex({sql})"
    if name == "date":
        return f"unix_date({sql})"
    if name == "timestamp":
        return f"unix_micros({sql})"
    if name == "clock":
        return f"CAST(timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', {sql}) AS BIGINT)"
    if name == "float32":
        return f"cast({sql} as double)"
    if name.startswith("decimal"):
        return sql
    return sql


def written(value, name):
    """As the golden file has it."""
    if value is None:
        return None
    if name.startswith("decimal"):
        s = int(name.split(",")[1][:-1])
        return str(int(value.scaleb(s))) if s else str(int(value))
    if name in ("float32", "float64"):
        return repr(float(value))
    if name.startswith("list<"):
        return [written(v, name[5:-1]) for v in value]
    return value


def arguments(given):
    return [[t.name, repr(float(t.value)) if t.name.startswith("float") and t.value is not None
             else str(t.value) if t.name.startswith("decimal") and t.value is not None else t.value] for t in given]


class Oracle:
    def __init__(self):
        from decimal import getcontext
        from pyspark.sql import SparkSession
        getcontext().prec = 80
        builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.memory", "1g")
        self.spark = builder.config("spark.sql.session.timeZone", ZONE).config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN").getOrCreate()
        self.spark.sparkContext.setLogLevel("OFF")

    def one(self, sql):
        try:
            return self.spark.sql("SELECT " + sql).collect()[0][0]
        except Exception as e:  # noqa: BLE001: whatever Spark says is the answer
            message = str(e).split("SQLSTATE:")[0].split("\n==")[0].strip()
            return {"error": message}

    def all(self, sqls):
        """Many at once; where one fails, each alone."""
        if not sqls:
            return []
        if len(sqls) == 1:
            return [self.one(sqls[0])]
        try:
            return list(self.spark.sql("SELECT " + ", ".join(f"{s} AS c{i}" for i, s in enumerate(sqls))).collect()[0])
        except Exception:  # noqa: BLE001
            half = len(sqls) // 2
            return self.all(sqls[:half]) + self.all(sqls[half:])

    def ask(self, cases, ansi):
        """Cases are (sql, type of the result)."""
        self.spark.conf.set("spark.sql.ansi.enabled", str(ansi).lower())
        answers = []
        for start in range(0, len(cases), 60):
            answers += self.all([read(sql, name) for sql, name in cases[start:start + 60]])
        return [a if isinstance(a, dict) else written(a, name) for a, (_, name) in zip(answers, cases)]


class Family:
    """Cases of one golden file."""

    def __init__(self):
        self.cases = []

    def add(self, function, given, result, sql, modes="L", shown=None):
        """`sql` has {0}, {1} … for the arguments; `shown`: the arguments of our function where they are others. Modes: L, A, and T:sql."""
        values = [literal(t) for t in given]
        for mode in modes:
            template = sql if isinstance(sql, str) else sql[mode]
            suffix = {"L": "", "A": "_ansi", "T": "_try"}[mode]
            self.cases.append((function + suffix, arguments(shown if shown is not None else given), result, template.format(*values), mode == "A" or mode == "T"))

    def known(self, function, given, result, value):
        """A case whose answer did not come from SQL."""
        self.cases.append((function, arguments(given), result, None, value))

    def write(self, oracle, path):
        lines = {i: json.dumps([c[0], c[1], c[2], c[4]], separators=(",", ":")) for i, c in enumerate(self.cases) if c[3] is None}
        for ansi in (False, True):
            these = [(i, c) for i, c in enumerate(self.cases) if c[3] is not None and c[4] == ansi]
            answers = oracle.ask([(c[3], c[2]) for _, c in these], ansi)
            for (i, c), answer in zip(these, answers):
                lines[i] = json.dumps([c[0], c[1], c[2], answer], ensure_ascii=False, separators=(",", ":"))
        path.write_text("\n".join(lines[i] for i in sorted(lines)) + "\n")
        print(path.name, len(lines))


def main():
    os.environ.setdefault("TZ", "UTC")
    import cases
    wanted = sys.argv[1:] or list(cases.FAMILIES)
    oracle = Oracle()
    for name in wanted:
        family = Family()
        family.jvm = oracle.spark._jvm
        cases.FAMILIES[name](family)
        family.write(oracle, Path(__file__).parent / f"{name}.txt")


if __name__ == "__main__":
    main()
