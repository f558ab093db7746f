import pytest
import rooms
import torch


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def clip():
    """Five frames of a room, with depth and cameras."""
    return rooms.room_clip(rooms.curved_path())
