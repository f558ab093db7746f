"""What a trajectory file keeps of a shot's estimate beside its cameras."""

import json
from typing import Any

from rays_as_pixels.pipeline.outputs import ShotEstimate
from rays_as_pixels.trajectories.depth import depth_for_extra
from rays_as_pixels.trajectories.formats.native import native_text


def extra_of(shot: ShotEstimate) -> dict[str, Any]:
    """Return what trajectory.json keeps of a shot beside its cameras, JSON types only."""
    extra: dict[str, Any] = {"interpolated": shot.interpolated.nonzero().flatten().tolist()}
    if shot.depth is not None:
        extra |= depth_for_extra(shot.depth)
    if shot.pose_std is not None:
        extra["spread"] = shot.pose_std.to_dict()
    if shot.solution is not None:
        extra["held_out_score"] = shot.solution.score
        extra["candidates"] = [
            {
                "name": one.name,
                "score": None if one.evidence is None else one.evidence.score,
                "frames": one.num_posed,
            }
            for one in shot.solution.candidates
        ]
        extra["chosen"] = shot.solution.chosen
    extra["network_path"] = json.loads(native_text(shot.network))
    return extra
