"""Long shots: solved part by part, so that memory and time per frame stay the same, and joined.

Each part is right up to a similarity of its own. The ratio of two neighbours' units is the median
ratio of the depths of the points that both see in the frames they share, which a camera that
hardly moves tells too; then all parts are joined at once (`solve.window_alignment`), closed loops
among them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation, rotation_angle_rad
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath, mixed_poses
from rays_as_pixels.solve.video.solver import VideoSolution
from rays_as_pixels.solve.video.uncertainty import PathDeviation
from rays_as_pixels.solve.window_alignment import JoinedPath, Window, join_windows

_TIES = 8  # frames that stand for what two parts share
_MIN_SHARED_POINTS = 10  # seen by both parts in one frame, for the ratio of their units


@dataclass(frozen=True, eq=False)
class SolvedPart:
    """A part of a shot and its path.

    Attributes:
        first_frame: Place of its first frame in the shot.
        solution: The path, in a world and a unit of its own.
        unit: How many of the first part's units its own is.
    """

    first_frame: int
    solution: VideoSolution
    unit: float = 1.0

    @property
    def frames(self) -> range:
        """Return which frames of the shot it has."""
        return range(self.first_frame, self.first_frame + len(self.solution.interpolated))

    @classmethod
    def after(
        cls, before: "SolvedPart | None", first_frame: int, solution: VideoSolution
    ) -> "SolvedPart":
        """Return the part that follows another one, its unit told by what both see."""
        part = cls(first_frame, solution)
        if before is None:
            return part
        return replace(part, unit=before.unit * _ratio_of_units(before, part))

    def window(self, frames: Sequence[int]) -> Window:
        """Return the cameras of some frames of the shot, in the first part's unit."""
        rows = torch.tensor([frame - self.first_frame for frame in frames])
        pose = torch.from_numpy(self.solution.path.cam_from_world)[rows]
        focal = torch.from_numpy(self.solution.path.focal_px)[rows, None].expand(-1, 2)
        cam_from_world = rigid(pose[:, :, :3], pose[:, :, 3] * self.unit)
        nowhere = torch.zeros_like(focal)  # centre and size of the images play no part
        return Window(tuple(frames), Cameras(invert_rigid(cam_from_world), focal, nowhere, 1, 1))


@dataclass(frozen=True, eq=False)
class _Placement:
    """The similarity that takes a part's world to the shot's: X' = scale R X + shift."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]
    turn_off_rad: float
    way_off: float

    def points(self, xyz: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        return self.scale * xyz @ self.rotation.T + self.shift


def join_parts(parts: Sequence[SolvedPart], loops: Sequence[Window] = ()) -> VideoSolution:
    """Join the parts of one shot, in order, each of which shares frames with the next.

    Args:
        parts: All of them, the first from frame 0 on.
        loops: Cameras of frames from different times that see the same place, each window in a
            world and a unit of its own; such as disagree with the path lose their weight.

    Returns:
        A solution of all frames, in the first part's axes and unit; one part is returned as it is.
        A frame that two parts share moves from the one's pose to the other's across the overlap.
    """
    if len(parts) == 1:
        return parts[0].solution
    placements = _placements(parts, loops)
    num_frames = parts[-1].frames.stop
    poses, focal_px = np.empty((num_frames, 3, 4)), np.empty(num_frames)
    interpolated = np.empty(num_frames, bool)
    for number, (part, place) in enumerate(zip(parts, placements, strict=True)):
        own = _placed(part.solution.path, place)
        shared = parts[number - 1].frames.stop - part.first_frame if number else 0
        frames = np.array(part.frames)
        if shared > 0:
            both = frames[:shared]
            share = (np.arange(shared) + 1) / (shared + 1)
            poses[both] = mixed_poses(poses[both], own[:shared], share)
        poses[frames[max(shared, 0) :]] = own[max(shared, 0) :]
        owned = frames >= _start_of(parts, number)
        focal_px[frames[owned]] = part.solution.path.focal_px[owned]
        interpolated[frames[owned]] = part.solution.interpolated[owned]
    solutions = [part.solution for part in parts]
    points = _joined_points(parts, placements)
    turns_only = all(one.path.turns_only for one in solutions)
    weights = [len(one.interpolated) for one in solutions]
    return VideoSolution(
        VideoPath(poses, focal_px, points, turns_only),
        interpolated,
        tuple(one for solution in solutions for one in solution.candidates),
        f"{len(parts)} parts",
        float(np.average([one.score for one in solutions], weights=weights)),
        _joined_deviation(parts, placements),
    )


def _start_of(parts: Sequence[SolvedPart], number: int) -> int:
    """Return the first frame that is a part's own: the middle of what it shares with the last."""
    if number == 0:
        return 0
    return (parts[number].first_frame + parts[number - 1].frames.stop) // 2


def _owned(parts: Sequence[SolvedPart], number: int) -> slice:
    """Return a part's own frames, counted from its first."""
    last = number + 1 == len(parts)
    end = parts[number].frames.stop if last else _start_of(parts, number + 1)
    first = parts[number].first_frame
    return slice(_start_of(parts, number) - first, end - first)


def _placements(parts: Sequence[SolvedPart], loops: Sequence[Window]) -> list[_Placement]:
    ties = [_ties(before, after) for before, after in itertools.pairwise(parts)]
    of_part = [
        _merged(ties[k - 1] if k else [0], ties[k] if k < len(ties) else [])
        for k in range(len(parts))
    ]
    for loop in loops:
        for frame in loop.frames:
            number = next(k for k, part in enumerate(parts) if frame < part.frames.stop)
            of_part[number] = _merged(of_part[number], [frame])
    every = sorted({frame for frames in of_part for frame in frames})
    place = {frame: position for position, frame in enumerate(every)}
    windows = [part.window(frames) for part, frames in zip(parts, of_part, strict=True)]
    windows += [_in_units_of(loop, windows) for loop in loops]
    renumbered = [replace(one, frames=tuple(place[k] for k in one.frames)) for one in windows]
    joined = join_windows(renumbered, len(every))
    return [
        _placement(joined, window, scale=float(joined.scale[number]), unit=parts[number].unit)
        for number, window in enumerate(renumbered[: len(parts)])
    ]


def _merged(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return sorted({*first, *second})


def _in_units_of(loop: Window, windows: Sequence[Window]) -> Window:
    """Scale a loop's window so that it is as large as what the window of its first frame sees."""
    own = next(one for one in windows if loop.frames[0] in one.frames)
    shared = [frame for frame in loop.frames if frame in own.frames]
    extents = [
        float(centers.std(0, correction=0).norm())
        for one in (own, loop)
        for centers in [one.cameras.world_from_cam[[one.frames.index(k) for k in shared], :3, 3]]
    ]
    if min(extents) < 1e-9:
        return loop
    return replace(loop, cameras=loop.cameras.scaled(extents[0] / extents[1]))


def _ratio_of_units(before: SolvedPart, after: SolvedPart) -> float:
    """Return how many of `before`'s units one of `after`'s is: the median over shared points.

    1 where they share too few: a camera that only turns, or points of none.
    """
    depths = [_depths_by_place(part, after.first_frame) for part in (before, after)]
    both = [place for place in depths[1] if place in depths[0]]
    if len(both) < _MIN_SHARED_POINTS:
        return 1.0
    return float(np.median([depths[0][place] / depths[1][place] for place in both]))


def _depths_by_place(part: SolvedPart, first_frame: int) -> dict[tuple[int, float, float], float]:
    """Return the depths of what is seen from a frame on, by frame and place in it."""
    path = part.solution.path
    points = path.points
    rows = np.flatnonzero(points.frame >= first_frame - part.first_frame)
    rows = rows[points.frame[rows] < first_frame - part.first_frame + len(path.focal_px)]
    pose = path.cam_from_world[points.frame[rows]]
    xyz = points.xyz[points.point[rows]]
    depth = np.einsum("nj,nj->n", pose[:, 2, :3], xyz) + pose[:, 2, 3]
    frame = points.frame[rows] + part.first_frame
    return {
        (int(f), float(x), float(y)): float(d)
        for f, (x, y), d in zip(frame, points.xy_px[rows], depth, strict=True)
        if d > 0
    }


def _ties(before: SolvedPart, after: SolvedPart) -> list[int]:
    """Return some frames that both have, such as are interpolated in neither where there are."""
    shared = np.arange(after.first_frame, before.frames.stop)
    unsure = (
        before.solution.interpolated[shared - before.first_frame]
        | after.solution.interpolated[shared - after.first_frame]
    )
    shared = shared[~unsure] if (~unsure).sum() >= 2 else shared
    chosen = np.linspace(0, len(shared) - 1, min(_TIES, len(shared))).round().astype(int)
    return [int(frame) for frame in shared[chosen]]


def _placement(joined: JoinedPath, window: Window, *, scale: float, unit: float) -> _Placement:
    """Return the similarity that takes a window best onto the joined path; its own unit was 1."""
    there = joined.cameras[torch.tensor(window.frames)]
    here, target = (one.world_from_cam.double() for one in (window.cameras, there))
    turns = target[:, :3, :3] @ here[:, :3, :3].mT
    rotation = nearest_rotation(turns.sum(0))
    shifted = target[:, :3, 3] - scale * here[:, :3, 3] @ rotation.mT
    shift = shifted.mean(0)
    turn_off = rotation_angle_rad(turns @ rotation.mT).square().mean().sqrt()
    way_off = (shifted - shift).norm(dim=1).square().mean().sqrt()
    return _Placement(
        scale * unit, rotation.numpy(), shift.numpy(), float(turn_off), float(way_off)
    )


def _placed(path: VideoPath, place: _Placement) -> Float[np.ndarray, "F 3 4"]:
    rotation = path.cam_from_world[:, :, :3] @ place.rotation.T
    translation = -np.einsum("fij,fj->fi", rotation, place.points(path.centers))
    return np.concatenate([rotation, translation[:, :, None]], axis=2)


def _joined_points(parts: Sequence[SolvedPart], placements: Sequence[_Placement]) -> ScenePoints:
    """Put the points of all parts together, each as its part's own frames see it."""
    each, count = [], 0
    for number, (part, place) in enumerate(zip(parts, placements, strict=True)):
        points, own = part.solution.path.points, _owned(parts, number)
        rows = (points.frame >= own.start) & (points.frame < own.stop)
        kept, index = _seen_twice(points.point[rows], len(points))
        rows = np.flatnonzero(rows)[index[points.point[rows]] >= 0]
        each.append(
            ScenePoints(
                xyz=place.points(points.xyz[kept]),
                rgb=points.rgb[kept],
                point=index[points.point[rows]] + count,
                frame=points.frame[rows] + part.first_frame,
                xy_px=points.xy_px[rows],
            )
        )
        count += len(kept)
    names = ("xyz", "rgb", "point", "frame", "xy_px")
    return ScenePoints(*(np.concatenate([getattr(one, name) for one in each]) for name in names))


def _seen_twice(
    point: Int[np.ndarray, "n"], count: int
) -> tuple[Int[np.ndarray, "kept"], Int[np.ndarray, "P"]]:
    """Return the points that occur twice or more, and for each of all its place there or -1."""
    often: Bool[np.ndarray, "P"] = np.bincount(point, minlength=count) >= 2
    index = np.where(often, np.cumsum(often) - 1, -1)
    return np.flatnonzero(often), index


def _joined_deviation(
    parts: Sequence[SolvedPart], placements: Sequence[_Placement]
) -> PathDeviation | None:
    """Return each part's own deviations, and those of all joints from the middle part to it.

    None where no part has any; a part without may be anywhere that the others are.
    """
    known = [part.solution.deviation for part in parts]
    focals = [one.log_focal for one in known if one is not None]
    if not focals:
        return None
    middle, rotations, positions = len(parts) // 2, [], []
    extent = max(place.scale * _extent(part) for part, place in zip(parts, placements, strict=True))
    for number, (one, place) in enumerate(zip(known, placements, strict=True)):
        own = _owned(parts, number)
        joints = range(min(number, middle), max(number, middle))
        turn, way = np.sum([_joint(parts, placements, k) for k in joints] or [(0, 0)], axis=0)
        count = own.stop - own.start
        rotation = np.full(count, np.pi / 2) if one is None else one.rotation_rad[own]
        position = np.full(count, extent) if one is None else place.scale * one.position[own]
        rotations.append(np.sqrt(rotation**2 + turn))
        positions.append(np.sqrt(position**2 + way))
    return PathDeviation(
        np.concatenate(rotations), np.concatenate(positions), float(np.median(focals))
    )


def _joint(
    parts: Sequence[SolvedPart], placements: Sequence[_Placement], number: int
) -> tuple[float, float]:
    """Return variances of angle (radians) and place from a part to the next.

    How far the joint disagrees, and what each of the two knows of the frames they share.
    """
    turn, way = placements[number].turn_off_rad ** 2, placements[number].way_off ** 2
    shared = range(parts[number + 1].first_frame, parts[number].frames.stop)
    for part, place in zip(
        parts[number : number + 2], placements[number : number + 2], strict=True
    ):
        if part.solution.deviation is not None:
            rows = slice(shared.start - part.first_frame, shared.stop - part.first_frame)
            turn += float(np.mean(part.solution.deviation.rotation_rad[rows] ** 2))
            way += float(np.mean((place.scale * part.solution.deviation.position[rows]) ** 2))
    return turn, way


def _extent(part: SolvedPart) -> float:
    centers = part.solution.path.centers
    return float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
