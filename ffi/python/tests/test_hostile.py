"""The driver's C functions called wrongly: statuses come back, nothing crashes, hangs or leaks."""
import pathlib
import subprocess
import sys

import plasmon

HOSTILE = pathlib.Path(__file__).with_name("hostile.py")


def test_a_hostile_caller_gets_statuses():
    """It also releases objects in every order, and twice."""
    run = subprocess.run([sys.executable, "-X", "faulthandler", HOSTILE, "15000", "1"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and run.stdout == "15000 calls\n", run.stderr[-4000:]


def test_nothing_leaks():
    """Sessions, connections, statements, results and errors, again and again: the process does not grow."""

    def grown(rounds):
        for _ in range(rounds):
            with plasmon.connect(threads=1) as connection:
                connection.register("t", {"a": list(range(4000)), "b": ["x" * 50] * 4000})
                connection.create_function("f", lambda a: a, [int], int)
                connection.sql("SELECT f(a), b FROM t").rows()
                connection.sql("SELECT a FROM t").close()
                try:
                    connection.sql("SELECT nothing")
                except plasmon.Error:
                    pass
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = grown(60)
    # Tables alone would be 20 MB.
    assert grown(100) - before < 8 << 20


