import pytest
import rooms
import torch


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def quick_estimates(one_attempt):
    """Tables are tested here, not the paths in them."""


@pytest.fixture(scope="session")
def clip():
    """Five frames of a room, with depth and cameras."""
    return rooms.room_clip(rooms.curved_path())
