#!/usr/bin/env python3
"""Substrait plans of the TPC-H queries by another engine, into ../<producer>/qNN.substrait. ../README.md says what to install for each."""

import argparse
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
QUERIES = {n: (ROOT / f"benchmarks/tpch/queries/q{n:02}.sql").read_text().strip().rstrip(";") for n in range(1, 23)}


def datafusion(data):
    import datafusion as engine
    from datafusion import substrait

    context = engine.SessionContext()
    for file in sorted(data.glob("*.parquet")):
        context.register_parquet(file.stem, str(file))
    return QUERIES, lambda sql: substrait.Serde.serialize_bytes(sql, context)


def duckdb(data):
    import duckdb as engine
    import duckdb_extension_substrait

    connection = engine.connect(config={"allow_unsigned_extensions": "true"})
    folder = pathlib.Path(duckdb_extension_substrait.__file__).parent
    connection.load_extension(str(next(folder.glob("**/substrait.duckdb_extension"))))
    for file in sorted(data.glob("*.parquet")):
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM '{file}' LIMIT 1000")
    # This one writes the least and greatest values of these tables into the plan, as filters of the other sides of joins.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    return QUERIES, lambda sql: connection.get_substrait(sql).fetchone()[0]


def ibis(_data):
    import ibis_queries
    from ibis_substrait.compiler.core import SubstraitCompiler

    return ibis_queries.QUERIES, lambda query: SubstraitCompiler().compile(query()).SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("producer", choices=["datafusion", "duckdb", "ibis"])
    parser.add_argument("--data", type=pathlib.Path, help="folder of the TPC-H tables as Parquet")
    options = parser.parse_args()
    folder = HERE.parent / options.producer
    folder.mkdir(exist_ok=True)
    queries, write = globals()[options.producer](options.data)
    for number, query in queries.items():
        try:
            plan = write(query)
        except Exception as error:
            print(f"q{number:02} refused by the producer: {str(error).splitlines()[0]}")
            continue
        (folder / f"q{number:02}.substrait").write_bytes(plan)
        print(f"q{number:02} {len(plan)} bytes")


if __name__ == "__main__":
    main()
