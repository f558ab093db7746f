"""A Hub of our own, with the toy pipeline on it, and a fresh cache per test."""

import pytest
from huggingface_hub.utils import disable_progress_bars
from server import REPOSITORY, Hub, files_of, serving

from rays_as_pixels.hub.location import HubAccess


@pytest.fixture
def hub(toy_folder):
    disable_progress_bars()
    with serving() as running:
        running.put(REPOSITORY, files_of(toy_folder))
        yield running


@pytest.fixture
def access(hub: Hub, tmp_path) -> HubAccess:
    return HubAccess(endpoint=hub.url, token=False, cache=tmp_path / "cache", offline=False)
