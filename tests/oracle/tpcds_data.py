"""Generates TPC-DS as Parquet with DuckDB's generator, and the answers of the committed queries.

    python -m venv .venv && .venv/bin/pip install -r tests/oracle/requirements.txt
    .venv/bin/python tests/oracle/tpcds_data.py [--scale 1] [--data DIR]

Tables go to DIR (default ~/.local/share/plasmon/tpcds-sf1), answers as CSV to DIR/answers.
"""
import argparse, csv, glob, os, pathlib
import duckdb, duckdb_extension_tpcds

QUERIES = pathlib.Path(__file__).parent.parent / "tpcds" / "queries"


def main():
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data")
    arguments = parser.parse_args()
    data = pathlib.Path(arguments.data or f"{home}/plasmon/tpcds-sf{arguments.scale:g}")
    (data / "answers").mkdir(parents=True, exist_ok=True)
    # In a file: in memory, scale 10 takes more than 15 GB.
    database = data / "generated.duckdb"
    database.unlink(missing_ok=True)
    connection = duckdb.connect(database, config={"allow_unsigned_extensions": "true", "memory_limit": "4GB"})
    folder = os.path.dirname(duckdb_extension_tpcds.__file__)
    connection.execute(f"LOAD '{glob.glob(folder + '/extensions/*/*.duckdb_extension')[0]}'")
    connection.execute(f"CALL dsdgen(sf={arguments.scale})")
    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        connection.execute(f"COPY {table} TO '{data}/{table}.parquet' (FORMAT parquet)")
    for query in sorted(QUERIES.glob("*.sql")):
        result = connection.execute(query.read_text())
        with open(data / "answers" / f"{query.stem}.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(column[0] for column in result.description)
            writer.writerows(["NULL" if value is None else value for value in row] for row in result.fetchall())
    connection.close()
    database.unlink()
    print(f"TPC-DS scale {arguments.scale:g} is in {data}")


if __name__ == "__main__":
    main()
