"""The command line in two processes: one writes, and what it writes is what one process writes."""

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.media.video import write_video
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.trajectories.formats import load
from tests.parallel.two_processes import run_in_two

pytestmark = pytest.mark.timeout(700)  # seconds on an idle machine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width"),
    [(64, 64), pytest.param(60, 80, id="4:3, with 15 ray tokens an image")],
)
def test_estimate_in_two_processes_writes_what_one_process_writes(tmp_path, height, width):
    """The shipped model: raxels of random weights have no camera that a fit could agree on."""
    picture = torch.rand(3, 9, 14, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(
        picture[None], (height, width + 16), mode="bicubic", align_corners=True
    )[0].clamp(0, 1)
    clip = torch.stack([picture[..., 2 * frame : 2 * frame + width] for frame in range(9)])
    write_video(tmp_path / "clip.mp4", clip, fps=10.0)
    common = [
        "estimate",
        str(tmp_path / "clip.mp4"),
        "--model",
        str(DEFAULT_MODEL),
        "--device",
        "cpu",
    ]
    assert main([*common, "--out", str(tmp_path / "one")]) == 0
    both = str(tmp_path / "two")
    code = run_in_two(
        ["tests/parallel/verb_worker.py", *common, "--out", both, "--parallel", "ulysses"]
    )
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == names
    one, two = (load(tmp_path / name / "trajectory.json").cameras for name in ("one", "two"))
    # Raxels differ by 1e-6; the fit of cameras magnifies that.
    torch.testing.assert_close(two.world_from_cam, one.world_from_cam, rtol=0, atol=1e-3)
    torch.testing.assert_close(two.focal_px, one.focal_px, rtol=1e-3, atol=0)
    assert not torch.allclose(one.world_from_cam[0], one.world_from_cam[-1], atol=1e-2)
