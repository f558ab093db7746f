"""Raxels: cameras drawn as images, and read back (paper, sections "Raxels" and "Reading cameras").

A raxel's value at a pixel is d + o: the unit direction of the pixel's ray plus its origin, both in
the axes of the reference camera. The raster has half the video's height and width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, check_reference, invert_rigid, rigid
from rays_as_pixels.geometry.rays import pixel_grid_px, rays_from_cameras
from rays_as_pixels.geometry.refine import EXACT, MAX_ITERATIONS, refine_cameras
from rays_as_pixels.geometry.rotations import nearest_rotation

RASTER_STRIDE = 2  # a raxel image has 1/2 of the video's height and width
_ENOUGH_PIXELS = 400  # of a raxel image, for refinement


def check_raster(height: int, width: int) -> None:
    """Refuse a video size that has no half-size raster."""
    if height % RASTER_STRIDE or width % RASTER_STRIDE:
        raise InputError(
            f"height and width must be multiples of {RASTER_STRIDE}; got {height} x {width}. "
            "Resize or crop the video by one pixel."
        )


def raxels_from_cameras(
    cameras: Cameras, *, reference: int = 0
) -> Float[Tensor, "*batch frames 3 h w"]:
    """Draw cameras as raxel images, relative to frame `reference`. Inverse: `cameras_from_raxels`.

    Args:
        cameras: Batch shape (..., F); height and width are the video's and must be even.
        reference: Frame whose camera becomes the world frame.

    Returns:
        d + o per pixel, in the reference camera's axes, at half the video's height and width.
    """
    check_raster(cameras.height, cameras.width)
    raster = cameras.resized(
        height=cameras.height // RASTER_STRIDE, width=cameras.width // RASTER_STRIDE
    ).relative_to(reference)
    origin = raster.world_from_cam[..., :3, 3]
    value = rays_from_cameras(raster) + origin[..., None, None, :]
    return value.movedim(-1, -3)


@dataclass(frozen=True)
class RaxelFit:
    """Cameras read from raxels, with how well they explain them.

    Attributes:
        cameras: (..., F) cameras; frame `reference` is the identity.
        residual: (..., F) root mean square of |d + o - raxel| per frame, in scene units, over the
            pixels that refinement looks at.
        focal_determined: (..., F) False where Eq. 7 gave no focal length between 0.05 and 50 raster
            widths, as in pure noise: refinement then started at the raster's width, which is also
            what stays where it makes no steps.
    """

    cameras: Cameras
    residual: Float[Tensor, "*batch frames"]
    focal_determined: Bool[Tensor, "*batch frames"]


def procrustes_pose(
    raxel: Float[Tensor, "*batch h w 3"], reference: Float[Tensor, "*batch h w 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """Return the rigid P minimising sum |R_k - P R_s|^2 over pixels (paper, Eq. 6).

    Args:
        raxel: Frame k's raxel values.
        reference: The reference frame's raxel values as decoded: using these, rather than ideal
            ones, cancels what the autoencoder does to both.

    Raises:
        InputError: The rays are (nearly) all the same, so that no rotation is determined.
    """
    target = raxel.flatten(-3, -2)
    source = reference.flatten(-3, -2)
    target_mean = target.mean(-2, keepdim=True)
    source_mean = source.mean(-2, keepdim=True)
    covariance = (target - target_mean).transpose(-1, -2) @ (source - source_mean)
    rotation = nearest_rotation(covariance)
    translation = target_mean.squeeze(-2) - (rotation @ source_mean.transpose(-1, -2)).squeeze(-1)
    return rigid(rotation, translation)


def focal_from_raxel(
    raxel: Float[Tensor, "*batch h w 3"],
    world_from_cam: Float[Tensor, "*batch 4 4"],
    center_px: Float[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch 2"]:
    """Return (fx, fy) = (median(u z / x), median(v z / y)), in raster pixels (paper, Eq. 7).

    Pixels within an eighth of the image's size of the axis in question are left out: there the
    ratio is of two small numbers.
    """
    height, width = raxel.shape[-3:-1]
    centred = raxel - world_from_cam[..., None, None, :3, 3]
    in_cam = torch.einsum("...ji,...hwj->...hwi", world_from_cam[..., :3, :3], centred)
    grid = pixel_grid_px(height, width, dtype=raxel.dtype, device=raxel.device)
    offset = grid - center_px[..., None, None, :]
    focal = []
    for axis, size in ((0, width), (1, height)):
        ratio = offset[..., axis] * in_cam[..., 2] / in_cam[..., axis]
        usable = (offset[..., axis].abs() > size / 8) & torch.isfinite(ratio)
        ratio = torch.where(usable, ratio, torch.full_like(ratio, torch.nan))
        focal.append(ratio.flatten(-2).nanmedian(dim=-1).values)
    return torch.stack(focal, dim=-1)


def _thinning(height: int, width: int) -> int:
    """Return the odd step at which refinement looks at pixels.

    Every step-th pixel from the middle of the first step on is a smaller image of the same cameras,
    the centres of its pixels included. Eight numbers per camera need no more of them.
    """
    step = 1
    while (height // (step + 2)) * (width // (step + 2)) >= _ENOUGH_PIXELS:
        step += 2
    return step


def cameras_from_raxels(
    raxels: Float[Tensor, "*batch frames 3 h w"],
    *,
    reference: int = 0,
    center_norm: tuple[float, float] = (0.5, 0.5),
    iterations: int = MAX_ITERATIONS,
    tolerance: float = EXACT,
    shared_focal: bool = False,
) -> RaxelFit:
    """Read one camera per raxel image. Inverse of `raxels_from_cameras`.

    Eq. 6 gives each pose against the reference frame as decoded, Eq. 7 each focal length; then
    (R, t, f) are refined together and robustly, so that a zoom is not read as motion.

    Args:
        raxels: Decoded raxel images.
        reference: Frame that becomes the world frame.
        center_norm: Principal point as a fraction of width and height; raxels do not fix it.
        iterations: Steps of the refinement, at most; 0 leaves Eq. 6 and Eq. 7 as they are.
        tolerance: Of the refinement, see `refine_cameras`.
        shared_focal: One focal length for all frames (the lens does not zoom).

    Returns:
        Cameras of the video's size (twice the raster's), the residual of each frame, and whether
        its focal length was determined in closed form.

    Raises:
        InputError: Raxels are not finite, or do not determine a camera.
    """
    _check_raxels(raxels)
    check_reference(reference, raxels.shape[:-3])
    values = raxels.movedim(-3, -1)
    start, focal_determined = _closed_form_cameras(values, reference, center_norm)
    height, width = values.shape[-3:-1]
    step = _thinning(height, width)
    seen = values[..., step // 2 :: step, step // 2 :: step, :]
    thin = Cameras(
        start.world_from_cam, start.focal_px / step, start.center_px / step, *seen.shape[-3:-1]
    )
    thin, residual = refine_cameras(
        thin, seen, iterations=iterations, tolerance=tolerance, shared_focal=shared_focal
    )
    ref_from_world = invert_rigid(thin.world_from_cam[..., reference, :, :])
    anchored = ref_from_world[..., None, :, :] @ thin.world_from_cam
    cameras = Cameras(anchored, thin.focal_px * step, start.center_px, height, width).resized(
        height=height * RASTER_STRIDE, width=width * RASTER_STRIDE
    )
    return RaxelFit(cameras, residual, focal_determined)


def _check_raxels(raxels: Tensor) -> None:
    if raxels.dim() < 4 or raxels.shape[-3] != 3:
        raise InputError(
            f"raxels must have shape ... F 3 h w; got {tuple(raxels.shape)}. "
            "Put frames before the 3 channels."
        )
    if not bool(torch.isfinite(raxels).all()):
        raise InputError(
            "raxels must be finite; got NaN or infinity. "
            "Run the model in float32 or check the trajectory they were drawn from."
        )


def _closed_form_cameras(
    values: Float[Tensor, "*batch frames h w 3"], reference: int, center_norm: tuple[float, float]
) -> tuple[Cameras, Bool[Tensor, "*batch frames"]]:
    """Return the raster's cameras by Eq. 6 and Eq. 7, and where Eq. 7 gave a focal length."""
    height, width = values.shape[-3:-1]
    decoded_reference = values[..., reference, :, :, :]
    pose = procrustes_pose(values, decoded_reference[..., None, :, :, :].expand_as(values))
    center = values.new_tensor([center_norm[0] * width, center_norm[1] * height])
    center = center.expand(*values.shape[:-3], 2)
    focal = focal_from_raxel(values, pose, center)
    # Rays that do not open with the pixels: only noise does this, and refinement needs a start.
    plausible = torch.isfinite(focal) & (focal >= 0.05 * width) & (focal <= 50 * width)
    focal = torch.where(plausible, focal, torch.full_like(focal, float(width)))
    return Cameras(pose, focal, center, height, width), plausible.all(-1)
