"""The driver under the name that ADBC's Python conventions have for it: tools that know only a URI (``plasmon:///folder``) find it here."""
import typing

import adbc_driver_manager
import plasmon
from plasmon import _connection

__version__ = plasmon.__version__


def connect(uri: str | None = None, db_kwargs: typing.Mapping[str, str] | None = None) -> adbc_driver_manager.AdbcDatabase:
    """A low-level ADBC database; ``uri`` is a folder or file whose tables it has, e.g. ``plasmon:///data/tpch``."""
    options: dict[str, typing.Any] = dict(db_kwargs or {})
    if uri is not None:
        options["uri"] = uri
    return _connection.open_database(options)
