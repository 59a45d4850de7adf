"""What the plugin's own rules make of logical plans: the same answers from fewer rows."""
import pytest

import compare
import plans
import session

LARGE = {"spark.sql.autoBroadcastJoinThreshold": "-1"}


@pytest.fixture(scope="module")
def pairs(spark, tmp_path_factory):
    """A view: keys with one value, with several, with nulls and with nothing but nulls."""
    folder = tmp_path_factory.mktemp("rules")
    rows = spark.range(4000).selectExpr(
        "if(id % 41 = 0, NULL, id % 600) AS k", "if(id % 5 = 0, NULL, cast((id DIV 600) % (1 + id % 3) AS int)) AS n", "id % 600 % 2 = 0 AS half",
        "CASE (id DIV 600) % (1 + id % 4) WHEN 0 THEN 0.0D WHEN 1 THEN -0.0D WHEN 2 THEN double('NaN') END AS d",
        "concat('value ', (id DIV 600) % (1 + id % 3)) AS s", "date '2024-02-28' + cast((id DIV 600) % (1 + id % 2) AS int) AS t",
        "cast((id DIV 600) % (1 + id % 3) AS decimal(30, 4)) AS c", "id",
    )
    with session.configured(spark, {session.ENABLED: "false"}):
        rows.repartition(3).write.parquet(f"{folder}/pairs")
    spark.read.parquet(f"{folder}/pairs").createOrReplaceTempView("pairs")


#: Conditions of which only the smallest and the greatest value of a key matter …
UNEQUAL = {
    "integers": "o.k = i.k AND o.n <> i.n",
    "floats": "o.k = i.k AND i.d <> o.d",
    "texts": "i.k = o.k AND i.s <> o.s",
    "dates": "o.k = i.k AND NOT (o.t = i.t)",
    "decimals": "o.k = i.k AND o.c <> i.c",
    "with null keys": "o.k <=> i.k AND o.n <> i.n",
    "with two keys": "o.k = i.k AND o.s = i.s AND o.n <> i.n",
    "with an expression": "o.k + 1 = i.k AND coalesce(o.n, 1) + o.k % 2 <> i.n",
    "with a filter": "o.k = i.k AND o.n <> i.n AND i.half AND i.id > 700",
}
#: … and conditions where every row does.
OTHERS = {
    "two inequalities": "o.k = i.k AND o.n <> i.n AND o.s <> i.s",
    "no key": "o.n <> i.n",
    "a comparison beside": "o.k = i.k AND o.n <> i.n AND o.id < i.id",
}
FORMS = {
    "exists": "SELECT * FROM pairs o WHERE EXISTS (SELECT * FROM pairs i WHERE {})",
    "not exists": "SELECT * FROM pairs o WHERE NOT EXISTS (SELECT * FROM pairs i WHERE {})",
    "semi join": "SELECT * FROM pairs o LEFT SEMI JOIN pairs i ON {}",
    "anti join": "SELECT * FROM pairs o LEFT ANTI JOIN pairs i ON {}",
    "exists as a value": "SELECT id, EXISTS (SELECT * FROM pairs i WHERE {}) AS e FROM pairs o",
}


def aggregates(spark, sql):
    frame = spark.sql(sql)
    frame.collect()
    return plans.names(frame).count("PlasmonAggregateExec")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*UNEQUAL, *OTHERS])
def test_another_value_of_a_key(spark, pairs, name, form):
    sql = FORMS[form].format({**UNEQUAL, **OTHERS}[name])
    with session.configured(spark, LARGE):
        stock, native = session.run(spark, sql, native=False), session.run(spark, sql, native=True)
        assert stock.error is None, stock.message
        assert compare.outcomes(stock, native, 0.0) is None
        if session.jar():
            assert aggregates(spark, sql) == (2 if name in UNEQUAL else 0)


@pytest.mark.parametrize("inner", ["pairs", "(SELECT k, max(n) AS n FROM pairs GROUP BY k)", "(SELECT DISTINCT k, n FROM pairs)"])
def test_only_where_rows_become_fewer(spark, pairs, inner):
    """A table that can be broadcast is left as it is, and one that has a row a key already."""
    sql = f"SELECT count(*) FROM pairs o WHERE EXISTS (SELECT * FROM {inner} i WHERE o.k = i.k AND o.n <> i.n)"
    session.run(spark, sql, native=True)
    own = 0 if inner == "pairs" else 2
    if session.jar():
        assert aggregates(spark, sql) == 2 + own
        with session.configured(spark, LARGE):
            assert aggregates(spark, sql) == 2 + own + (0 if "max" in inner else 2)
