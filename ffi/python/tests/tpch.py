"""Runs SQL files over a folder of TPC-H tables through Python's ADBC and prints their rows as CSV.

    python tpch.py DATA QUERY.sql …
"""
import csv
import decimal
import pathlib
import sys

import adbc_driver_plasmon.dbapi


def shown(value: object) -> object:
    return format(value, "f") if isinstance(value, decimal.Decimal) else value


def main() -> None:
    data, *queries = sys.argv[1:]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    with adbc_driver_plasmon.dbapi.connect(data) as connection:
        for query in queries:
            with connection.cursor() as cursor:
                cursor.execute(pathlib.Path(query).read_text())
                writer.writerow(column[0] for column in cursor.description)
                writer.writerows(map(shown, row) for row in cursor)


main()
