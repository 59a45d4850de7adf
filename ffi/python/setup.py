"""Puts libplasmon_adbc.so into the wheel, which fits every Python 3 of one platform."""
import os
import pathlib
import shutil
import subprocess

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = "libplasmon_adbc.so"


def built_library() -> pathlib.Path:
    """Where cargo has put the library; PLASMON_LIBRARY names another."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    library = pathlib.Path(os.environ.get("PLASMON_LIBRARY", target / "release" / LIBRARY))
    if not library.is_file():
        raise SystemExit(f"{library} is not there: build it with `cargo build --release --workspace`, or set PLASMON_LIBRARY")
    return library


class BuildWithLibrary(build_py):
    """Copies the library beside the modules. A link to it would leave the wheel empty-handed."""

    def run(self) -> None:
        super().run()
        inside = pathlib.Path(self.build_lib) / "plasmon" / LIBRARY
        shutil.copyfile(built_library(), inside)
        # What debuggers want is three quarters of it.
        if shutil.which("strip"):
            subprocess.run(["strip", "--strip-debug", str(inside)], check=True)


class PlatformWheel(bdist_wheel):
    """One wheel for every Python 3 of this platform: the library knows nothing of Python's own ABI."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
