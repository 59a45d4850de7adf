"""Connections: the DB-API's over ADBC, with results for every Arrow library, tables from every one, and Python functions."""
from __future__ import annotations

import atexit
import collections.abc
import contextlib
import os
import typing
import weakref

import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, dbapi

from . import _functions, _library
from ._functions import NullHandling, TypeLike, Volatility

if typing.TYPE_CHECKING:
    import pandas
    import polars


def connect(path: str | os.PathLike[str] | None = None, **settings: object) -> Connection:
    """Opens a session of the engine.

    ``path`` is a folder whose files become tables (``lineitem.parquet`` is the table ``lineitem``; a folder of files is one table), or one such
    file. Tables that are made later live in memory and end with the connection.

    ``settings`` are the engine's, as ``SET`` takes them: ``threads=4``, ``memory_bytes=8 << 30``, ``batch_rows=8192`` …; ``SHOW ALL`` lists them. Those
    of object stores have a point in their names: ``connect(**{"s3.region": "eu-central-1"})``.

    >>> connection = plasmon.connect(threads=2)
    >>> connection.sql("SELECT 6 * 7 AS answer").rows()
    [(42,)]
    >>> connection.close()
    """
    options: dict[str, typing.Any] = {}
    if path is not None:
        options["path"] = os.fspath(path)
    options.update({f"plasmon.{name}": _setting(value) for name, value in settings.items()})
    return connect_to(open_database(options))


def open_database(options: collections.abc.Mapping[str, typing.Any]) -> AdbcDatabase:
    """A low-level ADBC database of the driver."""
    return AdbcDatabase(driver=str(_library.driver_path()), entrypoint="AdbcDriverInit", **options)


def connect_to(database: AdbcDatabase, conn_kwargs: collections.abc.Mapping[str, str] | None = None) -> Connection:
    """A connection that closes its database, also when it cannot be opened."""
    try:
        connection = AdbcConnection(database, **(conn_kwargs or {}))
    except Exception:
        database.close()
        raise
    return Connection(database, connection, conn_kwargs, autocommit=True)


def _setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Cursor(dbapi.Cursor):
    """A DB-API cursor. See :class:`adbc_driver_manager.dbapi.Cursor`."""

    def fetch_arrow(self) -> typing.Any:
        """The result as an object with ``__arrow_c_stream__``."""
        # Libraries hold Python's lock while they read such a stream, and a function of the query would wait for it forever.
        return self.fetch_arrow_table() if _functions.any_function() else super().fetch_arrow()

    def _end(self) -> None:
        """Stops the statement and waits until none of the engine's threads work for it."""
        with contextlib.suppress(Exception):
            self.adbc_cancel()
            for _ in typing.cast(typing.Any, self)._results.reader:
                pass

    def _leave(self) -> None:
        """Closes the cursor but for the reader, which others may have by now; it ends the statement when the last lets go of it."""
        self._results = None
        self.close()


class Connection(dbapi.Connection):
    """A DB-API connection with what Arrow makes easy. Use :func:`connect` to open one, ``with`` or :meth:`close` to close it."""

    def __init__(self, *arguments: typing.Any, **named: typing.Any) -> None:
        super().__init__(*arguments, **named)
        _connections.add(self)

    def cursor(self, *, adbc_stmt_kwargs: collections.abc.Mapping[str, typing.Any] | None = None) -> Cursor:
        """A new cursor; ``adbc_stmt_kwargs`` are options of its statement, e.g. ``{"plasmon.threads": 1}``."""
        cursor = Cursor(self, dict(adbc_stmt_kwargs) if adbc_stmt_kwargs else None, dbapi_backend=self._backend)
        self._cursors.add(cursor)
        return cursor

    def adbc_clone(self) -> Connection:
        """Another connection to the same session: it sees the same tables, views and functions, and may be used by another thread."""
        connection = AdbcConnection(self._db._db, **(self._conn_kwargs or {}))
        return Connection(self._db, connection, self._conn_kwargs, autocommit=True)

    def sql(self, query: str, parameters: typing.Any = None) -> Result:
        """Runs a statement; its rows are read from the :class:`Result` as the engine makes them.

        Parameters are ``?``, ``$1`` or ``$name``, with a sequence or a dictionary of values; an Arrow table of them runs the statement once for each row.

        >>> connection.sql("SELECT $low + 1 AS next", {"low": 41}).rows()
        [(42,)]
        """
        cursor = self.cursor()
        try:
            cursor.execute(query, parameters)
        except BaseException:
            cursor.close()
            raise
        return Result(cursor)

    def register(self, name: str, data: typing.Any) -> None:
        """Makes ``data`` the table ``name``, in place of any of that name.

        ``data`` is anything that gives Arrow data (tables of pyarrow, pandas, polars, DuckDB, a :class:`Result` …), a dictionary of lists, a list
        of dictionaries, or the path of a file or folder. Arrow buffers are read where they are, never copied.

        >>> connection.register("t", {"a": [1, 2, 3], "b": ["x", "y", None]})
        >>> connection.register("lines", "/data/lineitem.parquet")  # doctest: +SKIP
        """
        if isinstance(data, (str, os.PathLike)):
            session = _library.Session(self._session())
            path = os.fspath(data)
            _library.check(_library.load().plasmon_session_register_path(session, name.encode(), os.fsencode(path)))
            return
        with self.cursor() as cursor:
            cursor.adbc_ingest(name, _functions.as_reader(data), mode="replace")

    def unregister(self, name: str) -> None:
        """Forgets a table or view."""
        _library.check(_library.load().plasmon_session_deregister(_library.Session(self._session()), name.encode()))

    def create_function(
        self,
        name: str,
        function: collections.abc.Callable[..., typing.Any],
        arguments: collections.abc.Sequence[TypeLike],
        returns: TypeLike,
        *,
        vectorized: bool = True,
        null_handling: NullHandling = "default",
        volatility: Volatility = "immutable",
    ) -> None:
        """Makes a Python function callable in SQL, in place of any of that name.

        A vectorized function gets a ``pyarrow.Array`` for each argument and gives as many values: an Arrow array, a NumPy array, a pandas or polars
        series, a list. Arrays are the engine's own buffers, so nothing is copied on the way in. With ``vectorized=False`` it is called for each
        row with Python values instead, which is far slower. A vectorized function without arguments gets the number of rows.

        ``arguments`` and ``returns`` are Arrow types, their names, or Python types; what SQL gives is cast to them.

        ``null_handling``: by ``"default"`` rows with a null argument are null, and the function does not see them; ``"special"`` shows it all rows.

        ``volatility``: ``"immutable"`` when equal arguments give equal results (calls over constants are then made once), ``"stable"`` when they do so
        within a statement, ``"volatile"`` when a result is wanted for every row.

        The function is called on the engine's threads, by as many at once as Python lets run. An exception ends the query with an error that shows its
        traceback.

        >>> import pyarrow.compute as pc
        >>> connection.create_function("double", lambda a: pc.multiply(a, 2), [int], int)
        >>> connection.sql("SELECT double(21) AS answer").rows()
        [(42,)]
        """
        if null_handling not in ("default", "special"):
            raise ValueError(f"null_handling {null_handling!r} is neither 'default' nor 'special'")
        fields = [pa.field(f"${number}", _functions.data_type(given)) for number, given in enumerate(arguments, 1)]
        made = _functions.ScalarFunction(
            name, function, pa.schema(fields), _functions.data_type(returns), vectorized, null_handling == "special"
        )
        _functions.register_scalar(self._session(), made, volatility)

    def create_table_function(
        self,
        name: str,
        function: collections.abc.Callable[..., typing.Any],
        *,
        schema: pa.Schema | None = None,
    ) -> None:
        """Makes a Python function that gives rows callable in FROM, in place of any of that name.

        It gets the call's constants as Python values, and gives anything that :meth:`register` takes (but no path); with ``schema`` also an iterator of
        record batches, which is read as the query runs. It is called when a statement is planned, which tells the columns.

        >>> connection.create_table_function("squares", lambda n: {"square": [i * i for i in range(n)]})
        >>> connection.sql("SELECT sum(square) AS total FROM squares(4)").rows()
        [(14,)]
        """
        _functions.register_table(self._session(), _functions.TableFunction(name, function, schema))

    def _session(self) -> int:
        """The handle of the session in the C ABI."""
        return self._conn.get_option_int("plasmon.session")


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Before Python ends: what its functions gave is let go of by the engine's threads, which would wait for an interpreter that is gone."""
    for connection in list(_connections):
        with contextlib.suppress(Exception):
            connection.adbc_cancel()
        for cursor in list(connection._cursors):
            typing.cast(Cursor, cursor)._end()


class Result:
    """The rows of a statement, read once, in whichever form is wanted.

    It is an Arrow stream for every library that knows the PyCapsule interface: ``polars.DataFrame(result)``, ``pyarrow.table(result)``,
    ``duckdb.sql("SELECT * FROM result")``.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        #: Rows that INSERT or COPY wrote; -1 when that is not known.
        self.rows_affected: int = cursor.rowcount
        self._reader: pa.RecordBatchReader = cursor.fetch_record_batch()
        #: The columns.
        self.schema: pa.Schema = self._reader.schema

    def reader(self) -> pa.RecordBatchReader:
        """A reader of record batches, which come as the engine makes them."""
        return self._reader

    def table(self) -> pa.Table:
        """All rows as a ``pyarrow.Table``."""
        try:
            return self._cursor.fetch_arrow_table()
        finally:
            self.close()

    def pandas(self) -> pandas.DataFrame:
        """All rows as a ``pandas.DataFrame``."""
        return self.table().to_pandas()

    def polars(self) -> polars.DataFrame:
        """All rows as a ``polars.DataFrame``."""
        import polars

        return polars.DataFrame(self.table())

    def rows(self) -> list[tuple[typing.Any, ...]]:
        """All rows as tuples of Python values."""
        table = self.table()
        return list(zip(*(column.to_pylist() for column in table.columns)))

    def __iter__(self) -> collections.abc.Iterator[pa.RecordBatch]:
        """Record batches, one after the other."""
        # The cursor's own reader, which knows the engine's errors; pyarrow's knows only their text.
        yield from typing.cast(typing.Any, self._cursor)._results.reader
        self.close()

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        # Libraries hold Python's lock while they read a stream, and a function of the query would wait for it forever.
        source = self._reader.read_all() if _functions.any_function() else self._reader
        return source.__arrow_c_stream__(requested_schema)

    def cancel(self) -> None:
        """Stops the statement, from any thread; whoever reads gets an error."""
        self._cursor.adbc_cancel()

    def close(self) -> None:
        """Ends the statement, if it still runs."""
        self._cursor.close()

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_cursor"):
            self._cursor._leave()

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"<plasmon.Result of ({columns})>"
