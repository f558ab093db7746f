"""Look-at: the rotation of a camera that keeps its optical axis on a point."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

WORLD_DOWN = (0.0, 1.0, 0.0)  # +Y, the OpenCV axes of the reference camera
_POLE_SINE = 1e-4  # closer to the vertical than this, "upright" means nothing


def look_at_rotation(
    centre: Float[Tensor, "frames 3"],
    target: Float[Tensor, "#frames 3"],
    *,
    down: tuple[float, float, float] = WORLD_DOWN,
) -> Float[Tensor, "frames 3 3"]:
    """Aim cameras at points and keep them upright.

    Within 1e-4 rad of the vertical, where upright means nothing, a camera keeps the right-hand
    axis of the frame before it; if it is the first, its right-hand axis leans to world +X (to
    world +Z where +X is the vertical). The result is thus defined for every direction. A path
    that passes over the target still swings round by half a turn, as an upright camera must.

    Args:
        centre: Camera centres, world axes, scene units.
        target: Points to look at, one per camera or one for all.
        down: World direction that appears downwards in the image; any length but zero.

    Returns:
        Rotations world_from_cam; columns are the camera's right, down and forward axes.

    Raises:
        InputError: A centre coincides with its target (closer than 1e-9).
    """
    offset = target - centre
    distance = offset.norm(dim=-1)
    if bool((distance < 1e-9).any()):
        bad = int((distance < 1e-9).nonzero()[0])
        raise InputError(
            f"target must lie away from the camera; got a distance of {distance[bad].item():g} at "
            f"frame {bad}. Move the target off the path."
        )
    forward = offset / distance[:, None]
    vertical = torch.nn.functional.normalize(centre.new_tensor(down), dim=0)
    crossed = torch.linalg.cross(vertical.expand_as(forward), forward)
    sine = crossed.norm(dim=-1)
    right_axis = crossed / sine.clamp_min(1e-300)[:, None]
    side = torch.eye(3, dtype=centre.dtype, device=centre.device)
    before = side[2 if abs(float(vertical[0])) > 0.9 else 0]
    for frame in (sine < _POLE_SINE).nonzero().flatten().tolist():
        kept = right_axis[frame - 1] if frame > 0 else before
        level = kept - (kept @ forward[frame]) * forward[frame]
        right_axis[frame] = level / level.norm()
    return torch.stack([right_axis, torch.linalg.cross(forward, right_axis), forward], dim=-1)
