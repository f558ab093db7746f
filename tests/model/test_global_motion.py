"""The numbers that say how a frame moved are those of the motion, whatever else the frame shows."""

import pytest
import torch

from rays_as_pixels.model.global_motion import (
    MOMENTS,
    GlobalMotion,
    _basis,
    _moments,
    mirrored,
)
from rays_as_pixels.model.image_flow import SIDE, Flow

GRID = (6, 10)
TERMS = 10


def flow_of(displacement: torch.Tensor) -> Flow:
    """A flow that is certain everywhere."""
    count, _, height, width = displacement.shape
    return Flow(
        displacement,
        torch.full((count, 2, height, width), 0.1),
        torch.full((count, 1, height, width), 1e-5),
    )


def smooth_flow(coefficients: torch.Tensor) -> torch.Tensor:
    """(terms, 2) in roots of the area to a flow in elements."""
    cells = (_basis(*GRID) @ coefficients).mT.unflatten(1, GRID)[None]
    scale = SIDE * (GRID[0] * GRID[1]) ** 0.5
    return scale * cells.repeat_interleave(SIDE, 2).repeat_interleave(SIDE, 3)


def test_coefficients_of_a_smooth_flow_come_back():
    wanted = 0.02 * torch.randn(TERMS, 2, generator=torch.Generator().manual_seed(0))
    found = _moments(flow_of(smooth_flow(wanted)), GRID)[0, : 2 * TERMS].unflatten(0, (TERMS, 2))
    torch.testing.assert_close(found, wanted, rtol=0.15, atol=2e-3)


def test_what_moves_by_itself_hardly_counts():
    wanted = torch.zeros(TERMS, 2)
    wanted[0] = torch.tensor([0.05, -0.03])
    flow = smooth_flow(wanted)
    disturbed = flow.clone()
    disturbed[:, :, :8, :12] += 12.0  # an eighth or so of the image
    clean, moved = (_moments(flow_of(one), GRID)[0] for one in (flow, disturbed))
    plain_mean_off = 12.0 * (8 * 12) / (24 * 40) / (SIDE * 60**0.5)
    assert (moved[:2] - clean[:2]).norm() < 0.3 * plain_mean_off
    share = 2 * TERMS + 1
    assert moved[share] < clean[share] - 0.05


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_frame_0_says_nothing_and_any_number_of_frames_is_read(frames):
    torch.manual_seed(0)
    motion = GlobalMotion(4)
    motion.pictures.weight.normal_(std=0.1)
    seen = motion(torch.randn(2, 4, frames, 4, 6))
    assert seen.shape == (2, frames, MOMENTS)
    assert seen.isfinite().all()
    assert seen[:, 0].abs().max() == 0
    if frames > 1:
        assert seen[:, 1:].abs().amin(1).max() > 0
        half = motion(torch.randn(2, 4, frames, 4, 6).bfloat16())
        assert half.dtype == torch.float32


def test_the_moments_of_a_mirrored_clip_are_the_mirrored_moments():
    torch.manual_seed(1)
    motion = GlobalMotion(48)  # latents that are the pictures' cells
    motion.pictures.weight.copy_(0.1 * torch.eye(48))
    pictures = torch.nn.functional.avg_pool2d(torch.randn(3, 3, 28, 36), 5, 1)
    pictures = torch.stack([pictures, pictures.roll(1, -1), pictures.roll(2, -2)], dim=1)

    def moments(clips: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.pixel_unshuffle(clips.flatten(0, 1), SIDE)
        return motion(cells.unflatten(0, clips.shape[:2]).transpose(1, 2))

    seen, turned = moments(pictures), moments(pictures.flip(-1))
    torch.testing.assert_close(turned, mirrored(seen), rtol=1e-3, atol=1e-4)
    assert (turned - seen).abs().max() > 0.01
