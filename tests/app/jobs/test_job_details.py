"""What an estimate leaves in its folder for the path view: raxels, spread, and the page."""

import numpy as np
import pytest
import torch
from job_helpers import SOON

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.jobs.requests import EstimateRequest
from rays_as_pixels.media.video import write_video


@pytest.mark.parametrize("num_samples", [1, 2])
def test_an_estimate_keeps_its_raxels_and_how_far_its_runs_differ(
    open_manager, toy, tmp_path, num_samples
):
    manager = open_manager(job_kinds(lambda: toy))
    video = torch.rand(9, 3, 48, 64, generator=torch.Generator().manual_seed(2))
    request = EstimateRequest(
        video="input.mp4", num_frames=toy.num_frames, num_samples=num_samples, steps=1
    )
    write_video(tmp_path / "input.mp4", video, fps=10.0)
    job = manager.submit("estimate", request, inputs={"input.mp4": tmp_path / "input.mp4"})
    record = manager.wait(job.id, timeout_sec=SOON)
    assert record.state is JobState.DONE, record.message
    raxels = np.load(manager.folder(record.id) / record.results["raxels"], allow_pickle=False)
    assert raxels.dtype == np.float16 and raxels.shape[:2] == (toy.num_frames, 3)
    assert np.isfinite(raxels).all()
    spread = record.results["spread"]
    if num_samples == 1:
        assert spread is None
    else:
        assert set(spread) == {"rotation_rad", "position", "focal_ratio"}
        assert all(len(values) == toy.num_frames for values in spread.values())
        assert max(spread["position"]) > 0, "two runs from different noise differ"
    page = (manager.folder(record.id) / tasks.PAGE).read_text(encoding="utf-8")
    assert "pathView(" in page and "data:video/mp4;base64," in page
