"""A few random queries; random_plans.py asks as many as one likes."""
import collections

import pytest

import random_plans

QUERIES_PER_SEED = 20


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_same_as_spark(spark, seed):
    counts = collections.Counter()
    different = random_plans.run_round(spark, seed, QUERIES_PER_SEED, counts, collections.Counter())
    assert not different, different[0]
    assert counts["same"] >= QUERIES_PER_SEED // 2, f"too few queries that Spark takes: {counts}"
