"""The network and the verbs over two processes give what one process gives."""

import pytest

from tests.parallel.two_processes import run_in_two

pytestmark = pytest.mark.timeout(300)  # seconds on an idle machine
# Sums over tokens are taken in another order: a few float32 roundings of values up to 10.
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def results() -> dict:
    return run_in_two(["tests/parallel/context_worker.py"])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["even", "uneven", "text", "ring"])
def test_the_network_over_two_processes_equals_the_network_in_one(results, case):
    """`even`: 32 and 8 tokens an image; `uneven`: 12 and 3 tokens and 3 heads; `text`: a prompt."""
    assert results[case]["difference"] < TOLERANCE
    assert results[case]["largest"] > 1, "the outputs must not be zeros"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["even", "uneven", "text", "ring"])
def test_rays_still_see_the_whole_video_when_it_is_cut(results, case):
    assert results[case]["reaction"] > 10 * results[case]["difference"]


@pytest.mark.slow
def test_ring_attention_with_a_kernel_that_cannot_do_it_is_refused(results):
    assert "must use a backend that returns the softmax's normaliser" in results["ring"]["refusal"]


@pytest.mark.slow
def test_estimate_and_guided_generate_over_two_processes_equal_one(results):
    assert results["verbs"]["raxels"] < TOLERANCE
    assert results["verbs"]["video"] < TOLERANCE
