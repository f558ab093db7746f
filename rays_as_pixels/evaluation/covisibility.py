"""Which pixels of a frame the source frame saw: the only ones a copy of it can be judged on."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.rays import rays_in_cam

DEPTH_TOLERANCE = 0.05  # relative; looser than a pixel's slant, tighter than an occluder's gap


def seen_by_reference(
    depth: Float[Tensor, "frames H W"], cameras: Cameras, *, reference: int = 0
) -> Bool[Tensor, "frames H W"]:
    """Return True where the surface at a pixel was visible in the reference frame.

    Each pixel is lifted to its 3D point, projected into the reference frame, and kept if it falls
    on the image in front of the camera and its depth there agrees with the depth map (nearest
    pixel) to 5 %. Holds for scenes that do not move.

    Args:
        depth: z in camera axes, same unit as the camera centres.
        cameras: (F,) in pixels of the depth maps.
        reference: The source frame.
    """
    cameras = cameras.to(dtype=depth.dtype, device=depth.device)
    height, width = depth.shape[-2:]
    ray = rays_in_cam(cameras.focal_px, cameras.center_px, height=height, width=width)
    point_in_cam = ray / ray[..., 2:] * depth[..., None]
    ref_from_world = invert_rigid(cameras.world_from_cam[reference])
    ref_from_cam = ref_from_world @ cameras.world_from_cam
    point = torch.einsum("fij,fhwj->fhwi", ref_from_cam[:, :3, :3], point_in_cam)
    point = point + ref_from_cam[:, None, None, :3, 3]
    z = point[..., 2]
    pixel = point[..., :2] / z.clamp_min(1e-6)[..., None]
    pixel = pixel * cameras.focal_px[reference] + cameras.center_px[reference]
    x, y = pixel[..., 0].floor().long(), pixel[..., 1].floor().long()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    there = depth[reference][y.clamp(0, height - 1), x.clamp(0, width - 1)]
    # Points behind the reference have negative z and so disagree with every depth there.
    return inside & ((z / there - 1).abs() < DEPTH_TOLERANCE)
