"""The unit of a clip: one scene unit is the median depth of its first frame.

Rules, by name (`unit=` of a data set):

- points: the median depth of the points that the first frame saw, within its crop.
- path: the furthest camera centre from the first one is 1. Says nothing about depth, so a network
  cannot learn scale from it; a clip that does not move keeps the data set's unit.
- a number: so many of the data set's own units are one scene unit.
- auto: points where a sequence has them, else path.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.sequences import (
    PosedVideo,
    ScenePoints,
    points_in_camera,
    projected,
)
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras

FEWEST_POINTS = 12  # a median of fewer moves with every one of them
RULES = ("auto", "points", "path")
_STILL = 1e-9


@dataclass(frozen=True)
class Unit:
    """How a clip's translations are made scene units.

    Attributes:
        rule: "points", "path" or "stated", the rule that was applied.
        length: Of one scene unit, in the data set's own unit.
    """

    rule: str
    length: float


def check_rule(rule: str) -> None:
    """Refuse a rule that is neither in RULES nor a positive number.

    Raises:
        InputError: It is neither.
    """
    if rule in RULES:
        return
    try:
        fine = 0 < float(rule) < 1e12
    except ValueError:
        fine = False
    if not fine:
        raise InputError(
            f"unit must be {', '.join(RULES)} or a positive number; got {rule!r}. Use auto."
        )


def unit_of(
    video: PosedVideo, cameras: Cameras, reference: int, centers: Tensor, rule: str
) -> Unit:
    """Settle the unit of a clip.

    Args:
        video: The sequence that the clip is cut from.
        cameras: The sequence's cameras, stated for the clip's crop.
        reference: Frame of the sequence that is the clip's first.
        centers: (F, 3) the clip's camera centres, reference first, in the data set's unit.
        rule: See the module.

    Raises:
        InputError: The rule is "points" and too few points are in view.
    """
    if rule not in RULES:
        return Unit("stated", float(rule))
    if rule != "path" and video.points is not None:
        depth = reference_depth(video.points, cameras, reference)
        if depth is not None:
            return Unit("points", depth)
    if rule == "points":
        raise InputError(
            f"{video.name}: frame {reference} must see {FEWEST_POINTS} points for its unit; got "
            "fewer. Use unit=auto, or pack the data set, which triangulates points."
        )
    extent = float((centers - centers[:1]).norm(dim=-1).max())
    return Unit("path", extent if extent > _STILL else 1.0)


def reference_depth(points: ScenePoints, cameras: Cameras, frame: int) -> float | None:
    """Return the median depth of the points that a frame shows; None where that is unknown.

    Points that the frame itself saw come first. Where these are too few in view, those seen in the
    nearest frames count as well, as far as they lie in view.

    Args:
        points: Of the scene.
        cameras: (N,) of the sequence, for the images (or their crop) in question.
        frame: Which of them.
    """
    if points.frame is None:
        depth = _depths_in_view(points.xyz, cameras[frame])
        return float(depth.median()) if len(depth) >= FEWEST_POINTS else None
    with_points = points.frames_with_points
    order = with_points[(with_points - frame).abs().argsort(stable=True)].tolist()
    found: list[Tensor] = []
    for other in order:
        found.append(_depths_in_view(points.seen_in(other), cameras[frame]))
        if sum(map(len, found)) >= FEWEST_POINTS:
            return float(torch.cat(found).median())
    return None


def _depths_in_view(xyz: Float[Tensor, "points 3"], camera: Cameras) -> Float[Tensor, "seen"]:
    local = points_in_camera(xyz, camera.world_from_cam.to(xyz.dtype))
    pixel = projected(local, camera.focal_px.to(xyz.dtype), camera.center_px.to(xyz.dtype))
    inside = (pixel > 0) & (pixel < pixel.new_tensor([camera.width, camera.height]))
    return local[inside.all(dim=-1), 2]
