"""Python functions as the engine's: called on its worker threads with Arrow arrays over the engine's own buffers.

One C callback serves all functions; what the engine hands back to it is the function's number in a table. So nothing that C points to is ever freed
while it may be called. Python's lock is taken for each call and let go after it; the driver lets it go while a query is read.
"""
from __future__ import annotations

import atexit
import collections.abc
import ctypes
import dataclasses
import datetime
import decimal
import itertools
import traceback
import types
import typing

import pyarrow as pa
import pyarrow.compute

from . import _library

#: What stands for a type: a ``pyarrow.DataType``, its name (``"float64"``), or a Python type (``float``).
TypeLike = typing.Union[pa.DataType, str, type]
Volatility = typing.Literal["immutable", "stable", "volatile"]
NullHandling = typing.Literal["default", "special"]

_PYTHON_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
    datetime.date: pa.date32(),
    datetime.datetime: pa.timestamp("us"),
    datetime.timedelta: pa.duration("us"),
    decimal.Decimal: pa.decimal128(38, 10),
}
_VOLATILITIES: dict[str, int] = {"immutable": 0, "stable": 1, "volatile": 2}


def data_type(given: TypeLike) -> pa.DataType:
    """The Arrow type that ``given`` stands for.

    >>> data_type("float64"), data_type(str)
    (DataType(double), DataType(string))
    """
    if isinstance(given, pa.DataType):
        return given
    if isinstance(given, type) and given in _PYTHON_TYPES:
        return _PYTHON_TYPES[given]
    if isinstance(given, str):
        try:
            return pa.type_for_alias(given)
        except ValueError:
            pass
    known = ", ".join(t.__name__ for t in _PYTHON_TYPES)
    raise TypeError(f"{given!r} is no type\nhint: give a pyarrow type, its name ('int64', 'float64', 'string' …) or one of {known}")


@dataclasses.dataclass(frozen=True)
class ScalarFunction:
    """A function of columns."""

    name: str
    function: collections.abc.Callable[..., typing.Any]
    arguments: pa.Schema
    returns: pa.DataType
    vectorized: bool
    sees_nulls: bool

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """The values for the rows of a batch."""
        columns, rows = batch.columns, batch.num_rows
        if self.sees_nulls or not any(column.null_count for column in columns):
            return self._values(columns, rows)
        # Rows with nulls are null; the function sees the others, closed up.
        valid = columns[0].is_valid()
        for column in columns[1:]:
            valid = pa.compute.and_(valid, column.is_valid())
        present = [column.filter(valid) for column in columns]
        values = self._values(present, len(present[0]))
        places = pa.compute.if_else(valid, pa.compute.subtract(pa.compute.cumulative_sum(valid.cast(pa.int64())), 1), None)
        return values.take(places)

    def _values(self, columns: list[pa.Array], rows: int) -> pa.Array:
        if not self.vectorized:
            lists = [column.to_pylist() for column in columns]
            given = zip(*lists) if lists else itertools.repeat((), rows)
            return pa.array([self.function(*row) for row in given], self.returns)
        # A function without arguments is told how many values are wanted.
        values = as_array(self.function(*columns) if columns else self.function(rows), self.returns)
        if len(values) != rows:
            raise ValueError(f"{self.name} gave {len(values)} values for {rows} rows; a vectorized function gives one for each")
        return values


def as_array(values: typing.Any, returns: pa.DataType) -> pa.Array:
    """What a function gave, as one array of its type, without copies where that can be."""
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        if hasattr(values, "__arrow_c_stream__"):
            values = pa.chunked_array(values)
        elif hasattr(values, "__arrow_c_array__"):
            values = pa.array(values)
        else:
            values = pa.array(values, returns)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values if values.type == returns else values.cast(returns)


@dataclasses.dataclass(frozen=True)
class TableFunction:
    """A function of constants that gives rows."""

    name: str
    function: collections.abc.Callable[..., typing.Any]
    schema: pa.Schema | None

    def __call__(self, arguments: pa.RecordBatch) -> pa.RecordBatchReader:
        """The rows of a call."""
        return as_reader(self.function(*(column[0].as_py() for column in arguments.columns)), self.schema)


def as_reader(rows: typing.Any, schema: pa.Schema | None = None) -> pa.RecordBatchReader:
    """Anything that gives Arrow data, lists of dictionaries, dictionaries of lists, and (with a schema) iterators of batches, as a reader."""
    if hasattr(rows, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(rows)
        return reader if schema is None or reader.schema == schema else reader.cast(schema)
    if hasattr(rows, "__arrow_c_array__"):
        batch = pa.record_batch(rows)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    if isinstance(rows, collections.abc.Mapping):
        return pa.table(dict(rows), schema=schema).to_reader()
    if isinstance(rows, list):
        return pa.Table.from_pylist(rows, schema=schema).to_reader()
    if isinstance(rows, collections.abc.Iterable) and schema is not None:
        return pa.RecordBatchReader.from_batches(schema, rows)
    raise TypeError(
        f"{type(rows).__name__} is no Arrow data\n"
        "hint: give a pyarrow, polars or pandas table, a dictionary of lists, a list of dictionaries, or record batches with schema=…"
    )


_functions: dict[int, ScalarFunction | TableFunction] = {}
#: The library's handles of them.
_handles: dict[int, _library.Function] = {}
_numbers = itertools.count(1)


def any_function() -> bool:
    """Whether queries may call back into Python."""
    return bool(_functions)


@atexit.register
def _stop_all() -> None:
    """Before Python ends: a thread of the engine that called it after that would take the process down."""
    for handle in list(_handles.values()):
        _library.load().plasmon_function_stop(handle)


def _told(error: BaseException) -> None:
    """Hands an exception with its traceback, from the user's function on, to the engine."""
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    last = traceback.format_exception_only(error)[-1].strip()
    lines = traceback.format_exception(type(error), error, trace)
    text = f"{last}\n{''.join(lines).rstrip()}".encode(errors="replace")
    _library.load().plasmon_callback_set_error(text, len(text))


@_library.SCALAR_CALLBACK
def _call_scalar(context: int, arguments: int, result: int) -> int:
    try:
        function = typing.cast(ScalarFunction, _functions[context])
        batch = pa.RecordBatch._import_from_c(arguments, function.arguments)
        function(batch)._export_to_c(result)
        return 0
    except BaseException as error:  # noqa: BLE001 - nothing may pass into C
        _told(error)
        return 1


@_library.TABLE_CALLBACK
def _call_table(context: int, schema: int, arguments: int, result: int) -> int:
    try:
        function = typing.cast(TableFunction, _functions[context])
        batch = pa.RecordBatch._import_from_c(arguments, schema)
        function(batch)._export_to_c(result)
        return 0
    except BaseException as error:  # noqa: BLE001 - nothing may pass into C
        _told(error)
        return 1


@_library.RELEASE_CALLBACK
def _release(context: int) -> None:
    _functions.pop(context, None)
    handle = _handles.pop(context, None)
    if handle is not None:
        _library.load().plasmon_function_stop(handle)


def _exported(schema: pa.Schema) -> _library.ArrowSchema:
    room = _library.ArrowSchema()
    schema._export_to_c(ctypes.addressof(room))
    return room


def register_scalar(session: int, function: ScalarFunction, volatility: Volatility) -> None:
    """Adds a scalar function to a session of the library."""
    if volatility not in _VOLATILITIES:
        raise ValueError(f"volatility {volatility!r} is not one of {', '.join(_VOLATILITIES)}")
    number = next(_numbers)
    _functions[number] = function
    handle = _library.Function()
    arguments, result = _exported(function.arguments), _exported(pa.schema([("result", function.returns)]))
    code = _library.load().plasmon_session_register_function(
        _library.Session(session),
        function.name.encode(),
        ctypes.byref(arguments),
        ctypes.byref(result),
        _VOLATILITIES[volatility],
        _call_scalar,
        number,
        _release,
        ctypes.byref(handle),
    )
    _library.check(code)
    _handles[number] = handle


def register_table(session: int, function: TableFunction) -> None:
    """Adds a table function to a session of the library."""
    number = next(_numbers)
    _functions[number] = function
    handle = _library.Function()
    code = _library.load().plasmon_session_register_table_function(
        _library.Session(session), function.name.encode(), _call_table, number, _release, ctypes.byref(handle)
    )
    _library.check(code)
    _handles[number] = handle
