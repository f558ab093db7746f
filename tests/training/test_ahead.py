"""What another process makes arrives in order, and its failure is told."""

import itertools

import pytest

from rays_as_pixels.training.ahead import MadeAhead


def counted(first: int):
    yield from itertools.count(first)


def failing():
    yield 1
    raise ValueError("the ninth cloud")


def ending():
    yield 1


def test_what_is_made_arrives_in_order():
    made = MadeAhead(counted, 5)
    assert [made.take(wait=True) for _ in range(6)] == [5, 6, 7, 8, 9, 10]
    made.close()


def test_a_failure_is_told_with_its_reason():
    made = MadeAhead(failing)
    assert made.take(wait=True) == 1
    with pytest.raises(RuntimeError, match="the ninth cloud"):
        made.take(wait=True)
    made.close()


def test_a_process_that_ended_is_missed():
    made = MadeAhead(ending)
    assert made.take(wait=True) == 1
    with pytest.raises(RuntimeError, match="has ended"):
        made.take(wait=True)
    made.close()
