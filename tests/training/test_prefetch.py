"""What another process makes arrives in order, and its failure is told."""

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


def test_what_is_made_arrives_in_order():
    made = BackgroundPrefetcher(counted, 5)
    assert [made.take(wait=True) for _ in range(6)] == [5, 6, 7, 8, 9, 10]
    made.close()


@pytest.mark.parametrize(
    ("source", "reason"), [(failing, "the ninth cloud"), (ending, "has ended")]
)
def test_after_what_was_made_a_failure_or_an_end_is_told(source, reason):
    made = BackgroundPrefetcher(source)
    assert made.take(wait=True) == 1
    with pytest.raises(RuntimeError, match=reason):
        made.take(wait=True)
    made.close()
