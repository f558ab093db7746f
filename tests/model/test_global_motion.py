"""The numbers that say how a frame moved are those of the motion, whatever else the frame shows."""

import pytest
import torch

from rays_as_pixels.model.camera_prior.global_motion import (
    MOMENTS,
    TRACK_MAPS,
    GlobalMotion,
    _basis,
    _fitted,
    cell_centers,
)
from rays_as_pixels.model.latent_pictures import SIDE
from rays_as_pixels.solve.lucas_kanade import Flow

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
    found = (
        _fitted(flow_of(smooth_flow(wanted)), GRID).moments[0, : 2 * TERMS].unflatten(0, (TERMS, 2))
    )
    torch.testing.assert_close(found, wanted, rtol=0.15, atol=2e-3)


def test_what_moves_by_itself_hardly_counts():
    wanted = torch.zeros(TERMS, 2)
    wanted[0] = torch.tensor([0.05, -0.03])
    flow = smooth_flow(wanted)
    disturbed = flow.clone()
    disturbed[:, :, :8, :12] += 12.0  # an eighth or so of the image
    clean, moved = (_fitted(flow_of(one), GRID).moments[0] for one in (flow, disturbed))
    plain_mean_off = 12.0 * (8 * 12) / (24 * 40) / (SIDE * 60**0.5)
    assert (moved[:2] - clean[:2]).norm() < 0.3 * plain_mean_off
    share = 2 * TERMS + 1
    assert moved[share] < clean[share] - 0.05


@pytest.mark.parametrize("frames", [2, 4])
def test_any_number_of_frames_is_read(frames):
    torch.manual_seed(0)
    motion = GlobalMotion(4)
    motion.pictures.weight.normal_(std=0.1)
    seen = motion(torch.randn(2, 4, frames, 4, 6))
    assert seen.moments.shape == (2, frames - 1, MOMENTS)
    assert seen.maps.shape == (2, frames - 1, 24, TRACK_MAPS)
    assert seen.moments.isfinite().all()
    assert seen.moments.abs().amin(1).max() > 0
    half = motion(torch.randn(2, 4, frames, 4, 6).bfloat16())
    assert half.moments.dtype == half.seen.dtype == torch.float32


def test_tracks_of_frame_0_follow_what_it_shows():
    """A picture that slides two elements to the left a frame, half a cell."""
    motion = GlobalMotion(48)  # latents that are the pictures' cells
    motion.pictures.weight.copy_(torch.eye(48))
    generator = torch.Generator().manual_seed(2)
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 12, 24, generator=generator), size=(48, 96), mode="bicubic"
    )
    clip = torch.stack([wide[..., 2 * k : 2 * k + 80] for k in range(4)], 1)
    cells = torch.nn.functional.pixel_unshuffle(clip.flatten(0, 1), SIDE)
    seen = motion(cells.unflatten(0, (1, 4)).transpose(1, 2))
    moved = (seen.seen - seen.centers) * (SIDE * (12 * 20) ** 0.5)  # elements
    for frame in range(3):
        expected = torch.tensor([-2.0 * (frame + 1), 0.0])
        middle = moved[0, frame].median(0).values
        torch.testing.assert_close(middle, expected, rtol=0, atol=0.15)
    assert seen.maps[..., 5].mean() > 0.8  # inside


def test_positions_are_from_the_image_centre_normalised_by_sqrt_of_the_area():
    centers = cell_centers(2, 8)
    assert centers.mean(0).tolist() == [0.0, 0.0]
    assert centers[0].tolist() == [-3.5 / 4, -0.5 / 4]
    assert centers[-1].tolist() == [3.5 / 4, 0.5 / 4]
