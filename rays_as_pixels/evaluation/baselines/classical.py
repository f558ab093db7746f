"""Classical baselines: one interface, and failures that count.

A baseline gets the same frames as the pipeline, at the clip's own size. Where it fails, its answer
is the identity path (or, for single frames that it lost, the pose of the nearest frame that it
has), the failure is counted, and the clip stays in every mean.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import PathResult
from rays_as_pixels.geometry.cameras import Cameras


class BaselineFailure(Exception):  # noqa: N818 - a result to be counted, not a fault
    """The baseline could not estimate a path; the message says why."""


@dataclass(frozen=True)
class BaselineEstimate:
    """Cameras of all frames, and how many of them were lost and filled from a neighbour."""

    cameras: Cameras
    lost_frames: int = 0


Estimator = Callable[[Float[Tensor, "frames 3 H W"], Cameras | None], BaselineEstimate]


@dataclass(frozen=True)
class ClassicalBaseline:
    """A classical estimator.

    Attributes:
        name: Label of its row.
        package: Python package it needs.
        knows_intrinsics: True if it is given the true focal length and principal point.
        estimate: (video, cameras or None) to answer; the cameras give intrinsics only, and are None
            unless `knows_intrinsics`.
        note: One sentence on how it works.
    """

    name: str
    package: str
    knows_intrinsics: bool
    estimate: Estimator
    note: str

    @property
    def installed(self) -> bool:
        """Whether its package can be imported."""
        return find_spec(self.package) is not None


def run_baseline(baseline: ClassicalBaseline, clip: EvalClip) -> PathResult:
    """Run a baseline on one clip; a failure becomes the identity path and a reason."""
    truth = clip.trajectory().cameras
    failure = None
    start = time.perf_counter()
    try:
        answer = baseline.estimate(clip.video, truth if baseline.knows_intrinsics else None)
        cameras = answer.cameras.to(dtype=truth.focal_px.dtype)
        if answer.lost_frames:
            failure = f"{answer.lost_frames} of {len(clip.video)} frames lost"
    except Exception as error:  # whatever stops a foreign estimator is its failure
        cameras = identity_cameras(truth)
        failure = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    return PathResult(
        cameras, seconds, failure, knows_intrinsics=baseline.knows_intrinsics, knows_scale=False
    )


def fill_lost(world_from_cam: "list[Tensor | None]") -> tuple[Float[Tensor, "frames 4 4"], int]:
    """Give every lost frame (None) the pose of the nearest frame that has one, the earlier on ties.

    Raises:
        BaselineFailure: No frame has a pose.
    """
    known = [k for k, pose in enumerate(world_from_cam) if pose is not None]
    if not known:
        raise BaselineFailure("no frame was registered")
    nearest = [min(known, key=lambda k: abs(k - j)) for j in range(len(world_from_cam))]
    filled = torch.stack([pose for k in nearest if (pose := world_from_cam[k]) is not None])
    return filled, len(world_from_cam) - len(known)
