"""The DB-API over the driver, as ADBC's other drivers have it."""
import typing

from adbc_driver_manager import AdbcConnection
from adbc_driver_manager.dbapi import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    DatabaseError,
    DataError,
    Date,
    DateFromTicks,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    Warning,
    apilevel,
    paramstyle,
    threadsafety,
)
from plasmon import Connection, Cursor

import adbc_driver_plasmon

__all__ = [
    "BINARY",
    "Connection",
    "Cursor",
    "DATETIME",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NUMBER",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "ROWID",
    "STRING",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]


def connect(
    uri: str | None = None,
    db_kwargs: typing.Mapping[str, str] | None = None,
    conn_kwargs: typing.Mapping[str, str] | None = None,
    **_: typing.Any,
) -> Connection:
    """A DB-API connection; ``uri`` is a folder or file whose tables it has. Statements are final when they are done: there are no transactions."""
    database = adbc_driver_plasmon.connect(uri, db_kwargs)
    try:
        connection = AdbcConnection(database, **(conn_kwargs or {}))
    except Exception:
        database.close()
        raise
    return Connection(database, connection, conn_kwargs, autocommit=True)
