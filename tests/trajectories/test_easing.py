"""Easings: where they start, how they stop, and that each paces its own segment alone."""

import pytest
import torch
from spline_samples import EXACT, key, read, vector

from rays_as_pixels.trajectories.easing import EASINGS, ease


@pytest.mark.parametrize("name", EASINGS)
def test_easings_go_from_zero_to_one_without_turning_back(name):
    value = ease(torch.linspace(0, 1, 101, dtype=torch.float64), name)
    ends = value[[0, -1]]
    torch.testing.assert_close(ends, vector(0, 1), **EXACT)
    assert bool((value.diff() >= -1e-15).all())


def test_easings_start_and_stop_as_their_names_say():
    eps = vector(1e-4)
    for name in EASINGS:
        start, stop = float(ease(eps, name)) / 1e-4, float(1 - ease(1 - eps, name)) / 1e-4
        if name not in ("linear", "hold"):
            assert (start < 0.01) == ("-in" in name or name == "smoother"), name
            assert (stop < 0.01) == (name.endswith("out") or name == "smoother"), name


def test_an_easing_paces_its_own_segment_alone():
    keys = [key(0, easing="quad-in"), key(1, (1, 0, 0), easing="linear"), key(2, (2, 0, 0))]
    x = read(keys, 9, position="linear").positions[:, 0]
    expected = [0, 1 / 16, 4 / 16, 9 / 16, 1, 1.25, 1.5, 1.75, 2]
    torch.testing.assert_close(x, vector(*expected), **EXACT)


def test_hold_stays_and_then_cuts_to_the_next_key():
    x = read([key(0, easing="hold"), key(1, (1, 0, 0))], 5).positions[:, 0]
    assert x.tolist() == [0, 0, 0, 0, 1]
