"""Random tables and queries that only Spark understands, on top of those of tests/oracle: nested columns, moments of two kinds, Spark's functions, semi and anti joins, decimals of any precision."""
import re

import pyarrow as pa

from session import ROOT  # noqa: F401
import random_data
import random_sql
from random_sql import Expr

#: What is added to every table: name, kind, Arrow's type. Names with dots are fields of a struct; those below `mp` are keys of a map.
NESTED = [("st.x", "int", pa.int32()), ("st.y", "str", pa.string()), ("st.deep.z", "dec", pa.decimal128(9, 2)), ("mp.a", "float", pa.float64()), ("mp.b", "float", pa.float64()), ("li", "list", pa.list_(pa.int64()))]
MAPS = {"mp"}
LISTS = [[], [1], [2, 1], [1, None, 2], [3, 3, 3], [-1, 0, 7, 50], [None]]
#: Of 50 expressions, so many are Spark's own.
SPARK_SHARE = 0.3
SEMI_SHARE = 0.1

#: Expressions of every kind; `<kind>` is a part of that kind, `<any>` one of any.
EXPRESSIONS = {
    "int": """hash(<any>, <any>); xxhash64(<any>); datediff(<date>, <date>); dayofweek(<date>); weekofyear(<ts>); second(<ts>); ascii(<str>); octet_length(<str>); pmod(<int>, 7); (<int> div nullif(<int>, 0)); try_cast(<str> AS INT);
        try_cast(<float> AS BIGINT); CAST(<float> AS INT); CAST(<dec> AS BIGINT); CAST(<int> AS TINYINT); (<int> + <int>); (<int> * <int>); try_add(<int>, <int>); size(<list>); try_element_at(<list>, 2); get(<list>, 0); <list>[1]; array_position(<list>, 2);
        array_max(<list>); if(<bool>, <int>, <int>); bit_count(<int>); unix_seconds(CAST(<ts> AS TIMESTAMP)); locate('a', <str>, 2); CAST(<bool> AS INT); sign(<int>); nvl2(<any>, <int>, <int>); levenshtein(<str>, 'ab')""",
    "dec": """(<dec> + <dec>); (<dec> - <dec>); (<dec> * <dec>); (<dec> / nullif(<dec>, 0)); try_divide(<dec>, <dec>); (<dec> % nullif(<dec>, 0)); (<dec> + <int>); (<dec> * 1.5); round(<dec>, 1); bround(<dec>, 0); ceil(<dec>); floor(<dec>, 1);
        try_cast(<str> AS DECIMAL(10,2)); try_cast(<float> AS DECIMAL(20,4)); CAST(<int> AS DECIMAL(38,6)); coalesce(<dec>, <int>); greatest(<dec>, <dec>); CASE WHEN <bool> THEN <dec> ELSE <int> END""",
    "float": """CAST(<int> AS FLOAT); try_cast(<str> AS DOUBLE); nanvl(<float>, <float>); (<float> % nullif(<float>, 0)); CAST(<float> AS FLOAT); round(<float>, 2); try_divide(<int>, <int>); (<int> / nullif(<int>, 0)); rint(<float>); months_between(<date>, <date>);
        signum(<float>); greatest(<float>, <float>); (<float> + <dec>); (<int> * <float>); nullif(<float>, <int>)""",
    "str": """concat_ws('-', <str>, <str>); initcap(<str>); reverse(<str>); repeat(<str>, 2); translate(<str>, 'ab', 'x'); substring_index(<str>, 'a', 1); split_part(<str>, 'a', 1); date_format(<ts>, 'yyyy-MM-dd HH:mm:ss'); CAST(<ts> AS STRING); CAST(<float> AS STRING);
        CAST(<dec> AS STRING); hex(<str>); md5(<str>); regexp_replace(<str>, 'a+', 'Z'); if(<bool>, <str>, <str>); CAST(<list> AS STRING); to_json(named_struct('a', <int>, 'b', <str>)); substring(<str>, -2); overlay(<str> PLACING '_' FROM 2); named_struct('a', <str>, 'b', <int>).a;
        from_unixtime(<int>); elt(2, <str>, <str>); <str> || <int>; btrim(<str>, 'a '); left(<str>, 3)""",
    "date": """date_add(<date>, 5); date_sub(<date>, 40); add_months(<date>, 3); last_day(<date>); next_day(<date>, 'MO'); trunc(<date>, 'MM'); trunc(<date>, 'WEEK'); try_cast(<str> AS DATE); CAST(CAST(<date> AS STRING) AS DATE); date_from_unix_date(11); CAST(CAST(<ts> AS TIMESTAMP) AS DATE);
        greatest(<date>, <date>); if(<bool>, <date>, <date>)""",
    "ts": """CAST(<ts> AS TIMESTAMP); CAST(<ts> AS TIMESTAMP_NTZ); CAST(<date> AS TIMESTAMP); CAST(<date> AS TIMESTAMP_NTZ); timestampadd(HOUR, 5, <ts>); timestampadd(MONTH, -2, <ts>); from_utc_timestamp(<ts>, 'Asia/Tokyo'); to_utc_timestamp(<ts>, 'America/Sao_Paulo');
        date_trunc('WEEK', <ts>); try_cast(CAST(<ts> AS STRING) AS TIMESTAMP); (<ts> + INTERVAL '1 02:03:04.5' DAY TO SECOND); (<ts> - INTERVAL '1-2' YEAR TO MONTH); timestamp_millis(1600000000123); coalesce(<ts>, <date>)""",
    "bool": """contains(<str>, <str>); startswith(<str>, <str>); endswith(<str>, 'a'); (<str> RLIKE '^a'); (<str> ILIKE 'A%'); array_contains(<list>, 2); isnan(<float>); (<int>, <str>) IN ((1, 'a'), (2, 'b')); named_struct('a', <int>, 'b', <str>) = named_struct('a', <int>, 'b', <str>);
        arrays_overlap(<list>, <list>); exists(<list>, x -> x > 2); try_cast(<str> AS BOOLEAN); (<date> < <ts>); (<int> = <dec>); (<int> < <float>); (<dec> >= <float>); (<int> <=> <str>); <list> = <list>; <int> BETWEEN <int> AND <dec>; CAST(<int> AS BOOLEAN); (<str> LIKE <str>)""",
    "list": """array(try_cast(<int> AS BIGINT), 3L); sort_array(<list>); sort_array(<list>, false); array_distinct(<list>); slice(<list>, 1, 2); filter(<list>, x -> x > 1); transform(<list>, x -> x % 2); reverse(<list>); concat(<list>, <list>); coalesce(<list>, <list>);
        array_union(<list>, array(7L)); array_remove(<list>, 3L); if(<bool>, <list>, <list>)""",
}
AGGREGATES = {
    "int": """count_if(<bool>); approx_count_distinct(<any>); try_sum(<int>); count(DISTINCT <int>, <str>); count(DISTINCT <any>); sum(DISTINCT <int>); sum(<int>); regr_count(<int>, <int>); max(named_struct('a', <int>, 'b', <str>)).a; size(collect_list(<any>)); size(collect_set(<any>));
        max_by(<int>, named_struct('a', <str>, 'b', <int>)) - max_by(<int>, named_struct('a', <str>, 'b', <int>)); count(<any>, <any>); min(<int>); hash(sort_array(collect_list(<str>)))""",
    "dec": "sum(<dec>); sum(DISTINCT <dec>); avg(<dec>); try_avg(<dec>); try_sum(<dec>); max(<dec>); avg(DISTINCT <dec>)",
    "float": "avg(<int>); avg(DISTINCT <int>); try_avg(<int>); median(<int>); percentile(<int>, 0.3); corr(<int>, <int>); covar_pop(<int>, <int>); skewness(<int>); kurtosis(<int>); stddev(<int>); regr_slope(<int>, <int>); sum(<float>); sum(DISTINCT <float>)",
    "str": "array_join(sort_array(collect_set(<str>)), ','); min(<str>); max(named_struct('a', <int>, 'b', <str>)).b; listagg(DISTINCT <str>, '|') WITHIN GROUP (ORDER BY 1)",
    "bool": "every(<bool>); some(<bool>); max(<bool>)",
    "ts": "max(<ts>); min(<ts>)",
    "list": "sort_array(collect_list(try_cast(<int> AS BIGINT))); sort_array(collect_set(try_cast(<int> AS BIGINT))); max(<list>); min(<list>)",
}
#: Aggregates whose last digits depend on the order of their rows.
FUZZY_AGGREGATES = {"float"}


def templates(texts):
    """Each text as one for `Expr`, with the kinds of its parts."""
    for text in re.split(r";\s+", texts):
        kinds = re.findall(r"<(any|int|dec|float|str|date|ts|bool|list)>", text)
        for i, kind in enumerate(kinds):
            text = text.replace(f"<{kind}>", f"{{{i}}}", 1)
        yield text, kinds


EXPRESSION_TEMPLATES = {kind: list(templates(texts)) for kind, texts in EXPRESSIONS.items()}
AGGREGATE_TEMPLATES = [(kind, *template) for kind, texts in AGGREGATES.items() for template in templates(texts)]


class NestedTable(random_data.Table):
    """A table whose columns with dots in their names are fields of structs or values of maps."""

    def arrow(self):
        return pa.table(packed(super().arrow()))


def packed(table):
    """The columns of a table by name, those with a dot as fields of one."""
    columns = dict(zip(table.column_names, table.columns))
    outer = {name.partition(".")[0]: None for name in columns}
    return {name: columns[name].combine_chunks() if name in columns else nested(name, columns) for name in outer}


def nested(name, columns):
    """The struct or map of the columns `name.…`; it is null where all that it has is."""
    fields = packed(pa.table({key.partition(".")[2]: column for key, column in columns.items() if key.startswith(name + ".")}))
    if name in MAPS:
        rows = zip(*(values.to_pylist() for values in fields.values()))
        return pa.array([[(key, value) for key, value in zip(fields, row) if value is not None] or None for row in rows], pa.map_(pa.string(), next(iter(fields.values())).type))
    empty = [all(not value.is_valid for value in row) for row in zip(*fields.values())]
    return pa.StructArray.from_arrays(list(fields.values()), list(fields), mask=pa.array(empty, pa.bool_()))


def table(random, name):
    """A random table, with nested columns, and moments of both of Spark's kinds."""
    plain = random_data.table(random, name)
    columns, rows = list(plain.columns), [list(row) for row in plain.rows]
    for column in columns:
        if column.kind == "ts" and random.random() < 0.5:
            column.arrow_type = pa.timestamp("us", tz="UTC")
    for path, kind, arrow_type in random.sample(NESTED, random.choice([0, 2, len(NESTED)])):
        columns.append(random_data.Column(path, kind, arrow_type, True))
        draw = drawing(random, kind)
        for row in rows:
            row.append(None if random.random() < 0.2 else draw())
    made = NestedTable(name, columns, rows)
    made.storage = plain.storage
    return made


def drawing(random, kind):
    """What draws a nested value of a kind."""
    return {
        "int": lambda: random.randint(-3, 9), "str": lambda: random.choice(random_data.WORDS), "dec": lambda: random_data.D(random.randint(-999, 999)).scaleb(-2),
        "float": lambda: random.choice(random_data.FLOATS), "list": lambda: random.choice(LISTS),
    }[kind]


class SparkGrammar(random_sql.Grammar):
    """Queries with what Spark has beyond the grammar of tests/oracle."""

    SET_OPERATIONS_WITHOUT = set()
    ROWS_MAX = 10_000

    def literal(self, kind):
        return Expr("list", self.random.choice(["array(1L, 2L)", "array(3L)", "array(CAST(NULL AS BIGINT))"])) if kind == "list" else super().literal(kind)

    def null(self, kind):
        return Expr("list", "CAST(NULL AS ARRAY<BIGINT>)") if kind == "list" else super().null(kind)

    def expr(self, scope, kind, depth=2, safe=False):
        if depth > 0 and not (safe and kind in ("int", "float")) and self.chance(SPARK_SHARE):
            return self.filled(scope, kind, *self.random.choice(EXPRESSION_TEMPLATES[kind]), depth)
        return super().expr(scope, kind, depth, safe)

    def list_expr(self, scope, sub, depth):
        return self.filled(scope, "list", *self.random.choice(EXPRESSION_TEMPLATES["list"]), depth)

    def aggregate(self, scope):
        if not self.chance(SPARK_SHARE):
            return super().aggregate(scope)
        kind, text, kinds = self.random.choice(AGGREGATE_TEMPLATES)
        return self.filled(scope, kind, text, kinds, 1, fuzzy=kind in FUZZY_AGGREGATES)

    def filled(self, scope, kind, text, kinds, depth, fuzzy=False):
        """An expression of a template; numbers in it are small, so that few overflow."""
        kinds = [self.kind(scope) if part == "any" else part for part in kinds]
        return Expr(kind, text, [self.expr(scope, part, depth - 1, safe=self.chance(0.9)) for part in kinds], safe=False, fuzzy=fuzzy)

    def joins(self, query, depth, ctes, count):
        scope, unique = super().joins(query, depth, ctes, count)
        if self.chance(SEMI_SHARE) and not any(source.join == "," for source in query.sources):
            alias, relation = self.alias(), self.random.choice(self.tables)
            mine = [random_sql.Reference(f"{alias}.{c.name}", c.kind, c.safe) for c in relation.columns]
            query.sources.append(random_sql.Source(relation.name, alias, self.random.choice(["LEFT SEMI JOIN", "LEFT ANTI JOIN"]), [self.join_condition(scope, mine)]))
        return scope, unique
