"""The DB-API over the driver, as ADBC's other drivers have it."""
import typing

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
from plasmon import Connection, Cursor, _connection

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
    return _connection.connect_to(adbc_driver_plasmon.connect(uri, db_kwargs), conn_kwargs)
