"""Two rendered clips with known cameras, and what is observed in one of them."""

import pytest

from rays_as_pixels.solve.video.observations import Observations, observe
from tests.solve.video import planar_scene


@pytest.fixture(scope="session")
def travelling_clip() -> planar_scene.PlanarClip:
    return planar_scene.travelling()


@pytest.fixture(scope="session")
def turning_clip() -> planar_scene.PlanarClip:
    return planar_scene.turning()


@pytest.fixture(scope="session")
def observed(travelling_clip) -> Observations:
    return observe(travelling_clip.frames)
