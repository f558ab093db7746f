"""One running app that the tests of this folder share, and visitors to it."""

import pytest
import torch
from running_server import Server, visiting

from rays_as_pixels.media.video import write_video

MAX_UPLOAD_MB = 2


@pytest.fixture(scope="session")
def server(toy_folder, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("app") / "workspace"
    server = Server(workspace, toy_folder, "--max-upload-mb", str(MAX_UPLOAD_MB))
    yield server
    server.stop()


@pytest.fixture
def visitor(server):
    with visiting(server) as visitor:
        yield visitor


@pytest.fixture(scope="session")
def clip_bytes(tmp_path_factory) -> bytes:
    """A video of nine frames, 32 x 48, of a ramp that slides."""
    ramp = torch.linspace(0, 1, 80)
    frames = torch.stack([ramp[k : k + 48].expand(3, 32, 48) for k in range(0, 27, 3)])
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, frames, fps=10.0)
    return path.read_bytes()
