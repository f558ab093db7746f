"""The command line in two processes: one writes, and what it writes is what one process writes."""

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.formats import load
from tests.conftest import toy_pipeline
from tests.parallel.two_processes import run_in_two

pytestmark = pytest.mark.timeout(700)  # seconds on an idle machine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width", "native"),
    [(32, 32, (32, 32)), pytest.param(48, 64, (48, 80), id="4:3, with 15 ray tokens an image")],
)
def test_estimate_in_two_processes_writes_what_one_process_writes(tmp_path, height, width, native):
    model = tmp_path / "model"
    pipe = toy_pipeline()
    pipe.register_to_config(sizes=[native])
    pipe.save_pretrained(model)
    ramp = torch.linspace(0, 1, width).expand(5, 3, height, width)
    clip = torch.stack([frame.roll(2 * index, -1) for index, frame in enumerate(ramp)])
    write_video(tmp_path / "clip.mp4", clip, fps=10.0)
    common = ["estimate", str(tmp_path / "clip.mp4"), "--model", str(model), "--device", "cpu"]
    assert main([*common, "--out", str(tmp_path / "one")]) == 0
    both = str(tmp_path / "two")
    code = run_in_two(
        ["tests/parallel/verb_worker.py", *common, "--out", both, "--parallel", "ulysses"]
    )
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == names
    one, two = (load(tmp_path / name / "trajectory.json").cameras for name in ("one", "two"))
    # Raxels differ by 1e-6; the fit of cameras to a toy model's raxels magnifies that.
    torch.testing.assert_close(two.world_from_cam, one.world_from_cam, rtol=0, atol=1e-3)
    torch.testing.assert_close(two.focal_px, one.focal_px, rtol=1e-3, atol=0)
