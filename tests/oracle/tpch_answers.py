"""Writes the expected answers of the 22 TPC-H queries, by DuckDB over generated data.

    plasmon tpch generate --scale 10
    .venv/bin/python tests/oracle/tpch_answers.py --scale 10 [--data DIR]

Answers go to benchmarks/tpch/answers/sf<scale>, from where the command embeds them when it is built.
"""
import argparse, csv, os, pathlib
import duckdb

TPCH = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "tpch"
TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


def main():
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    data = arguments.data or f"{home}/plasmon/tpch-sf{arguments.scale}"
    target = TPCH / "answers" / f"sf{arguments.scale}"
    target.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{data}/{table}.parquet')")
    for query in sorted((TPCH / "queries").glob("*.sql")):
        result = connection.execute(query.read_text())
        with open(target / f"{query.stem}.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(column[0] for column in result.description)
            writer.writerows(["" if value is None else value for value in row] for row in result.fetchall())


if __name__ == "__main__":
    main()
