"""Does a path stay within what a model has seen? Say so before time is spent on it."""

from dataclasses import dataclass

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory


@dataclass(frozen=True)
class TrainingRange:
    """What a model was trained on; the defaults hold 99 % of the default model's training clips.

    Attributes:
        rotation_per_frame_deg: Largest turn between neighbouring frames.
        rotation_total_deg: Largest turn away from frame 0.
        baseline: Furthest distance from frame 0, over the median depth of frame 0.
        step: Longest step between neighbouring frames, over the same depth.
        hfov_deg: Least and greatest horizontal field of view.
        zoom_ratio: Greatest focal length of the clip over its least.
        num_frames: Least and greatest number of frames.
    """

    rotation_per_frame_deg: float = 12.0
    rotation_total_deg: float = 32.0
    baseline: float = 0.75
    step: float = 0.22
    hfov_deg: tuple[float, float] = (35.0, 95.0)
    zoom_ratio: float = 1.25
    num_frames: tuple[int, int] = (5, 17)


@dataclass(frozen=True)
class RangeWarning:
    """One way in which a path leaves the training range.

    Attributes:
        rule: Name of the field of `TrainingRange` that is broken.
        value: Worst value of the path, in the unit of that field.
        limit: The nearest value that is still inside.
        frame: Where the worst value is; the later of two frames for steps.
        message: A sentence for the user, with the remedy.
    """

    rule: str
    value: float
    limit: float
    frame: int
    message: str


def check_range(
    trajectory: Trajectory, training: TrainingRange | None = None, *, scene_depth: float = 1.0
) -> list[RangeWarning]:
    """List how a path leaves the range a model was trained on; an empty list means it does not.

    Args:
        trajectory: In any world frame: everything is measured relative to its frame 0.
        training: The model's range; None takes the default model's.
        scene_depth: Median depth of frame 0, in the path's own unit; 1 for scene units.

    Raises:
        InputError: The depth is not positive.
    """
    if not 0 < scene_depth < 1e9:
        raise InputError(f"scene_depth must be positive; got {scene_depth}. Use 1 if not known.")
    training = training or TrainingRange()
    found = [
        *_rotation_warnings(trajectory, training),
        *_translation_warnings(trajectory, training, scene_depth=scene_depth),
        *_lens_warnings(trajectory, training),
        *_length_warnings(trajectory, training),
    ]
    return found


def _above(rule: str, values: torch.Tensor, limit: float, text: str) -> list[RangeWarning]:
    """Warn of the greatest of one value per frame; `text` has places for value, limit, frame."""
    worst = int(values.argmax())
    value = float(values[worst])
    if value <= limit * (1 + 1e-9):
        return []
    message = text.format(value=value, limit=limit, frame=worst)
    return [RangeWarning(rule, value, limit, worst, message)]


def _rotation_warnings(trajectory: Trajectory, training: TrainingRange) -> list[RangeWarning]:
    rotation = trajectory.cameras.world_from_cam[:, :3, :3].to(torch.float64)
    before = torch.cat([rotation[:1], rotation[:-1]])
    step = torch.rad2deg(rotation_angle_rad(before.transpose(-1, -2) @ rotation))
    total = torch.rad2deg(rotation_angle_rad(rotation[0].T @ rotation))
    return [
        *_above(
            "rotation_per_frame_deg",
            step,
            training.rotation_per_frame_deg,
            "The camera turns {value:.1f} degrees between two frames (at frame {frame}); the model "
            "knows up to {limit:g}. Use more frames or a smaller turn.",
        ),
        *_above(
            "rotation_total_deg",
            total,
            training.rotation_total_deg,
            "The camera turns {value:.1f} degrees away from frame 0 (at frame {frame}); the model "
            "knows up to {limit:g}. Turn less: what comes into view beyond is free invention.",
        ),
    ]


def _translation_warnings(
    trajectory: Trajectory, training: TrainingRange, *, scene_depth: float
) -> list[RangeWarning]:
    centre = trajectory.positions.to(torch.float64) / scene_depth
    before = torch.cat([centre[:1], centre[:-1]])
    return [
        *_above(
            "baseline",
            (centre - centre[0]).norm(dim=-1),
            training.baseline,
            "The camera goes {value:.2f} times the scene's depth away from frame 0 (at frame "
            "{frame}); the model knows up to {limit:g}. Scale the path down.",
        ),
        *_above(
            "step",
            (centre - before).norm(dim=-1),
            training.step,
            "The camera moves {value:.2f} times the scene's depth between two frames (at frame "
            "{frame}); the model knows up to {limit:g}. Use more frames or scale the path down.",
        ),
    ]


def _lens_warnings(trajectory: Trajectory, training: TrainingRange) -> list[RangeWarning]:
    hfov = torch.rad2deg(trajectory.cameras.hfov_rad.to(torch.float64))
    low, high = training.hfov_deg
    focal = trajectory.cameras.focal_px[:, 0].to(torch.float64)
    found = _above(
        "hfov_deg",
        hfov,
        high,
        "The horizontal field of view reaches {value:.1f} degrees (at frame {frame}); the model "
        "knows up to {limit:g}. Narrow it.",
    )
    narrow = int(hfov.argmin())
    if float(hfov[narrow]) < low * (1 - 1e-9):
        message = (
            f"The horizontal field of view falls to {hfov[narrow]:.1f} degrees (at frame "
            f"{narrow}); the model knows from {low:g} on. Widen it."
        )
        found.append(RangeWarning("hfov_deg", float(hfov[narrow]), low, narrow, message))
    widest = focal.min()
    return found + _above(
        "zoom_ratio",
        focal / widest,
        training.zoom_ratio,
        "The zoom changes by a factor of {value:.2f} (longest at frame {frame}); the model knows "
        "up to {limit:g}. Move the camera instead, or zoom less.",
    )


def _length_warnings(trajectory: Trajectory, training: TrainingRange) -> list[RangeWarning]:
    count = len(trajectory)
    low, high = training.num_frames
    nearest = min(max(low, count), high)
    if count == nearest:
        return []
    message = (
        f"The path has {count} frames; the model was trained on {low} to {high}. "
        f"Resample it to {nearest}."
    )
    return [RangeWarning("num_frames", float(count), float(nearest), count - 1, message)]
