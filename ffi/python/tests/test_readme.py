"""The Python of the READMEs runs as it stands, and prints what its comments say."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("document", ["README.md", "ffi/python/README.md"])
def test_examples_run(document, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, document, "exec"), {})
    expected = re.findall(r"# (\[.*)", "".join(blocks))
    assert expected and capsys.readouterr().out.splitlines() == expected
