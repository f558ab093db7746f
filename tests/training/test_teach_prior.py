"""The camera prior learns cameras from moments, goes on where it stopped, and keeps its clips."""

import itertools

import torch

from rays_as_pixels.model.camera_prior import CameraPrior, camera_numbers
from rays_as_pixels.model.global_motion import MOMENTS
from rays_as_pixels.training import stage_loop
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.processes import new_accelerator
from rays_as_pixels.training.teach_prior import SeenClips, camera_loss, teach_prior

FRAMES = 5


class KnownMotion(torch.nn.Module):
    """In place of pictures: moments that are a fixed linear map of what the latents hold."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.register_buffer("map", torch.randn(8, MOMENTS, generator=generator))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return latents.mean((3, 4)).mT @ self.map


def batches(seed: int):
    """Clips whose latents hold their cameras, so that moments do."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        pose = 0.2 * torch.randn(16, FRAMES, 8, generator=generator)
        pose[:, 0, :6] = 0
        latents = pose.mT[..., None, None].expand(-1, -1, -1, 4, 4)
        empty = torch.zeros(16, 8, 0, 4, 4)
        yield CleanBatch(latents, empty, empty, empty, empty, pose)


def new_prior() -> CameraPrior:
    torch.manual_seed(0)
    prior = CameraPrior(8, 8)
    prior.motion = KnownMotion()
    prior.spread.fill_(0.2)
    return prior


def test_cameras_of_other_clips_are_told_and_a_second_run_goes_on(tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    prior, lines = new_prior(), []
    code = prior.code.weight.detach().clone()
    common = {"accelerator": new_accelerator(), "log": lines.append}
    teach_prior(prior, batches(0), 300 / 60, tmp_path, **common)
    assert any(line.startswith("prior step 300") for line in lines)
    assert torch.equal(prior.code.weight, code)
    clean = next(batches(99))
    truth = camera_numbers(clean.pose, 4, 4)
    with torch.no_grad():
        told = prior.numbers(prior.motion(clean.latents), torch.zeros(16))
        loss, degrees = camera_loss(told, truth, prior.spread)
        nothing, still = camera_loss(torch.zeros_like(truth), truth, prior.spread)
    assert loss < 0.3 * nothing
    assert degrees < 0.4 * still

    again = new_prior()
    teach_prior(again, batches(0), 300 / 60, tmp_path, **common)
    assert lines[-1].startswith("prior: resumed at step 300")
    for name, value in prior.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_clips_are_drawn_with_their_own_cameras():
    prior, seen = new_prior(), SeenClips()
    source = batches(1)
    for _ in range(3):
        seen.add(prior, next(source))
    assert len(seen) == 48
    moments, numbers, aspect = seen.draw(20, torch.Generator().manual_seed(0))
    assert moments.shape == (20, FRAMES, MOMENTS)
    torch.testing.assert_close(moments, numbers @ prior.motion.map, rtol=1e-4, atol=1e-4)
    assert aspect.tolist() == [0.0] * 20
