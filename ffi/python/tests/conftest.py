"""A connection for each test, and the rule that no test may hang."""
import collections.abc

import plasmon
import pytest


@pytest.fixture
def connection() -> collections.abc.Iterator[plasmon.Connection]:
    with plasmon.connect(threads=2) as opened:
        yield opened
