"""Items prefetched by another process arrive in order, and its failure is reported."""

import itertools

import pytest

from rays_as_pixels.training.data.prefetch import BackgroundPrefetcher


def counted(first: int):
    yield from itertools.count(first)


def failing():
    yield 1
    raise ValueError("the ninth cloud")


def ending():
    yield 1


def test_prefetched_items_arrive_in_order():
    made = BackgroundPrefetcher(counted, 5)
    assert [made.take(wait=True) for _ in range(6)] == [5, 6, 7, 8, 9, 10]
    made.close()


@pytest.mark.parametrize(
    ("source", "reason"), [(failing, "the ninth cloud"), (ending, "has ended")]
)
def test_a_failure_or_the_end_is_reported_after_the_items_before_it(source, reason):
    made = BackgroundPrefetcher(source)
    assert made.take(wait=True) == 1
    with pytest.raises(RuntimeError, match=reason):
        made.take(wait=True)
    made.close()
