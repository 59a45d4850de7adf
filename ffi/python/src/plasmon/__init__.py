"""Plasmon: a vectorized SQL engine over Arrow and Parquet.

>>> import plasmon
>>> with plasmon.connect() as connection:
...     connection.register("t", {"a": [1, 2, 3]})
...     connection.sql("SELECT sum(a) AS total FROM t").rows()
[(6,)]

:func:`connect` gives a DB-API connection (PEP 249) over ADBC with three additions: :meth:`Connection.sql` for results that any Arrow
library reads without copies, :meth:`Connection.register` for tables from anything that gives Arrow data, and
:meth:`Connection.create_function` for Python functions in SQL.
"""
from adbc_driver_manager import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from adbc_driver_manager.dbapi import apilevel, paramstyle, threadsafety

from ._connection import Connection, Cursor, Result, connect
from ._library import driver_path, install_manifest, version

__version__ = version()

__all__ = [
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Result",
    "apilevel",
    "connect",
    "driver_path",
    "install_manifest",
    "paramstyle",
    "threadsafety",
    "version",
]
