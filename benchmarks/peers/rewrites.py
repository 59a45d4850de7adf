"""Changes to query texts that a peer's dialect needs, and nothing else: each one keeps the meaning and says why.

All five peers run the 22 TPC-H texts as committed. What is here keeps their answers comparable.
"""

#: (peer, query) → [(what the text says, what the peer gets instead)]
REWRITES = {
    # Decimal division keeps four digits in ClickHouse; the other engines give a market share to at least seven.
    ("clickhouse", 8): [("/ sum(volume)", "/ toFloat64(sum(volume))")],
}


def for_peer(peer, query, sql):
    """The text that `peer` gets for TPC-H query `query`."""
    for old, new in REWRITES.get((peer, query), []):
        if old not in sql:
            raise SystemExit(f"rewrites.py: query {query} no longer has {old!r}")
        sql = sql.replace(old, new)
    return sql
