"""Cameras read from latents through the encoder are closer than those of the decoded raxels."""

import torch

from rays_as_pixels.geometry.camera_metrics import pair_errors
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.worlds import WorldOptions, render_clips


def _clips_and_codec():
    clips = render_clips(
        [0, 1, 2],
        split="heldout",
        num_frames=5,
        height=64,
        width=64,
        options=WorldOptions(supersample=1),
    )
    return clips.cameras, RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL).codec


@torch.no_grad()
def test_fitting_to_the_latents_removes_most_of_the_autoencoders_error():
    cameras, codec = _clips_and_codec()
    latents = codec.encode_raxels(raxels_from_cameras(cameras))
    errors = {}
    for iterations in (0, 2):
        fit, _ = read_cameras(codec, latents, iterations=iterations)
        pairs = [
            pair_errors(fit.cameras[k], cameras[k].to(dtype=torch.float64)).rotation_deg
            for k in range(3)
        ]
        errors[iterations] = float(torch.cat(pairs).median())
        focal = (fit.cameras.focal_px / cameras.focal_px.double() - 1).abs().mean()
        position = (fit.cameras.world_from_cam - cameras.world_from_cam.double())[..., :3, 3].norm(
            dim=-1
        )
        if iterations:
            assert float(focal) < 0.01
            assert float(position.mean()) < 0.01  # scene units
    # The floor: at most 0.3 degrees; decoding alone gives two to three times as much.
    assert errors[2] < 0.3
    assert errors[2] < errors[0] / 2


@torch.no_grad()
def test_a_shared_focal_length_stays_shared():
    cameras, codec = _clips_and_codec()
    latents = codec.encode_raxels(raxels_from_cameras(cameras))
    fit, _ = read_cameras(codec, latents, shared_focal=True)
    spread = fit.cameras.focal_px.max(dim=1).values / fit.cameras.focal_px.min(dim=1).values
    # Averaging logarithms in float32 leaves rounding only.
    torch.testing.assert_close(spread, torch.ones_like(spread), rtol=1e-5, atol=0)


@torch.no_grad()
def test_frame_zero_is_the_identity():
    cameras, codec = _clips_and_codec()
    latents = codec.encode_raxels(raxels_from_cameras(cameras))
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    fit, _ = read_cameras(codec, latents + 0.1 * noise)
    eye = torch.eye(4, dtype=torch.float64).expand(3, 4, 4)
    torch.testing.assert_close(fit.cameras.world_from_cam[:, 0], eye, rtol=0, atol=1e-9)
