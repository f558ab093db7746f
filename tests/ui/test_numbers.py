"""Numbers of results, as the page says them."""

import json

from rays_as_pixels.jobs import tasks
from rays_as_pixels.ui import numbers
from rays_as_pixels.ui.examples import find_examples
from rays_as_pixels.ui.library import Library


def test_the_drift_over_rounds_is_shown_and_said(manager):
    result = Library(manager, find_examples()).find("example:1-orbit/loop", "")
    report = json.loads((result.folder / tasks.REPORT).read_text())
    words = numbers.loop_numbers(report, result, "en")
    assert len(report["rounds"]) == 2
    for word in ("Round 2", "Drift over rounds", "After 2 rounds"):
        assert word in words
