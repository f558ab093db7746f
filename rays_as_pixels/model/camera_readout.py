"""Read cameras from raxel latents through the encoder, past what the decoder blurs.

The decoder's errors are smooth over the image, and smooth errors of raxels read as motion (Eq. 6).
The latents themselves hold the cameras far more exactly, so after the closed form on decoded raxels
the cameras are moved until their own raxels, encoded, match the latents: Gauss-Newton on rotation,
centre and focal length per frame.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.least_squares import NormalEquations
from rays_as_pixels.geometry.raxels import RASTER_STRIDE, RaxelFit, cameras_from_raxels
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, LatentCodec

_STEP = 0.02  # of finite differences: radians, scene units, log focal length
_TOLERANCE = 1e-7  # of what decoded raxels say; they are off by a thousand times as much
_READING_STEPS = 30  # 8 to 20 are enough for a network's raxels, and none for noise
_NUMBERS = 8  # rotation vector, centre, log fx, log fy
_MAX_CHANGE = 0.3  # per iteration, in the same units: beyond it the linear model does not hold


def read_cameras(
    codec: LatentCodec,
    ray_latents: Float[Tensor, "batch c frames h w"],
    *,
    shared_focal: bool = False,
    iterations: int = 2,
) -> tuple[RaxelFit, Float[Tensor, "batch frames 3 hr wr"]]:
    """Decode raxel latents and read their cameras: Eq. 6 and 7 (paper), then `fit_cameras`.

    Args:
        codec: Decodes, and encodes for the fit.
        ray_latents: Normalised latents, one image per frame.
        shared_focal: One focal length for all frames (the lens does not zoom).
        iterations: Steps of `fit_cameras`; 0 stays with what the decoded raxels say.

    Returns:
        Cameras (B, F) of the video's size on the CPU in float64, frame 0 the identity, with the
        residual of the decoded raxels; and these raxels.
    """
    raxels = codec.decode_raxels(ray_latents).cpu()
    fit = cameras_from_raxels(
        raxels.double(),
        iterations=_READING_STEPS,
        tolerance=_TOLERANCE,
        shared_focal=shared_focal,
    )
    if iterations == 0:
        return fit, raxels
    cameras = fit_cameras(
        codec, ray_latents, fit.cameras, iterations=iterations, shared_focal=shared_focal
    )
    return replace(fit, cameras=cameras.relative_to(0)), raxels


def fit_cameras(
    codec: LatentCodec,
    ray_latents: Float[Tensor, "batch c frames h w"],
    cameras: Cameras,
    *,
    iterations: int = 2,
    damping: float = 1e-3,
    shared_focal: bool = False,
) -> Cameras:
    """Move cameras until their encoded raxels match the latents they were read from.

    Args:
        codec: Whose encoder draws the comparison.
        ray_latents: Normalised, as the network predicts them.
        cameras: (B, F) of the video's size in the axes of one reference camera, in float64 on the
            CPU: where to start.
        iterations: Gauss-Newton steps; the derivatives are taken once, at the start.
        damping: Added to the normal equations' diagonal, as a share of its mean.
        shared_focal: One focal length for all frames (the lens does not zoom).

    Returns:
        The cameras, each frame moved on its own: re-anchor to the reference frame's. The ones given
        where their latents are matched no better after the steps.
    """
    start = cameras
    device = ray_latents.device
    goal = ray_latents.to(device="cpu", dtype=torch.float64)

    def encoded(drawn: Cameras) -> Tensor:
        latents = codec.encode_raxels(_raxels(drawn).to(device=device, dtype=torch.float32))
        return latents.to(goal)

    here = encoded(cameras)
    error = here - goal
    columns = [
        (encoded(_moved(cameras, _unit(k, cameras))) - here) / _STEP for k in range(_NUMBERS)
    ]
    jacobian = torch.stack([_by_frame(column) for column in columns], -1)  # B F n 8
    first = best = _by_frame(error).square().sum(-1)
    for _ in range(iterations):
        change = NormalEquations.of(jacobian, _by_frame(error)).damped(damping).step()
        change = change.clamp(-_MAX_CHANGE, _MAX_CHANGE)
        if shared_focal:
            change[..., 6:] = change[..., 6:].mean(dim=1, keepdim=True)
        cameras = _moved(cameras, change)
        error = encoded(cameras) - goal
        best = _by_frame(error).square().sum(-1)
    return _chosen(best <= first, cameras, start)


def _raxels(cameras: Cameras) -> Float[Tensor, "batch frames 3 h w"]:
    """Draw raxels in the cameras' own world: frame 0 may be a little off the identity here."""
    raster = cameras.resized(
        height=cameras.height // RASTER_STRIDE, width=cameras.width // RASTER_STRIDE
    )
    origin = raster.world_from_cam[..., None, None, :3, 3]
    value = rays_from_cameras(raster) + origin
    return value.movedim(-1, -3).clamp(-RAXEL_LIMIT, RAXEL_LIMIT)


def _by_frame(latents: Tensor) -> Float[Tensor, "batch frames n"]:
    return latents.transpose(1, 2).flatten(2)


def _unit(number: int, cameras: Cameras) -> Float[Tensor, "batch frames 8"]:
    change = cameras.focal_px.new_zeros(*cameras.batch_shape, _NUMBERS)
    change[..., number] = _STEP
    return change


def _moved(cameras: Cameras, change: Float[Tensor, "batch frames 8"]) -> Cameras:
    pose = cameras.world_from_cam.clone()
    pose[..., :3, :3] = rotation_from_vector(change[..., :3]) @ pose[..., :3, :3]
    pose[..., :3, 3] += change[..., 3:6]
    focal = cameras.focal_px * change[..., 6:].exp()
    return Cameras(pose, focal, cameras.center_px, cameras.height, cameras.width)


def _chosen(better: Float[Tensor, "batch frames"], new: Cameras, old: Cameras) -> Cameras:
    pose = torch.where(better[..., None, None], new.world_from_cam, old.world_from_cam)
    focal = torch.where(better[..., None], new.focal_px, old.focal_px)
    return Cameras(pose, focal, old.center_px, old.height, old.width)
