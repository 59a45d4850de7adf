"""TPC-H queries in ibis, for ibis-substrait: a SQL text goes through neither."""

import ibis
from ibis import _

DECIMAL = "decimal(15, 2)"
TABLES = {
    "region": {"r_regionkey": "int64", "r_name": "string", "r_comment": "string"},
    "nation": {"n_nationkey": "int64", "n_name": "string", "n_regionkey": "int64", "n_comment": "string"},
    "supplier": {"s_suppkey": "int64", "s_name": "string", "s_address": "string", "s_nationkey": "int64", "s_phone": "string", "s_acctbal": DECIMAL, "s_comment": "string"},
    "customer": {"c_custkey": "int64", "c_name": "string", "c_address": "string", "c_nationkey": "int64", "c_phone": "string", "c_acctbal": DECIMAL, "c_mktsegment": "string", "c_comment": "string"},
    "part": {"p_partkey": "int64", "p_name": "string", "p_mfgr": "string", "p_brand": "string", "p_type": "string", "p_size": "int32", "p_container": "string", "p_retailprice": DECIMAL, "p_comment": "string"},
    "partsupp": {"ps_partkey": "int64", "ps_suppkey": "int64", "ps_availqty": "int32", "ps_supplycost": DECIMAL, "ps_comment": "string"},
    "orders": {"o_orderkey": "int64", "o_custkey": "int64", "o_orderstatus": "string", "o_totalprice": DECIMAL, "o_orderdate": "date", "o_orderpriority": "string", "o_clerk": "string", "o_shippriority": "int32", "o_comment": "string"},
    "lineitem": {"l_orderkey": "int64", "l_partkey": "int64", "l_suppkey": "int64", "l_linenumber": "int32", "l_quantity": DECIMAL, "l_extendedprice": DECIMAL, "l_discount": DECIMAL, "l_tax": DECIMAL, "l_returnflag": "string", "l_linestatus": "string", "l_shipdate": "date", "l_commitdate": "date", "l_receiptdate": "date", "l_shipinstruct": "string", "l_shipmode": "string", "l_comment": "string"},
}
for _name, _columns in TABLES.items():
    globals()[_name] = ibis.table(_columns, name=_name)


def date(text):
    return ibis.date(text)


def q01():
    t = lineitem.filter(_.l_shipdate <= date("1998-09-02"))
    price = _.l_extendedprice * (1 - _.l_discount)
    return (
        t.group_by("l_returnflag", "l_linestatus")
        .aggregate(
            sum_qty=_.l_quantity.sum(),
            sum_base_price=_.l_extendedprice.sum(),
            sum_disc_price=price.sum(),
            sum_charge=(price * (1 + _.l_tax)).sum(),
            avg_qty=_.l_quantity.mean(),
            avg_price=_.l_extendedprice.mean(),
            avg_disc=_.l_discount.mean(),
            count_order=_.count(),
        )
        .order_by("l_returnflag", "l_linestatus")
    )


def q03():
    t = customer.join(orders, customer.c_custkey == orders.o_custkey).join(lineitem, _.o_orderkey == lineitem.l_orderkey)
    t = t.filter(_.c_mktsegment == "BUILDING", _.o_orderdate < date("1995-03-15"), _.l_shipdate > date("1995-03-15"))
    t = t.group_by("l_orderkey", "o_orderdate", "o_shippriority").aggregate(revenue=(_.l_extendedprice * (1 - _.l_discount)).sum())
    return t.order_by(ibis.desc("revenue"), "o_orderdate").limit(10).select("l_orderkey", "revenue", "o_orderdate", "o_shippriority")


def q05():
    t = customer.join(orders, customer.c_custkey == orders.o_custkey).join(lineitem, _.o_orderkey == lineitem.l_orderkey)
    t = t.join(supplier, (_.l_suppkey == supplier.s_suppkey) & (_.c_nationkey == supplier.s_nationkey))
    t = t.join(nation, _.s_nationkey == nation.n_nationkey).join(region, _.n_regionkey == region.r_regionkey)
    t = t.filter(_.r_name == "ASIA", _.o_orderdate >= date("1994-01-01"), _.o_orderdate < date("1995-01-01"))
    return t.group_by("n_name").aggregate(revenue=(_.l_extendedprice * (1 - _.l_discount)).sum()).order_by(ibis.desc("revenue"))


def q06():
    t = lineitem.filter(_.l_shipdate >= date("1994-01-01"), _.l_shipdate < date("1995-01-01"))
    low, high = ibis.literal("0.05").cast(DECIMAL), ibis.literal("0.07").cast(DECIMAL)
    t = t.filter(_.l_discount.between(low, high), _.l_quantity < 24)
    return t.aggregate(revenue=(_.l_extendedprice * _.l_discount).sum())


def q10():
    t = customer.join(orders, customer.c_custkey == orders.o_custkey).join(lineitem, _.o_orderkey == lineitem.l_orderkey)
    t = t.join(nation, _.c_nationkey == nation.n_nationkey)
    t = t.filter(_.o_orderdate >= date("1993-10-01"), _.o_orderdate < date("1994-01-01"), _.l_returnflag == "R")
    t = t.group_by("c_custkey", "c_name", "c_acctbal", "c_phone", "n_name", "c_address", "c_comment").aggregate(revenue=(_.l_extendedprice * (1 - _.l_discount)).sum())
    t = t.order_by(ibis.desc("revenue")).limit(20)
    return t.select("c_custkey", "c_name", "revenue", "c_acctbal", "n_name", "c_address", "c_phone", "c_comment")


def q12():
    t = orders.join(lineitem, orders.o_orderkey == lineitem.l_orderkey)
    t = t.filter(_.l_shipmode.isin(["MAIL", "SHIP"]), _.l_commitdate < _.l_receiptdate, _.l_shipdate < _.l_commitdate)
    t = t.filter(_.l_receiptdate >= date("1994-01-01"), _.l_receiptdate < date("1995-01-01"))
    high = _.o_orderpriority.isin(["1-URGENT", "2-HIGH"])
    return (
        t.group_by("l_shipmode")
        .aggregate(high_line_count=ibis.ifelse(high, 1, 0).sum(), low_line_count=ibis.ifelse(high, 0, 1).sum())
        .order_by("l_shipmode")
    )


def q14():
    t = lineitem.join(part, lineitem.l_partkey == part.p_partkey)
    t = t.filter(_.l_shipdate >= date("1995-09-01"), _.l_shipdate < date("1995-10-01"))
    price = (_.l_extendedprice * (1 - _.l_discount)).cast("float64")
    promo = ibis.ifelse(_.p_type.like("PROMO%"), price, 0.0)
    return t.aggregate(promo=promo.sum(), whole=price.sum()).select(promo_revenue=100.0 * _.promo / _.whole)


def q16():
    bad = supplier.filter(_.s_comment.like("%Customer%Complaints%"))
    t = partsupp.join(part, partsupp.ps_partkey == part.p_partkey)
    t = t.filter(_.p_brand != "Brand#45", ~_.p_type.like("MEDIUM POLISHED%"), _.p_size.isin([49, 14, 23, 45, 19, 3, 36, 9]))
    t = t.anti_join(bad, t.ps_suppkey == bad.s_suppkey)
    t = t.group_by("p_brand", "p_type", "p_size").aggregate(supplier_cnt=_.ps_suppkey.nunique())
    return t.order_by(ibis.desc("supplier_cnt"), "p_brand", "p_type", "p_size")


def q18():
    big = lineitem.group_by("l_orderkey").aggregate(quantity=_.l_quantity.sum()).filter(_.quantity > 300)
    t = customer.join(orders, customer.c_custkey == orders.o_custkey).join(lineitem, _.o_orderkey == lineitem.l_orderkey)
    t = t.semi_join(big, t.o_orderkey == big.l_orderkey)
    t = t.group_by("c_name", "c_custkey", "o_orderkey", "o_orderdate", "o_totalprice").aggregate(quantity=_.l_quantity.sum())
    return t.order_by(ibis.desc("o_totalprice"), "o_orderdate").limit(100)


QUERIES = {1: q01, 3: q03, 5: q05, 6: q06, 10: q10, 12: q12, 14: q14, 16: q16, 18: q18}
