"""Writes tests/slt/generated/*.slt: statements by topic, answers by DuckDB.

    .venv/bin/python tests/oracle/make_slt.py

Every query is valid in both dialects and means the same there: integer division is avoided, orders say where nulls go, and
what a dialect leaves open (ties, representation of timestamps) is not asked. Answers come from DuckDB, never from us.
"""
import datetime, decimal, itertools, math, pathlib, random
import duckdb

TARGET = pathlib.Path(__file__).parent.parent / "slt" / "generated"
CONNECTION = duckdb.connect()


def text(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        value = float(f"{value:.9e}")
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, str) and value == "":
        return "(empty)"
    return str(value)


class Topic:
    def __init__(self, name, *setup):
        self.name, self.lines = name, [f"# {name}: answers by DuckDB {duckdb.__version__}, see tests/oracle/make_slt.py"]
        for sql in setup:
            CONNECTION.execute(sql)
            self.lines += ["", "statement ok", sql]

    def query(self, sql, duck=None):
        """`duck`: the same in DuckDB's dialect."""
        rows = CONNECTION.execute(duck or sql).fetchall()
        width = len(CONNECTION.description)
        cells = [" ".join(text(v) for v in row) for row in sorted(rows, key=lambda r: [text(v) for v in r])]
        self.lines += ["", f"query {'T' * width} rowsort", sql, "----", *cells]

    def write(self):
        TARGET.mkdir(parents=True, exist_ok=True)
        (TARGET / f"{self.name}.slt").write_text("\n".join(self.lines) + "\n")
        print(self.name, sum(1 for l in self.lines if l.startswith(("query", "statement"))))


def literal(value):
    if value is None:
        return "NULL"
    return f"'{value}'" if isinstance(value, str) else str(value)


def table(name, columns, rows):
    values = ", ".join("(" + ", ".join(literal(v) for v in row) + ")" for row in rows)
    names = ", ".join(c for c, _ in columns)
    casts = ", ".join(f"CAST({c} AS {t}) AS {c}" for c, t in columns)
    return f"CREATE OR REPLACE TABLE {name} AS SELECT {casts} FROM (VALUES {values}) AS v({names})"


def maybe(value, share=0.2):
    return None if random.random() < share else value


def rows(count):
    words = ["apple", "banana", "Cherry", "date", "élan", "naïve", "", "a longer string than twelve", "a longer string than thirteen", "日本"]
    for i in range(count):
        yield (i, maybe(random.randint(0, 6)), maybe(random.randint(-50, 50)), maybe(random.choice(words)),
               maybe(f"{random.randint(-9999, 9999) / 100:.2f}"), maybe(random.choice(["1.5", "-0.0", "0.0", "2.25", "-7.125"])),
               maybe(f"20{random.randint(10, 29)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"), maybe(random.choice(["true", "false"])))


COLUMNS = [("id", "BIGINT"), ("k", "INTEGER"), ("n", "BIGINT"), ("s", "VARCHAR"), ("d", "DECIMAL(10,2)"), ("f", "DOUBLE"), ("t", "DATE"), ("b", "BOOLEAN")]


def tables():
    random.seed(7)
    return [table("l", COLUMNS, rows(60)), table("r", COLUMNS, rows(45)), "CREATE OR REPLACE TABLE e AS SELECT * FROM l WHERE id < 0"]


def joins():
    topic = Topic("join", *tables())
    residuals = ["", " AND l.n < r.n", " AND l.d > r.d", " AND (l.n + r.n) % 3 = 0", " AND l.s < r.s"]
    for kind, key, residual in itertools.product(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"], ["k", "s", "t", "d", "n", "b"], residuals):
        topic.query(f"SELECT count(*), count(l.id), count(r.id), sum(l.id), sum(r.id) FROM l {kind} r ON l.{key} = r.{key}{residual}")
    for kind, keys in itertools.product(["JOIN", "LEFT JOIN", "FULL JOIN"], ["l.k = r.k AND l.b = r.b", "l.k = r.k AND l.s = r.s", "l.k IS NOT DISTINCT FROM r.k", "(l.s IS NOT DISTINCT FROM r.s) AND l.k = r.k", "l.n < r.n", "l.n BETWEEN r.n AND r.n + 3", "l.k + 1 = r.k", "l.k = r.k OR l.n = r.n"]):
        topic.query(f"SELECT count(*), sum(l.id), sum(r.id), min(l.s), max(r.t) FROM l {kind} r ON {keys}")
    for kind, (a, b) in itertools.product(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"], [("l", "e"), ("e", "r"), ("e", "e")]):
        topic.query(f"SELECT count(*), sum(x.id), sum(y.id) FROM {a} x {kind} {b} y ON x.k = y.k")
    for kind, key in itertools.product(["JOIN", "LEFT JOIN"], ["k", "t"]):
        topic.query(f"SELECT l.id, l.s, r.id, r.s FROM l {kind} r ON l.{key} = r.{key} AND l.b AND r.n > 0")
    topic.query("SELECT count(*), sum(l.id * r.id) FROM l CROSS JOIN r")
    topic.query("SELECT count(*) FROM l, r, l AS m WHERE l.k = r.k AND r.n = m.n")
    topic.write()


def subqueries():
    topic = Topic("subquery", *tables())
    for negated, key, condition in itertools.product(["", "NOT "], ["k", "s", "n", "t", "d"], ["", " WHERE r.n > 0", " WHERE r.b", " WHERE r.k > 2 AND r.n < 0", " WHERE r.id < 0", " WHERE r.k IS NOT NULL AND r.s IS NOT NULL AND r.n IS NOT NULL AND r.t IS NOT NULL AND r.d IS NOT NULL"]):
        topic.query(f"SELECT id FROM l WHERE {key} {negated}IN (SELECT {key} FROM r{condition})")
    for negated, key, residual in itertools.product(["", "NOT "], ["k", "s", "n", "t"], ["", " AND r.n < l.n", " AND r.d <> l.d", " AND r.id <> l.id"]):
        topic.query(f"SELECT id FROM l WHERE {negated}EXISTS (SELECT 1 FROM r WHERE r.{key} = l.{key}{residual})")
    for function, key in itertools.product(["min(r.n)", "max(r.d)", "count(*)", "sum(r.n)", "avg(r.f)"], ["k", "s", "b"]):
        topic.query(f"SELECT id, (SELECT {function} FROM r WHERE r.{key} = l.{key}) AS v FROM l")
    for op in ["<", "<=", "=", "<>", ">", ">="]:
        topic.query(f"SELECT id FROM l WHERE n {op} (SELECT avg(n) FROM r)")
        topic.query(f"SELECT id FROM l WHERE d {op} (SELECT min(d) FROM r WHERE r.k = 3)")
        topic.query(f"SELECT k, count(*) FROM l GROUP BY k HAVING count(*) {op} (SELECT count(*) FROM r WHERE b)")
    topic.query("SELECT id FROM l WHERE n = (SELECT n FROM r WHERE r.id < 0)")
    topic.write()


def aggregates():
    topic = Topic("aggregate", *tables())
    functions = ["count(*)", "count({c})", "count(DISTINCT {c})", "min({c})", "max({c})"]
    numeric = ["sum({c})", "avg({c})", "var_samp({c})", "stddev_pop({c})", "sum(DISTINCT {c})"]
    groups = ["", "k", "b", "s", "t", "k, b", "s, k", "d"]
    for group, column in itertools.product(groups, ["k", "n", "s", "d", "f", "t", "b"]):
        wanted = functions + (numeric if column in ("k", "n", "f") else [])
        items = ", ".join(w.format(c=column) for w in wanted)
        topic.query(f"SELECT {group + ', ' if group else ''}{items} FROM l{' GROUP BY ' + group if group else ''}")
    for group, function, condition in itertools.product(["", "k", "s"], ["count(*)", "sum(n)", "min(s)", "count(DISTINCT k)", "max(t)", "avg(f)"], ["n > 0", "b", "s LIKE 'a%'", "id < 0", "k IS NULL", "d > n"]):
        topic.query(f"SELECT {group + ', ' if group else ''}{function} FILTER (WHERE {condition}) FROM l{' GROUP BY ' + group if group else ''}")
    for sets in ["ROLLUP (k, b)", "CUBE (k, b)", "GROUPING SETS ((k), (b), ())", "GROUPING SETS ((k, b), (k))", "ROLLUP (s, k, b)"]:
        keys = "s, k, b" if "s," in sets else "k, b"
        topic.query(f"SELECT {keys}, count(*), sum(n), max(s) FROM l GROUP BY {sets}")
        topic.query(f"SELECT {keys}, grouping(k), count(DISTINCT n) FROM l GROUP BY {sets}")
    for expression in ["bool_and(b)", "bool_or(b)", "bit_and(n)", "bit_or(n)", "bit_xor(n)", "sum(d)", "sum(n * 2 + 1)", "min(d) + max(d)", "sum(CASE WHEN b THEN n ELSE 0 END)", "median(n)", "sum(n) + count(*)", "max(s) || min(s)", "avg(CAST(d AS DOUBLE))"]:
        for group in ["", "k", "b"]:
            topic.query(f"SELECT {group + ', ' if group else ''}{expression} FROM l{' GROUP BY ' + group if group else ''}")
    for source in ["e", "l WHERE id < 0"]:
        topic.query(f"SELECT count(*), sum(n), min(s), avg(f) FROM {source}")
        topic.query(f"SELECT k, count(*), sum(n) FROM {source} GROUP BY k")
    for columns in ["k", "s", "k, b", "d", "f", "t", "b", "k, s, b"]:
        topic.query(f"SELECT DISTINCT {columns} FROM l")
        topic.query(f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM l UNION SELECT DISTINCT {columns} FROM r) x")
    topic.write()


def windows():
    topic = Topic("window", *tables())
    frames = ["", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", " ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING", " ROWS BETWEEN 5 PRECEDING AND 2 PRECEDING", " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"]
    for partition, frame, function in itertools.product(["", "PARTITION BY k ", "PARTITION BY b, k ", "PARTITION BY s "], frames, ["sum(n)", "count(n)", "min(n)", "max(s)", "avg(f)", "first_value(id)", "last_value(id)", "sum(d)", "min(t)", "count(*)", "max(k)"]):
        topic.query(f"SELECT id, {function} OVER ({partition}ORDER BY id{frame}) AS w FROM l")
    for partition, function in itertools.product(["", "PARTITION BY k "], ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(4)", "lag(n)", "lead(n)", "lag(n, 2)", "lead(n, 3, -1)", "nth_value(n, 2)"]):
        topic.query(f"SELECT id, {function} OVER ({partition}ORDER BY id) AS w FROM l")
    for function in ["rank()", "dense_rank()", "percent_rank()", "cume_dist()", "sum(n)", "count(*)", "max(d)"]:
        for order in ["k ASC NULLS LAST", "k DESC NULLS FIRST", "n DESC NULLS LAST", "b ASC NULLS FIRST", "t ASC NULLS FIRST"]:
            topic.query(f"SELECT id, {function} OVER (ORDER BY {order}) AS w FROM l")
    for low, high in [("10 PRECEDING", "CURRENT ROW"), ("5 PRECEDING", "5 FOLLOWING"), ("CURRENT ROW", "20 FOLLOWING")]:
        for function in ["sum(n)", "count(*)", "min(n)"]:
            topic.query(f"SELECT id, {function} OVER (ORDER BY n ASC NULLS LAST RANGE BETWEEN {low} AND {high}) AS w FROM l")
    topic.query("SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY id) AS r FROM l) x WHERE r <= 2")
    topic.query("SELECT k, sum(n), rank() OVER (ORDER BY sum(n) DESC NULLS LAST, k NULLS LAST) FROM l GROUP BY k")
    topic.write()


def expressions():
    topic = Topic("expression", *tables())
    for left, op, right in itertools.product(["n", "k", "d", "f"], ["+", "-", "*"], ["1", "n", "k", "d", "f", "0.5", "CAST(2 AS DOUBLE)"]):
        topic.query(f"SELECT id, CAST({left} {op} {right} AS DOUBLE) FROM l")
    for left, op, right in itertools.product(["n", "s", "t", "d", "f", "b"], ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"], ["own", "other"]):
        constant = {"n": "3", "s": "'date'", "t": "DATE '2019-06-01'", "d": "10.50", "f": "0.0", "b": "true"}[left]
        other = constant if right == "own" else f"r.{left}"
        source = "l" if right == "own" else "l JOIN r ON l.id = r.id"
        topic.query(f"SELECT l.id FROM {source} WHERE l.{left} {op} {other}")
    conditions = ["n > 0", "b", "s LIKE 'a%'", "k IS NULL", "d < 5"]
    for a, b in itertools.permutations(conditions, 2):
        topic.query(f"SELECT id FROM l WHERE {a} AND {b}")
        topic.query(f"SELECT id, ({a}) OR ({b}), NOT (({a}) AND ({b})) FROM l")
    for pattern in ["a%", "%a", "%an%", "%a%e%", "_____", "____", "%", "", "apple", "a_p%", "%longer%twelve", "é%", "日_", "日%"]:
        for negated in ["", "NOT "]:
            topic.query(f"SELECT id FROM l WHERE s {negated}LIKE '{pattern}'")
            topic.query(f"SELECT id FROM l WHERE s {negated}ILIKE '{pattern.upper()}'")
    for items in ["1, 2, 3", "1, NULL", "99", "NULL", "k, 5"]:
        for negated in ["", "NOT "]:
            topic.query(f"SELECT id FROM l WHERE k {negated}IN ({items})")
    topic.query("SELECT id FROM l WHERE s IN ('apple', 'élan', '', 'a longer string than twelve')")
    for case in ["CASE WHEN n > 0 THEN 'p' WHEN n < 0 THEN 'm' ELSE 'z' END", "CASE k WHEN 1 THEN s WHEN 2 THEN 'two' END", "coalesce(n, k, -1)", "nullif(k, 3)", "CASE WHEN n <> 0 THEN CAST(100 AS DOUBLE) / n END", "coalesce(s, 'none')", "greatest(k, n)", "least(k, n)"]:
        topic.query(f"SELECT id, {case} FROM l")
    for function in ["upper(s)", "lower(s)", "length(s)", "substr(s, 2)", "substr(s, 2, 3)", "substring(s, 1, 1)", "trim(s)", "ltrim(s)", "reverse(s)", "s || '!'", "concat(s, k)", "replace(s, 'a', 'X')", "left(s, 2)", "right(s, 2)", "starts_with(s, 'a')", "position('a' IN s)", "lpad(s, 8, '*')", "rpad(s, 8, '*')", "repeat(s, 2)"]:
        topic.query(f"SELECT id, {function} FROM l WHERE s IS NOT NULL")
    for part in ["year", "month", "day", "quarter", "week", "doy", "dow"]:
        topic.query(f"SELECT id, CAST(extract({part} FROM t) AS BIGINT) FROM l")
    for expression in ["t + INTERVAL '1 day'", "t + INTERVAL '1 month'", "t - INTERVAL '2 year'", "date_trunc('month', t)", "date_trunc('year', t)"]:
        topic.query(f"SELECT id, CAST({expression} AS DATE) FROM l")
    for expression in ["CAST(round(d, 0) AS INTEGER)", "CAST(n AS VARCHAR)", "CAST(d AS VARCHAR)", "CAST(t AS VARCHAR)", "CAST(k AS DECIMAL(12,3))", "CAST(d AS DECIMAL(8,1))", "CAST(n AS DOUBLE)", "CAST(b AS INTEGER)", "TRY_CAST(s AS INTEGER)", "CAST('12' AS BIGINT) + n", "CAST('2020-02-29' AS DATE)", "abs(n)", "abs(d)", "round(f)", "floor(f)", "ceil(f)", "sqrt(abs(n))", "power(k, 2)", "exp(k)", "ln(abs(n) + 1)"]:
        topic.query(f"SELECT id, {expression} FROM l WHERE f IS NOT NULL")
    topic.write()


def sets_and_order():
    topic = Topic("set_and_order", *tables())
    for operator, columns in itertools.product(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"], ["k", "s", "k, b", "d", "t", "k, s"]):
        topic.query(f"SELECT {columns} FROM l {operator} SELECT {columns} FROM r")
        topic.query(f"SELECT {columns} FROM l WHERE id < 20 {operator} SELECT {columns} FROM e")
    for column, direction, nulls, limit in itertools.product(["n", "s", "d", "t", "f", "b", "k", "k + n", "length(s)"], ["ASC", "DESC"], ["FIRST", "LAST"], ["", " LIMIT 5", " LIMIT 5 OFFSET 7", " LIMIT 100"]):
        topic.query(f"SELECT row_number() OVER (ORDER BY {column} {direction} NULLS {nulls}, id) AS p, id FROM (SELECT * FROM l ORDER BY {column} {direction} NULLS {nulls}, id{limit}) x")
    for a, b in itertools.permutations(["k", "s", "b"], 2):
        topic.query(f"SELECT id, k, s FROM l ORDER BY {a} NULLS FIRST, {b} DESC NULLS LAST, id LIMIT 9")
    topic.query("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20) SELECT count(*), sum(i) FROM c")
    topic.query("WITH RECURSIVE f(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM f WHERE b < 500) SELECT max(a) FROM f")
    topic.query("WITH RECURSIVE c(i) AS (SELECT 1 UNION SELECT i * 3 % 11 FROM c) SELECT i FROM c")
    topic.query("WITH a AS (SELECT k, sum(n) AS v FROM l GROUP BY k), b AS (SELECT k, max(v) AS m FROM a GROUP BY k) SELECT a.k, v, m FROM a JOIN b ON a.k = b.k")
    topic.query("WITH a AS (SELECT k, count(*) AS c FROM l GROUP BY k) SELECT x.k, y.k FROM a x JOIN a y ON x.c = y.c AND x.k < y.k")
    topic.query("SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (NULL, NULL)) AS v(x, y)")
    topic.write()


def subquery_places():
    """Sub-queries where a plain semi join will not do, and the multiset operators."""
    topic = Topic("subquery_place", *tables())
    sets = ["SELECT k FROM r", "SELECT k FROM r WHERE k IS NOT NULL", "SELECT k FROM e", "SELECT r.k FROM r WHERE r.id = l.id",
            "SELECT r.k FROM r WHERE r.id = l.id AND r.k IS NOT NULL", "SELECT max(k) FROM r", "SELECT k FROM r ORDER BY id LIMIT 3"]
    for inner, negated in itertools.product(sets, ["", "NOT "]):
        topic.query(f"SELECT id, k {negated}IN ({inner}) FROM l")
        topic.query(f"SELECT id FROM l WHERE k {negated}IN ({inner}) OR n = 9")
        topic.query(f"SELECT id FROM l WHERE NOT (k {negated}IN ({inner}) OR n = 9)")
        topic.query(f"SELECT id FROM l WHERE (k {negated}IN ({inner})) IS NULL")
        topic.query(f"SELECT id, CASE WHEN k {negated}IN ({inner}) THEN 'in' ELSE 'out' END FROM l")
    rows = ["SELECT 1 FROM r", "SELECT 1 FROM e", "SELECT 1 FROM r WHERE r.k = l.k", "SELECT 1 FROM r WHERE r.k = l.k AND r.n > l.n",
            "SELECT 1 FROM r WHERE r.n > l.n", "SELECT 1 FROM r WHERE r.id = l.id AND r.s = l.s"]
    for inner, negated in itertools.product(rows, ["", "NOT "]):
        topic.query(f"SELECT id, {negated}EXISTS ({inner}) FROM l")
        topic.query(f"SELECT id FROM l WHERE {negated}EXISTS ({inner}) OR n IS NULL")
        topic.query(f"SELECT id, CASE WHEN {negated}EXISTS ({inner}) THEN n END FROM l")
        topic.query(f"SELECT b, count(*) FILTER (WHERE {negated}EXISTS ({inner})) FROM l GROUP BY b")
        topic.query(f"SELECT sum(CASE WHEN {negated}EXISTS ({inner}) THEN 1 ELSE 0 END) FROM l")
        topic.query(f"SELECT id FROM (SELECT id FROM l ORDER BY {negated}EXISTS ({inner}), id LIMIT 7) x")
    topic.query("SELECT l.id, r.id FROM l JOIN r ON l.id = r.id AND l.k IN (SELECT k FROM r WHERE n > 0)")
    topic.query("SELECT l.id, r.id FROM l LEFT JOIN r ON l.id = r.id AND r.k IN (SELECT k FROM l WHERE n > 0)")
    topic.query("SELECT id, k IN (SELECT k FROM r) AND n IN (SELECT n FROM r) FROM l")
    topic.query("SELECT id, k IN (SELECT k FROM r WHERE EXISTS (SELECT 1 FROM e)) FROM l")
    topic.query("SELECT k, k IN (SELECT k FROM e), count(*) FROM l GROUP BY k")
    topic.query("SELECT k FROM l GROUP BY k HAVING k IN (SELECT k FROM r) OR count(*) > 8")
    topic.query("SELECT id, sum(n) OVER (PARTITION BY k IN (SELECT k FROM r)) FROM l")
    topic.query("SELECT id, (SELECT max(n) FROM r WHERE r.k = l.k), EXISTS (SELECT 1 FROM r WHERE r.k = l.k) FROM l")
    topic.query("SELECT id FROM (SELECT id FROM l ORDER BY (SELECT max(n) FROM r WHERE r.k = l.k) NULLS FIRST, id LIMIT 9) x")
    for compare, quantifier in itertools.product(["=", "<>", "<", ">="], ["ANY", "ALL"]):
        for inner in ["SELECT k FROM r", "SELECT k FROM r WHERE k > 2", "SELECT k FROM e"]:
            topic.query(f"SELECT id FROM l WHERE k {compare} {quantifier} ({inner})")
    for operator, columns in itertools.product(["INTERSECT ALL", "EXCEPT ALL"], ["k", "s", "k, b", "d", "t", "k, s"]):
        topic.query(f"SELECT {columns} FROM l {operator} SELECT {columns} FROM r")
        topic.query(f"SELECT {columns} FROM r {operator} SELECT {columns} FROM l")
        topic.query(f"SELECT {columns} FROM l {operator} SELECT {columns} FROM e")
        topic.query(f"SELECT {columns} FROM l {operator} (SELECT DISTINCT {columns} FROM r)")
    topic.query("SELECT k FROM l INTERSECT ALL SELECT k FROM r EXCEPT ALL SELECT k FROM l WHERE id < 9")
    for columns in ["k", "k, b"]:
        topic.query(f"SELECT DISTINCT ON ({columns}) {columns}, id, n FROM l ORDER BY {columns}, id DESC")
    topic.query("SELECT id FROM (SELECT id FROM l ORDER BY id OFFSET 3 ROWS FETCH FIRST 4 ROWS ONLY) x")
    topic.query("SELECT id FROM (SELECT id FROM l ORDER BY id FETCH NEXT ROW ONLY) x")
    # The same sub-plan more than once, with other columns and filters above it.
    topic.query("WITH a AS (SELECT k, sum(n) AS v, count(*) AS c FROM l GROUP BY k) SELECT x.k, x.v, y.c FROM a x JOIN a y ON x.k = y.k WHERE y.c > 3")
    topic.query("WITH a AS (SELECT k, sum(n) AS v FROM l GROUP BY k) SELECT k, v FROM a WHERE v = (SELECT max(v) FROM a)")
    topic.query("WITH a AS (SELECT l.k, r.n FROM l JOIN r ON l.id = r.id WHERE l.b) SELECT k, sum(n) FROM a GROUP BY k HAVING sum(n) > (SELECT avg(n) FROM a)")
    topic.query("WITH a AS (SELECT k, b, count(*) AS c FROM l GROUP BY ROLLUP (k, b)) SELECT x.k, x.b, y.c FROM a x JOIN a y ON x.c = y.c AND x.k < y.k")
    topic.query("WITH a AS (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS p, sum(n) OVER (PARTITION BY k ORDER BY id) AS v FROM l) SELECT x.id, y.v FROM a x JOIN a y ON x.k = y.k AND x.p = y.p + 1")
    topic.query("WITH a AS (SELECT k, max(n) AS m FROM l GROUP BY k UNION ALL SELECT k, min(n) FROM r GROUP BY k) SELECT x.k, y.m FROM a x JOIN a y ON x.m = y.m")
    topic.write()


INTEGERS = {"TINYINT": ("TINYINT", -128, 127), "SMALLINT": ("SMALLINT", -32768, 32767), "INTEGER": ("INTEGER", -2**31, 2**31 - 1), "BIGINT": ("BIGINT", -2**63, 2**63 - 1),
            "TINYINT UNSIGNED": ("UTINYINT", 0, 255), "SMALLINT UNSIGNED": ("USMALLINT", 0, 65535), "INTEGER UNSIGNED": ("UINTEGER", 0, 2**32 - 1), "BIGINT UNSIGNED": ("UBIGINT", 0, 2**64 - 1)}


def typed(topic, data_type, duck_type, values):
    """What every type has to do: order, compare, group, aggregate, join, travel through CASE, windows and sets."""
    source = "(SELECT CAST(x AS {}) AS x, g FROM (VALUES " + ", ".join(f"({'NULL' if v is None else repr(str(v))}, {i % 3})" for i, v in enumerate(values)) + ") AS v(x, g)) AS t"
    middle = next(v for v in values if v is not None)
    for query in ["SELECT x FROM {t}", "SELECT x FROM {t} WHERE x IS NOT NULL ORDER BY x LIMIT 3", "SELECT min(x), max(x), count(x), count(DISTINCT x) FROM {t}",
                  "SELECT g, min(x), max(x) FROM {t} GROUP BY g", "SELECT x, count(*) FROM {t} GROUP BY x", "SELECT DISTINCT x FROM {t}",
                  "SELECT x FROM {t} WHERE x = CAST({m} AS {type})", "SELECT x FROM {t} WHERE x > CAST({m} AS {type})", "SELECT x FROM {t} WHERE x <= CAST({m} AS {type})",
                  "SELECT x FROM {t} WHERE x IS DISTINCT FROM CAST({m} AS {type})", "SELECT x FROM {t} WHERE x IN (CAST({m} AS {type}))", "SELECT x FROM {t} WHERE x BETWEEN CAST({m} AS {type}) AND CAST({m} AS {type})",
                  "SELECT count(*) FROM {t} JOIN {u} ON t.x = u.x", "SELECT count(*) FROM {t} LEFT JOIN {u} ON t.x = u.x AND u.g = 1", "SELECT count(*) FROM {t} JOIN {u} ON t.x IS NOT DISTINCT FROM u.x",
                  "SELECT x FROM {t} WHERE x IN (SELECT x FROM {u} WHERE g = 0)", "SELECT count(*) FROM {t} WHERE x NOT IN (SELECT x FROM {u} WHERE g = 0 AND x IS NOT NULL)",
                  "SELECT x FROM {t} EXCEPT SELECT x FROM {u} WHERE g = 1", "SELECT x FROM {t} INTERSECT SELECT x FROM {u} WHERE g = 2", "SELECT count(*) FROM (SELECT x FROM {t} UNION ALL SELECT x FROM {u}) AS a",
                  "SELECT CASE WHEN g = 0 THEN x END FROM {t}", "SELECT coalesce(x, CAST({m} AS {type})) FROM {t}", "SELECT nullif(x, CAST({m} AS {type})) FROM {t}",
                  "SELECT x, rank() OVER (ORDER BY x NULLS LAST) FROM {t}", "SELECT g, first_value(x) OVER (PARTITION BY g ORDER BY x NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM {t}",
                  "SELECT x, max(x) OVER (PARTITION BY g) FROM {t}", "SELECT CAST(CAST(x AS VARCHAR) AS {type}) FROM {t}"]:
        write = lambda of: query.format(t=source.format(of), u=source.format(of)[: -len("t")] + "u", m=repr(str(middle)), type=of)
        topic.query(write(data_type), write(duck_type))


def types():
    topic = Topic("types")
    for name, (duck, low, high) in INTEGERS.items():
        typed(topic, name, duck, [5, low, high, None, 0, 1, 5, high - 1, None, 7])
    typed(topic, "DECIMAL(9,2)", "DECIMAL(9,2)", ["1.50", "-9999999.99", "9999999.99", None, "0.00", "1.50", "-0.01"])
    typed(topic, "DECIMAL(18,4)", "DECIMAL(18,4)", ["1.5000", "-99999999999999.9999", "99999999999999.9999", None, "0.0000", "1.5000"])
    typed(topic, "DECIMAL(38,0)", "DECIMAL(38,0)", ["12", "9" * 38, "-" + "9" * 38, None, "0", "12", "1" + "0" * 37])
    typed(topic, "DECIMAL(38,10)", "DECIMAL(38,10)", ["0.0000000001", "9" * 28 + "." + "9" * 10, "-" + "9" * 28 + "." + "9" * 10, None, "0.0000000000", "0.0000000001"])
    typed(topic, "VARCHAR", "VARCHAR", ["abc", "", None, "naïve", "日本語", "a string longer than twelve", "a string longer than twelve bytes", "abc"])
    typed(topic, "DATE", "DATE", ["2020-02-29", "0001-01-01", "9999-12-31", None, "1970-01-01", "1969-12-31", "2020-02-29"])
    typed(topic, "TIME", "TIME", ["12:34:56", "00:00:00", "23:59:59", None, "12:34:56"])
    typed(topic, "BOOLEAN", "BOOLEAN", ["true", "false", None, "true"])
    for a, b in itertools.permutations(INTEGERS, 2):
        if "BIGINT UNSIGNED" not in (a, b):
            duck = lambda of: INTEGERS[of][0]
            for query in ["SELECT CAST(7 AS {}) + CAST(3 AS {}), CAST(7 AS {}) < CAST(3 AS {})"]:
                topic.query(query.format(a, b, a, b).replace(", C", " AS s, C"), query.format(duck(a), duck(b), duck(a), duck(b)))
    topic.write()


if __name__ == "__main__":
    joins()
    subqueries()
    aggregates()
    windows()
    expressions()
    sets_and_order()
    subquery_places()
    types()
