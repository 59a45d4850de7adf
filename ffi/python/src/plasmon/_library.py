"""The native library: where it is, and the functions of its C ABI that Python calls."""
import ctypes
import functools
import os
import pathlib
import platform
import sys

import adbc_driver_manager

#: Names another library than the one in the package: for those who build it.
_OVERRIDE = "PLASMON_LIBRARY"

#: ``int32_t (*)(void *context, struct ArrowArray *arguments, struct ArrowArray *result)``
SCALAR_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
#: ``int32_t (*)(void *context, struct ArrowSchema *, struct ArrowArray *arguments, struct ArrowArrayStream *result)``
TABLE_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
#: ``void (*)(void *context)``
RELEASE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Session(ctypes.Structure):
    """``plasmon_session``: a handle, passed by value."""

    _fields_ = [("id", ctypes.c_uint64)]


class Function(ctypes.Structure):
    """``plasmon_function``: a handle, passed by value."""

    _fields_ = [("id", ctypes.c_uint64)]


class ArrowSchema(ctypes.Structure):
    """Room for a ``struct ArrowSchema``, filled in by pyarrow and emptied by the library."""

    _fields_ = [("words", ctypes.c_uint64 * 9)]


class _LastError(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_int32),
        ("error_class", ctypes.c_int32),
        ("message", ctypes.c_char_p),
        ("plan_path", ctypes.c_char_p),
        ("hint", ctypes.c_char_p),
    ]


def driver_path() -> pathlib.Path:
    """The driver's shared library, for every ADBC driver manager.

    >>> plasmon.driver_path().name
    'libplasmon_adbc.so'
    """
    named = os.environ.get(_OVERRIDE)
    path = pathlib.Path(named) if named else pathlib.Path(__file__).with_name("libplasmon_adbc.so")
    if not path.is_file():
        raise ImportError(f"the native library is not at {path}\nhint: install the wheel, or set {_OVERRIDE} to where libplasmon_adbc.so is")
    return path.resolve()


def install_manifest(folder: "str | os.PathLike[str] | None" = None) -> pathlib.Path:
    """Writes an ADBC driver manifest, so that every program finds the driver by the name ``plasmon``; the file that was written.

    ``folder`` is where driver managers look: by default that of this virtual environment, or of the user outside of one.
    ``python -m plasmon`` does the same from a shell.

    >>> plasmon.install_manifest()  # doctest: +SKIP
    PosixPath('/home/me/venv/etc/adbc/drivers/plasmon.toml')
    """
    if folder is None:
        environment = pathlib.Path(sys.prefix, "etc/adbc/drivers")
        user = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config", "adbc/drivers")
        folder = environment if sys.prefix != sys.base_prefix else user
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    manifest = pathlib.Path(folder, "plasmon.toml")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(
        f"""manifest_version = 1
name = "Plasmon"
publisher = "Plasmon"
license = "Apache-2.0"
version = "{version()}"

[ADBC]
version = "1.1.0"

[Driver]
entrypoint = "AdbcDriverInit"

[Driver.shared]
linux_{machine} = '{driver_path()}'
"""
    )
    return manifest


def version() -> str:
    """The library's version, e.g. ``0.1.0``."""
    told: bytes = load().plasmon_version()
    return told.decode()


@functools.cache
def load() -> ctypes.CDLL:
    """The library that the driver manager loads too, with the types of the functions that are called here. Calls let other Python threads run."""
    library = ctypes.CDLL(str(driver_path()))
    name, text = ctypes.c_char_p, ctypes.c_char_p
    schema = ctypes.POINTER(ArrowSchema)
    context = (ctypes.c_void_p, RELEASE_CALLBACK, ctypes.POINTER(Function))
    library.plasmon_session_register_function.argtypes = (Session, name, schema, schema, ctypes.c_int32, SCALAR_CALLBACK, *context)
    library.plasmon_session_register_table_function.argtypes = (Session, name, TABLE_CALLBACK, *context)
    library.plasmon_session_register_path.argtypes = (Session, name, text)
    library.plasmon_session_deregister.argtypes = (Session, name)
    library.plasmon_function_stop.argtypes = (Function,)
    library.plasmon_callback_set_error.argtypes = (text, ctypes.c_int64)
    library.plasmon_version.restype = ctypes.c_char_p
    library.plasmon_last_error.restype = ctypes.POINTER(_LastError)
    return library


def check(code: int) -> None:
    """Raises what the library says of a call that did not give 0, as the DB-API's exceptions."""
    if code == 0:
        return
    told = load().plasmon_last_error()
    message, hint = f"error {code}", ""
    if told:
        message, hint = told.contents.message.decode(), told.contents.hint.decode()
    text = f"{message}\nhint: {hint}" if hint else message
    if code == 12:
        raise adbc_driver_manager.NotSupportedError(text, vendor_code=str(code))
    status = adbc_driver_manager.AdbcStatusCode
    if code in (13, 14, 15, 16):
        raise adbc_driver_manager.OperationalError(text, status_code=status.IO, vendor_code=str(code))
    if code == 20:
        raise adbc_driver_manager.InternalError(text, status_code=status.INTERNAL, vendor_code=str(code))
    raise adbc_driver_manager.ProgrammingError(text, status_code=status.INVALID_ARGUMENT, vendor_code=str(code))
