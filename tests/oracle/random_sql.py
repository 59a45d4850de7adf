"""Random queries for random_queries.py, as trees that render in both dialects and can be cut smaller."""
import copy

OURS, DUCK = 0, 1
COMPARE = ["=", "<>", "<", "<=", ">", ">=", "=", "=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
ORDERED = ["int", "float", "dec", "str", "date", "ts", "bool"]


class Expr:
    """An expression: its kind, a template per dialect over `{0}`, `{1}`, …, its parts (expressions or queries).

    `fuzzy`: the last digits depend on the order of evaluation, so it must not decide which rows come out. `safe`: small enough for arithmetic."""

    def __init__(self, kind, ours, parts=(), duck=None, safe=True, fuzzy=False):
        self.kind, self.text, self.parts, self.safe = kind, (ours, duck or ours), list(parts), safe
        self.fuzzy = fuzzy or any(isinstance(p, Expr) and p.fuzzy for p in parts)

    def render(self, dialect):
        return self.text[dialect].format(*(p.render(dialect) for p in self.parts))


class Source:
    """A relation in FROM: a table, a sub-query or a CTE's name, under an alias, with how it joins what is before it.

    `lateral`: a sub-query that may read what is before it."""

    def __init__(self, relation, alias, join=None, on=(), using=(), lateral=False):
        self.relation, self.alias, self.join, self.on, self.using, self.lateral = relation, alias, join, list(on), list(using), lateral

    def render(self, dialect):
        relation = self.relation if isinstance(self.relation, str) else f"({self.relation.render(dialect)})"
        if self.lateral:
            relation = "LATERAL " + relation
        text = f"{relation} AS {self.alias}"
        if self.join is None:
            return text
        if self.join in ("CROSS JOIN", ","):
            return f"{self.join} {text}" if self.join != "," else f", {text}"
        if self.using:
            return f"{self.join} {text} USING ({', '.join(self.using)})"
        return f"{self.join} {text} ON {' AND '.join(e.render(dialect) for e in self.on) or 'true'}"


class Query:
    def __init__(self):
        self.ctes, self.sources, self.where, self.select = [], [], [], []
        self.distinct, self.group, self.grouping, self.having = False, None, None, []
        self.set_operations, self.order, self.limit, self.offset = [], None, None, None

    def render(self, dialect):
        text = ""
        if self.ctes:
            text += "WITH " + ", ".join(f"{name} AS ({query.render(dialect)})" for name, query in self.ctes) + " "
        text += "SELECT " + ("DISTINCT " if self.distinct else "")
        text += ", ".join(f"{e.render(dialect)} AS {name}" for name, e in self.select)
        if self.sources:
            text += " FROM " + "".join((" " if s.join and s.join != "," else "") + s.render(dialect) for s in self.sources)
        if self.where:
            text += " WHERE " + " AND ".join(f"({e.render(dialect)})" for e in self.where)
        if self.group is not None:
            keys = [e.render(dialect) for e in self.group]
            if keys:
                text += " GROUP BY " + {None: "{}", "rollup": "ROLLUP ({})", "cube": "CUBE ({})"}.get(self.grouping, "{}").format(", ".join(keys)) if not isinstance(self.grouping, list) else " GROUP BY GROUPING SETS (" + ", ".join("(" + ", ".join(keys[i] for i in s if i < len(keys)) + ")" for s in self.grouping) + ")"
        if self.having:
            text += " HAVING " + " AND ".join(f"({e.render(dialect)})" for e in self.having)
        for operator, query in self.set_operations:
            text += f" {operator} {query.render(dialect)}"
        if self.order:
            text += " ORDER BY " + ", ".join(f"{position} {how}" for position, how in self.order)
            if self.limit is not None:
                text += f" LIMIT {self.limit}"
            if self.offset is not None:
                text += f" OFFSET {self.offset}"
        return text


class Reference:
    """A column in scope."""

    def __init__(self, text, kind, safe, unique=False):
        self.text, self.kind, self.safe, self.unique = text, kind, safe, unique


class Grammar:
    #: Kinds that the columns of a set operation do not have: decimals of both sides become one type, which each engine makes otherwise.
    SET_OPERATIONS_WITHOUT = {"dec"}
    #: Rows that a product of relations may have.
    ROWS_MAX = 100_000

    def __init__(self, random, tables):
        self.random, self.tables, self.aliases = random, tables, 0

    def chance(self, p):
        return self.random.random() < p

    # ---- leaves
    def literal(self, kind):
        r = self.random
        if kind == "int":
            return Expr("int", str(r.choice([0, 1, 2, 3, 5, -1, 7, 50])))
        if kind == "float":
            return Expr("float", f"CAST({r.choice([0, 1, 0.5, -7.125, 1.5, 2])} AS DOUBLE)")
        if kind == "dec":
            return Expr("dec", r.choice(["0.00", "1.50", "-3.25", "10.01", "0.1"]))
        if kind == "str":
            return Expr("str", "'" + r.choice(["", "a", "ab", "naïve", "日本", "a longer string than twelve", "zz", "b", "x"]) + "'")
        if kind == "bool":
            return Expr("bool", r.choice(["true", "false"]))
        if kind == "date":
            return Expr("date", f"DATE '{r.choice(['2020-01-01', '2019-06-01', '2024-02-29', '1999-12-31'])}'")
        return Expr("ts", f"TIMESTAMP '{r.choice(['2020-01-01 00:00:00', '2019-06-01 12:30:00', '2020-01-01 00:00:00.5'])}'")

    def kind(self, scope):
        """A kind, most often one that has a column."""
        return self.random.choice(ORDERED if not scope or self.chance(0.1) else [c.kind for c in scope])

    def null(self, kind):
        types = {"int": "BIGINT", "float": "DOUBLE", "dec": "DECIMAL(9,2)", "str": "VARCHAR", "bool": "BOOLEAN", "date": "DATE", "ts": "TIMESTAMP"}
        return Expr(kind, f"CAST(NULL AS {types[kind]})")

    def leaf(self, scope, kind, safe=False):
        fitting = [c for c in scope if c.kind == kind and (c.safe or not safe)]
        if fitting and not self.chance(0.12):
            c = self.random.choice(fitting)
            return Expr(kind, c.text, safe=c.safe)
        return self.null(kind) if self.chance(0.06) else self.literal(kind)

    # ---- expressions
    def expr(self, scope, kind, depth=2, safe=False):
        r = self.random
        if depth <= 0 or self.chance(0.35):
            return self.leaf(scope, kind, safe)
        # Decimals that need more than 38 digits together are cut differently by each engine.
        safe = safe or kind == "dec"
        pick = r.random()
        sub = lambda k, s=safe, d=depth - 1: self.expr(scope, k, d, s)
        if pick < 0.12:
            return self.case(scope, kind, depth, safe)
        if pick < 0.22:
            a, b = sub(kind), sub(kind)
            both = a.safe and b.safe
            return Expr(kind, r.choice(["coalesce({0}, {1})", "nullif({0}, {1})"]), [a, b], safe=both)
        if pick < 0.26 and kind in ("int", "str", "date", "float"):
            a, b = sub(kind), sub(kind)
            name = r.choice(["greatest", "least"])
            return Expr(kind, name + "({0}, {1})", [a, b], safe=a.safe and b.safe)
        return getattr(self, kind + "_expr")(scope, sub, depth)

    def case(self, scope, kind, depth, safe):
        n = self.random.randint(1, 3)
        parts, text = [], "CASE"
        for i in range(n):
            parts += [self.expr(scope, "bool", depth - 1), self.expr(scope, kind, depth - 1, safe)]
            text += f" WHEN {{{2 * i}}} THEN {{{2 * i + 1}}}"
        if self.chance(0.7):
            parts.append(self.expr(scope, kind, depth - 1, safe))
            text += f" ELSE {{{2 * n}}}"
        return Expr(kind, text + " END", parts, safe=all(p.safe for p in parts if p.kind == kind))

    def int_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.4:
            a, b = sub("int", True), sub("int", True)
            return Expr("int", "(" + r.choice(["CAST({0} AS BIGINT)", "CAST({0} AS BIGINT)", "{0}"]) + r.choice([" + ", " - ", " * "]) + "CAST({1} AS BIGINT))", [a, b], safe=depth < 2)
        if pick < 0.5:
            a, b = sub("int"), self.leaf(scope, "int")
            return Expr("int", "(CAST({0} AS BIGINT) % nullif(CAST({1} AS BIGINT), 0))", [self.expr(scope, "int", 1, True), self.leaf(scope, "int", True)])
        if pick < 0.58:
            return Expr("int", "(CAST({0} AS BIGINT) / nullif(CAST({1} AS BIGINT), 0))", [sub("int", True), self.leaf(scope, "int", True)], duck="(CAST({0} AS BIGINT) // nullif(CAST({1} AS BIGINT), 0))")
        if pick < 0.68:
            return Expr("int", "length({0})", [sub("str")])
        if pick < 0.76:
            part = r.choice(["year", "month", "day", "quarter", "week", "doy", "dow"])
            return Expr("int", f"CAST(extract({part} FROM {{0}}) AS BIGINT)", [sub(r.choice(["date", "ts"]), True)])
        if pick < 0.82:
            part = r.choice(["hour", "minute"])
            return Expr("int", f"CAST(extract({part} FROM {{0}}) AS BIGINT)", [sub("ts")])
        if pick < 0.88:
            return Expr("int", "abs(CAST({0} AS BIGINT))", [sub("int", True)])
        if pick < 0.93:
            return Expr("int", "strpos({0}, {1})", [sub("str"), self.literal("str")])
        return Expr("int", "CAST({0} AS INTEGER)", [sub("bool")])

    def float_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.5:
            return Expr("float", "({0}" + r.choice([" + ", " - ", " * "]) + "{1})", [sub("float", True), sub("float", True)])
        if pick < 0.65:
            return Expr("float", "CAST({0} AS DOUBLE)", [sub(r.choice(["int", "int", "dec"]))], safe=False)
        if pick < 0.75:
            return Expr("float", r.choice(["abs({0})", "floor({0})", "ceil({0})", "(- {0})"]), [sub("float", True)])
        if pick < 0.85:
            return Expr("float", "({0} / nullif({1}, CAST(0 AS DOUBLE)))", [sub("float", True), sub("float", True)])
        return Expr("float", r.choice(["round({0})", "sqrt(abs({0}))"]), [self.leaf(scope, "float", True)], fuzzy=False)

    def dec_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.5:
            return Expr("dec", "(CAST({0} AS DECIMAL(15,2))" + r.choice([" + ", " - "]) + "CAST({1} AS DECIMAL(15,2)))", [sub("dec", True), sub("dec", True)])
        if pick < 0.7:
            return Expr("dec", "(CAST({0} AS DECIMAL(9,2)) * CAST({1} AS DECIMAL(9,2)))", [self.leaf(scope, "dec", True), self.leaf(scope, "dec", True)], safe=False)
        if pick < 0.85:
            return Expr("dec", f"CAST({{0}} AS DECIMAL({r.choice(['12,3', '18,4', '20,6', '8,1'])}))", [sub(r.choice(["dec", "int"]), True)])
        return Expr("dec", r.choice(["abs({0})", "(- {0})"]), [sub("dec")])

    def str_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.25:
            return Expr("str", "({0} || {1})", [sub("str"), sub("str")])
        if pick < 0.5:
            return Expr("str", r.choice(["upper({0})", "lower({0})", "trim({0})", "ltrim({0})", "rtrim({0})", "replace({0}, 'a', 'bb')", "left({0}, 2)", "right({0}, 3)"]), [sub("str")])
        if pick < 0.65:
            return Expr("str", f"substr({{0}}, {r.randint(1, 4)}, {r.randint(0, 5)})", [sub("str")])
        if pick < 0.75:
            return Expr("str", f"{r.choice(['lpad', 'rpad'])}({{0}}, {r.randint(1, 14)}, '*')", [sub("str")])
        if pick < 0.8:
            return Expr("str", "concat({0}, {1})", [sub("str"), sub("int")])
        return Expr("str", "CAST({0} AS VARCHAR)", [sub(r.choice(["int", "date", "bool", "dec"]))])

    def date_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.5:
            return Expr("date", f"CAST({{0}} {r.choice('+-')} INTERVAL '{r.randint(0, 40)} {r.choice(['day', 'month', 'year'])}' AS DATE)", [self.leaf(scope, "date", True)])
        if pick < 0.75:
            return Expr("date", f"CAST(date_trunc('{r.choice(['month', 'year', 'week', 'quarter'])}', {{0}}) AS DATE)", [sub("date", True)])
        return Expr("date", "CAST({0} AS DATE)", [sub("ts", True)])

    def ts_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.4:
            return Expr("ts", f"({{0}} {r.choice('+-')} INTERVAL '{r.randint(0, 40)} {r.choice(['day', 'month', 'hour', 'minute', 'second'])}')", [self.leaf(scope, "ts", True)])
        if pick < 0.8:
            return Expr("ts", f"date_trunc('{r.choice(['day', 'hour', 'month', 'minute', 'second'])}', {{0}})", [sub("ts", True)])
        return Expr("ts", "CAST({0} AS TIMESTAMP)", [sub("date", True)])

    def bool_expr(self, scope, sub, depth):
        r, pick = self.random, self.random.random()
        if pick < 0.45:
            kind = self.kind(scope)
            return Expr("bool", "({0} " + r.choice(COMPARE) + " {1})", [sub(kind), sub(kind) if self.chance(0.4) else self.leaf(scope, kind)])
        if pick < 0.6:
            return Expr("bool", r.choice(["({0} AND {1})", "({0} OR {1})"]), [sub("bool"), sub("bool")])
        if pick < 0.67:
            return Expr("bool", r.choice(["(NOT {0})", "({0} IS TRUE)", "({0} IS NOT FALSE)", "({0} IS NOT TRUE)", "({0} IS FALSE)"]), [sub("bool")])
        if pick < 0.75:
            return Expr("bool", r.choice(["({0} IS NULL)", "({0} IS NOT NULL)"]), [sub(self.kind(scope))])
        if pick < 0.83:
            kind = r.choice(["int", "str", "date", "dec", "float"])
            items = [self.literal(kind) if self.chance(0.8) else self.leaf(scope, kind) for _ in range(r.choice([1, 2, 3, 6]))]
            if self.chance(0.1):
                items.append(self.null(kind))
            return Expr("bool", "({0} " + r.choice(["IN", "NOT IN"]) + " (" + ", ".join(f"{{{i + 1}}}" for i in range(len(items))) + "))", [sub(kind)] + items)
        if pick < 0.91:
            pattern = r.choice(["a%", "%a", "%a%", "", "%", "_", "__", "a_b", "%longer%", "日%", "é%", "%e", "a%b%", "_a%", "%\u0301"])
            return Expr("bool", f"({{0}} {r.choice(['LIKE', 'NOT LIKE', 'LIKE'])} '{pattern}')", [sub("str")])
        kind = r.choice(["int", "dec", "date", "str", "float"])
        return Expr("bool", "({0} " + r.choice(["BETWEEN", "NOT BETWEEN"]) + " {1} AND {2})", [sub(kind), self.leaf(scope, kind), self.leaf(scope, kind)])

    # ---- aggregates and windows
    def aggregate(self, scope):
        r, pick = self.random, self.random.random()
        arg = lambda kind, safe=True, d=1: self.expr(scope, kind, d, safe)
        distinct = "DISTINCT " if self.chance(0.15) else ""
        if pick < 0.15:
            made = Expr("int", "count(*)", safe=False)
        elif pick < 0.3:
            made = Expr("int", f"count({distinct}{{0}})", [arg(self.kind(scope), False)], safe=False)
        elif pick < 0.45:
            kind = r.choice(["int", "dec", "float"])
            made = Expr(kind, f"sum({distinct}{{0}})", [arg(kind)], safe=False, fuzzy=kind == "float")
        elif pick < 0.65:
            kind = r.choice(["int", "dec", "float", "str", "date", "ts"])
            made = Expr(kind, r.choice(["min({0})", "max({0})"]), [arg(kind, False)], safe=False)
        elif pick < 0.78:
            kind = r.choice(["int", "dec", "float"])
            made = Expr("float", f"avg({distinct}{{0}})", [arg(kind)], safe=False, fuzzy=True)
        elif pick < 0.84:
            made = Expr("bool", r.choice(["bool_and({0})", "bool_or({0})"]), [arg("bool", False)], safe=False)
        elif pick < 0.9:
            made = Expr("float", r.choice(["stddev_samp({0})", "var_pop({0})", "stddev_pop({0})", "var_samp({0})"]), [self.leaf(scope, "int", True)], safe=False, fuzzy=True)
        elif pick < 0.95:
            texts = [c for c in scope if c.kind == "str"]
            if not texts:
                return self.aggregate(scope)
            made = Expr("str", "string_agg({0}, ',' ORDER BY {0})", [Expr("str", r.choice(texts).text)], safe=False)
        else:
            made = Expr("int", r.choice(["bit_and({0})", "bit_or({0})", "bit_xor({0})"]), [self.leaf(scope, "int", True)], safe=False)
        if self.chance(0.15):
            n = len(made.parts)
            made = Expr(made.kind, made.text[0] + f" FILTER (WHERE {{{n}}})", made.parts + [arg("bool")], safe=False, fuzzy=made.fuzzy)
        return made

    def direction(self):
        return self.random.choice(["ASC", "DESC"]) + " NULLS " + self.random.choice(["FIRST", "LAST"])

    def window(self, scope, unique):
        r, pick = self.random, self.random.random()
        parts = []
        def part(e):
            parts.append(e)
            return f"{{{len(parts) - 1}}}"
        total = bool(unique) and self.chance(0.7)
        keys = [part(self.leaf(scope, self.kind(scope))) + " " + self.direction() for _ in range(r.choice([0, 1, 1, 2]))]
        range_key = None
        if total:
            keys += [part(Expr("int", u.text)) + " " + self.direction() for u in unique]
        elif self.chance(0.3):
            safe_ints = [c for c in scope if c.kind == "int" and c.safe]
            if safe_ints:
                range_key = r.choice(safe_ints)
                keys = [part(Expr("int", range_key.text)) + " " + self.direction()]
        frame = ""
        bounds = ["UNBOUNDED PRECEDING", "{} PRECEDING", "CURRENT ROW", "{} FOLLOWING", "UNBOUNDED FOLLOWING"]
        def pick_frame(units):
            low, high = sorted([r.randrange(5), r.randrange(5)])
            low, high = min(low, 3), max(high, 1)
            a, b = r.randint(0, 4), r.randint(0, 4)
            if low == high == 1:
                a, b = max(a, b), min(a, b)
            if low == high == 3:
                a, b = min(a, b), max(a, b)
            return f" {units} BETWEEN {bounds[low].format(a)} AND {bounds[high].format(b)}"
        if total and self.chance(0.6):
            frame = pick_frame("ROWS")
        elif range_key is not None and self.chance(0.8):
            frame = pick_frame("RANGE")
        elif keys and self.chance(0.2):
            frame = pick_frame("GROUPS")
        fuzzy = False
        if pick < 0.5 or (not total and pick < 0.75):
            aggregate = self.aggregate(scope)
            while "string_agg" in aggregate.text[0] or "DISTINCT" in aggregate.text[0]:
                aggregate = self.aggregate(scope)
            text, kind, fuzzy = part(aggregate), aggregate.kind, aggregate.fuzzy
        elif not total or pick < 0.6:
            if not keys:
                keys = [part(self.leaf(scope, "int")) + " " + self.direction()]
            name = r.choice(["rank()", "dense_rank()", "percent_rank()", "cume_dist()"])
            text, kind, fuzzy, frame = name, ("float" if name[0] in "pc" else "int"), name[0] in "pc", ""
        elif pick < 0.8:
            kind = self.kind(scope)
            name = r.choice(["lag({0})", "lead({0})", "lag({0}, 2)", "lead({0}, 3)"])
            text, frame = name.replace("{0}", part(self.expr(scope, kind, 1))), ""
        elif pick < 0.9:
            kind = self.kind(scope)
            name = r.choice(["first_value({0})", "last_value({0})", "nth_value({0}, 2)"])
            text = name.replace("{0}", part(self.expr(scope, kind, 1)))
        else:
            kind = "int"
            text, frame = r.choice(["row_number()", f"ntile({r.randint(1, 7)})"]), ""
        partition = ", ".join(part(self.leaf(scope, self.kind(scope))) for _ in range(r.choice([0, 1, 1, 2])))
        over = (f"PARTITION BY {partition}" if partition else "") + (" ORDER BY " + ", ".join(keys) if keys else "") + frame
        return Expr(kind, f"{text} OVER ({over})", parts, safe=False, fuzzy=fuzzy)

    # ---- sub-queries as expressions
    def subquery_condition(self, scope, depth):
        r, pick = self.random, self.random.random()
        kind = r.choice(["int", "int", "str", "date"])
        outer = self.leaf(scope, kind)
        correlated = scope if self.chance(0.4) else None
        if pick < 0.5:
            query = self.query(depth - 1, kinds=[kind], outer=correlated, simple=correlated is not None)
            return Expr("bool", "({0} " + r.choice(["IN", "NOT IN"]) + " ({1}))", [outer, query])
        if pick < 0.8:
            query = self.query(depth - 1, kinds=[kind], outer=scope if self.chance(0.8) else None, simple=True)
            return Expr("bool", r.choice(["EXISTS ({0})", "NOT EXISTS ({0})"]), [query])
        query = self.scalar(depth - 1, kind, correlated)
        return Expr("bool", "({0} " + r.choice(COMPARE[:6]) + " ({1}))", [outer, query])

    def scalar(self, depth, kind, outer):
        query = self.query(depth, kinds=["int"], outer=outer, simple=True)
        scope = query.scope
        query.distinct, query.order, query.limit, query.offset, query.set_operations = False, None, None, None, []
        names = ["min({0})", "max({0})"]
        if kind == "int":
            names += ["count({0})", "count(*)", "count(DISTINCT {0})", "coalesce(max({0}), -1)", "count({0}) + 1"]
        argument = self.mixed(scope, outer, kind) if outer and self.chance(0.2) else self.leaf(scope, kind)
        query.select = [("v", Expr(kind, self.random.choice(names), [argument], safe=False))]
        if self.chance(0.1):
            query.group = []
            query.having.append(Expr("bool", "(count(*) " + self.random.choice(COMPARE[:6]) + " {0})", [self.literal("int")]))
        return query

    def mixed(self, scope, outer, kind):
        """A value of this query or the one around it. It reads a column of this one: what reads none is an aggregate of the outer query."""
        return Expr(kind, "CASE WHEN {0} IS NOT NULL THEN {1} END", [Expr("int", self.random.choice(scope).text), self.leaf(scope + outer, kind)])

    def lateral(self, scope):
        """A sub-query in FROM that reads columns of what is before it: filtered, aggregated, or its first row in a total order."""
        r = self.random
        kinds = [self.kind(scope) for _ in range(r.choice([1, 2, 2, 3]))]
        query = self.query(1, kinds=kinds, outer=scope, simple=True)
        inner, keys = query.scope + scope, [c for c in query.scope if c.unique]
        style = r.random()
        if style < 0.35:
            query.distinct = False
            mixed = Expr(kinds[0], r.choice(["min({0})", "max({0})"]), [self.mixed(query.scope, scope, kinds[0])], safe=False)
            query.select = self.named([a for a in [self.aggregate(query.scope)] if not a.fuzzy] + [mixed, Expr("int", "count(*)", safe=False)][: r.choice([1, 2])])
        elif style < 0.6 and len(keys) == len(query.sources) == 1:
            query.distinct = False
            query.select = self.named([self.expr(inner, k, 1) for k in kinds] + [Expr("int", keys[0].text)])
            query.order = [(p, self.direction()) for p in [len(query.select)] + list(range(1, len(query.select)))]
            query.limit, query.offset = r.choice([1, 1, 2, 5]), r.choice([None, None, 1])
        elif style < 0.85:
            query.select = self.named([self.expr(inner, k, 1) for k in kinds])
        return query

    # ---- queries
    def alias(self):
        self.aliases += 1
        return f"t{self.aliases}"

    def source(self, depth, ctes, rows_max):
        """A relation, its columns as [(name, kind, safe, unique)], and a guess of its size."""
        if rows_max < 100:
            ctes, depth = None, 0
        if ctes and self.chance(0.5):
            name, query = self.random.choice(ctes)
            return name, [(n, e.kind, e.safe, False) for n, e in query.select], 100
        if depth > 0 and self.chance(0.2):
            query = self.query(depth - 1, plain=True)
            return query, [(n, e.kind, e.safe, False) for n, e in query.select], 100
        fitting = [t for t in self.tables if len(t.rows) <= rows_max]
        table = self.random.choice(fitting) if fitting else min(self.tables, key=lambda t: len(t.rows))
        return table.name, [(c.name, c.kind, c.safe, c.unique) for c in table.columns], len(table.rows)

    def query(self, depth=2, kinds=None, outer=None, simple=False, plain=False, ctes=None, top=False):
        """A query; `kinds`: of its columns; `outer`: columns of the query around it; `plain`: no fuzzy column."""
        r = self.random
        query = Query()
        ctes = list(ctes or [])
        if top and self.chance(0.12):
            for i in range(r.choice([1, 1, 2])):
                name = f"w{i}"
                query.ctes.append((name, self.query(1, plain=True, ctes=ctes)))
                ctes.append(query.ctes[-1])
        scope, unique = self.joins(query, depth, ctes, r.choice([1, 1, 1, 1, 2]) if simple else r.choice([1, 1, 1, 2, 2, 2, 3, 3, 4, 5] if top else [1, 1, 1, 2, 2, 3]))
        query.scope = scope
        inner = scope
        if outer:
            shared = [c for c in scope if c.kind in ("int", "str")]
            fitting = [(a, b) for a in shared for b in outer if a.kind == b.kind and "." in b.text]
            if fitting:
                a, b = r.choice(fitting)
                query.where.append(Expr("bool", "({0} " + ("=" if self.chance(0.85) else r.choice(COMPARE)) + " {1})", [Expr(a.kind, a.text), Expr(b.kind, b.text)]))
                if self.chance(0.25):
                    a, b = r.choice(fitting)
                    query.where.append(Expr("bool", "({0} " + r.choice(["<>", "<", ">="]) + " {1})", [Expr(a.kind, a.text), Expr(b.kind, b.text)]))
        for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
            if depth > 0 and not simple and self.chance(0.25):
                query.where.append(self.subquery_condition(scope, depth))
            else:
                query.where.append(self.expr(inner, "bool", 2 if not simple else 1))
        wanted = kinds or [self.kind(scope) for _ in range(r.choice([1, 2, 3, 4, 5]))]
        style = r.random()
        if simple or (kinds and style < 0.6) or style < 0.35:
            query.select = self.named([self.expr(scope, k, 2) for k in wanted])
            if not kinds and not plain and depth > 0 and self.chance(0.12):
                query.select.append(("q", Expr("int", "({0})", [self.scalar(depth - 1, "int", scope if self.chance(0.5) else None)], safe=False)))
            if self.chance(0.15):
                query.distinct = True
        elif style < 0.75 or kinds or query.ctes and style < 0.85:
            self.grouped(query, scope, wanted, kinds, plain)
        else:
            window = lambda: next(w for w in iter(lambda: self.window(scope, unique), None) if not (plain and w.fuzzy))
            query.select = self.named([self.expr(scope, k, 1) for k in wanted[:2]] + [window() for _ in range(r.choice([1, 1, 2, 3]))])
        if not kinds and any(e.fuzzy for _, e in query.select):
            query.distinct = False
        elif not outer:
            self.set_operation(query, depth, plain, ctes)
        if not outer:
            self.ordering(query, top)
        return query

    def named(self, expressions):
        return [(f"x{i}", e) for i, e in enumerate(expressions)]

    def joins(self, query, depth, ctes, count):
        r, scope, unique, size_so_far = self.random, [], [], 1
        commas = self.chance(0.25)
        for i in range(count):
            if i > 0 and size_so_far * min(len(t.rows) for t in self.tables) > self.ROWS_MAX:
                break
            lateral = i > 0 and depth > 1 and self.chance(0.12)
            if lateral:
                relation = self.lateral(scope)
                columns, size = [(n, e.kind, e.safe, False) for n, e in relation.select], 10
            else:
                relation, columns, size = self.source(depth, ctes, self.ROWS_MAX // max(size_so_far, 1))
            size_so_far *= size
            alias = self.alias()
            mine = [Reference(f"{alias}.{n}", k, safe, u) for n, k, safe, u in columns]
            if i == 0:
                query.sources.append(Source(relation, alias))
            elif lateral:
                kind = "," if commas else r.choice(["JOIN", "CROSS JOIN", "LEFT JOIN"])
                query.sources.append(Source(relation, alias, kind, lateral=True))
            else:
                kind = "," if commas else r.choice(["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
                if kind in (",", "CROSS JOIN"):
                    query.sources.append(Source(relation, alias, kind))
                    if self.chance(0.9):
                        query.where.append(self.join_condition(scope, mine))
                elif self.chance(0.25) and count == 2 and all(any(c.text.endswith(".k") and c.kind == "int" for c in s) for s in (scope, mine)):
                    names = ["k", "s"] if self.chance(0.3) and all(any(c.text.endswith(".s") for c in s) for s in (scope, mine)) else ["k"]
                    query.sources.append(Source(relation, alias, kind, using=names))
                    scope = scope + [Reference(n, "int" if n == "k" else "str", True) for n in names]
                else:
                    on = [self.join_condition(scope, mine)]
                    for _ in range(r.choice([0, 0, 0, 1, 2])):
                        on.append(self.join_condition(scope, mine) if self.chance(0.4) else self.expr(scope + mine, "bool", 1))
                    if self.chance(0.06):
                        on = on[1:] or [self.expr(scope + mine, "bool", 1)]
                    query.sources.append(Source(relation, alias, kind, on))
            scope = scope + mine
            keys = [c for c in mine if c.unique]
            unique = None if unique is None or not keys else unique + keys[:1]
        return scope, unique

    def join_condition(self, left, right):
        r = self.random
        operator = "IS NOT DISTINCT FROM" if self.chance(0.12) else r.choice(["<", ">=", "<>"]) if self.chance(0.08) else "="
        names = {c.text.split(".")[-1] for c in left} & {c.text.split(".")[-1] for c in right} & {"k", "s", "id"}
        if names and self.chance(0.7):
            name = r.choice(sorted(names))
            a = r.choice([c for c in left if c.text.split(".")[-1] == name])
            b = r.choice([c for c in right if c.text.split(".")[-1] == name])
            if a.kind == b.kind:
                return Expr("bool", "({0} " + operator + " {1})", [Expr(a.kind, a.text), Expr(b.kind, b.text)])
        kind = r.choice(["int", "int", "str", "date", "float", "dec", "bool", "ts"])
        a, b = [c for c in left if c.kind == kind], [c for c in right if c.kind == kind]
        if a and b:
            a, b = r.choice(a), r.choice(b)
            if kind == "int" and self.chance(0.1) and a.safe and b.safe:
                return Expr("bool", "(CAST({0} AS BIGINT) + 1 " + operator + " {1})", [Expr(kind, a.text), Expr(kind, b.text)])
            return Expr("bool", "({0} " + operator + " {1})", [Expr(kind, a.text), Expr(kind, b.text)])
        return self.expr(left + right, "bool", 1)

    def grouped(self, query, scope, wanted, kinds, plain):
        r = self.random
        count = r.choice([0, 1, 1, 1, 2, 2, 3])
        keys = [self.leaf(scope, k) if self.chance(0.7) else self.expr(scope, k, 1) for k in (kinds or [self.kind(scope) for _ in range(count)])]
        # Constants as keys mean positions to some dialects.
        keys = [k for k in keys if k.parts or "." in k.text[0] and "'" not in k.text[0] and "CAST" not in k.text[0] and not k.text[0][0].isdigit() and k.text[0][0] != "-"]
        if kinds and len(keys) != len(kinds):
            query.select = self.named([self.expr(scope, k, 1) for k in kinds])
            return
        query.group = keys
        if len({k.text[0] for k in keys}) == len(keys) > 1 and self.chance(0.35):
            query.grouping = r.choice(["rollup", "cube"] + [[[0], [1], []], [[0, 1], [1]]] * (len(keys) == 2))
        if kinds:
            query.select = self.named(keys)
        else:
            aggregates = [a for a in (self.aggregate(scope) for _ in range(r.choice([1, 2, 2, 3, 4]))) if not (plain and a.fuzzy)]
            query.select = self.named([copy.copy(k) for k in keys] + aggregates) or self.named([Expr("int", "count(*)", safe=False)])
            if query.grouping and self.chance(0.3):
                query.select.append(("g", Expr("int", "grouping({0})", [keys[0]])))
        if self.chance(0.25):
            aggregate = self.aggregate(scope)
            if not aggregate.fuzzy and aggregate.kind != "bool":
                query.having.append(Expr("bool", "({0} " + r.choice(COMPARE[:6]) + " {1})", [aggregate, self.literal(aggregate.kind)]))

    def set_operation(self, query, depth, plain, ctes):
        if depth <= 0 or not self.chance(0.1) or any(e.kind in self.SET_OPERATIONS_WITHOUT for _, e in query.select):
            return
        for _ in range(self.random.choice([1, 1, 2])):
            other = self.query(0, kinds=[e.kind for _, e in query.select], plain=plain, ctes=ctes)
            other.ctes, other.order = [], None
            query.set_operations.append((self.random.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]), other))
        if len({op.split()[0] == "INTERSECT" for op, _ in query.set_operations}) > 1:
            query.set_operations = query.set_operations[:1]

    def ordering(self, query, top):
        if any(e.fuzzy for _, e in query.select) or not self.chance(0.35 if top else 0.1):
            return
        positions = list(range(1, len(query.select) + 1))
        self.random.shuffle(positions)
        query.order = [(p, self.direction()) for p in positions]
        if self.chance(0.6):
            query.limit = self.random.choice([0, 1, 3, 10, 50])
            if self.chance(0.3):
                query.offset = self.random.choice([1, 2, 7])


# ---- cutting smaller
def smaller(query):
    """Queries that are one cut smaller than `query`, largest cuts first."""
    for path in list(nodes(query, ())):
        yield from cuts(query, path)


def nodes(node, path):
    """Paths of every query and expression below `node`, outermost first."""
    yield path
    if isinstance(node, Query):
        for i, (_, q) in enumerate(node.ctes):
            yield from nodes(q, path + (("ctes", i),))
        for i, s in enumerate(node.sources):
            if isinstance(s.relation, Query):
                yield from nodes(s.relation, path + (("relation", i),))
            for j, e in enumerate(s.on):
                yield from nodes(e, path + (("on", i, j),))
        for name in ("where", "having", "group"):
            for i, e in enumerate(getattr(node, name) or []):
                yield from nodes(e, path + ((name, i),))
        for i, (_, e) in enumerate(node.select):
            yield from nodes(e, path + (("select", i),))
        for i, (_, q) in enumerate(node.set_operations):
            yield from nodes(q, path + (("set_operations", i),))
    else:
        for i, p in enumerate(node.parts):
            yield from nodes(p, path + (("parts", i),))


def get(node, step):
    if step[0] == "relation":
        return node.sources[step[1]].relation
    if step[0] == "on":
        return node.sources[step[1]].on[step[2]]
    found = getattr(node, step[0])[step[1]]
    return found[1] if step[0] in ("ctes", "select", "set_operations") else found


def put(node, step, value):
    if step[0] == "relation":
        node.sources[step[1]].relation = value
    elif step[0] == "on":
        node.sources[step[1]].on[step[2]] = value
    elif step[0] in ("ctes", "select", "set_operations"):
        items = getattr(node, step[0])
        items[step[1]] = (items[step[1]][0], value)
    else:
        getattr(node, step[0])[step[1]] = value


def edited(root, path, edit):
    """A copy of `root` in which `edit` was done to the node at `path`; `edit` returns a node to put there instead, or None."""
    root = copy.deepcopy(root)
    parent, node = None, root
    for step in path:
        parent, node = node, get(node, step)
    replacement = edit(node)
    if replacement is None:
        return root
    if parent is None:
        return replacement
    put(parent, path[-1], replacement)
    return root


def cuts(root, path):
    node = root
    for step in path:
        node = get(node, step)
    if isinstance(node, Query):
        for name in ("set_operations", "having", "where", "ctes", "sources", "select", "group"):
            for i in reversed(range(len(getattr(node, name) or []))):
                if name in ("select", "sources") and len(getattr(node, name)) == 1:
                    continue
                yield edited(root, path, lambda n, name=name, i=i: n.__getattribute__(name).pop(i) and None)
        for i, s in enumerate(node.sources):
            if s.lateral:
                yield edited(root, path, lambda n, i=i: setattr(n.sources[i], "lateral", False))
        for name, empty in [("order", None), ("limit", None), ("offset", None), ("grouping", None), ("distinct", False)]:
            if getattr(node, name) not in (None, False):
                yield edited(root, path, lambda n, name=name, empty=empty: setattr(n, name, empty))
        for i, s in enumerate(node.sources):
            for j in range(len(s.on) - 1, -1, -1):
                if len(s.on) > 1:
                    yield edited(root, path, lambda n, i=i, j=j: n.sources[i].on.pop(j) and None)
            if s.join in ("LEFT JOIN", "RIGHT JOIN", "FULL JOIN"):
                yield edited(root, path, lambda n, i=i: setattr(n.sources[i], "join", "JOIN"))
    else:
        for i, part in enumerate(node.parts):
            if isinstance(part, Expr) and part.kind == node.kind:
                yield edited(root, path, lambda n, i=i: n.parts[i])
        if node.parts and path:
            simple = {"int": "1", "float": "CAST(1 AS DOUBLE)", "dec": "1.50", "str": "'a'", "date": "DATE '2020-01-01'", "ts": "TIMESTAMP '2020-01-01 00:00:00'", "bool": "true", "list": "array(1L)"}
            yield edited(root, path, lambda n: Expr(n.kind, simple[n.kind]))
