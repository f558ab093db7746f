"""The path of every frame of a shot: candidates from several ways, the best of them by evidence.

No way is right on every clip: tracks alone bend where a clip turns fast, features find nothing on
bare walls, a mapper started with a wrong lens ends in a wrong path that looks complete, and a
camera that only turns has no scene to triangulate. All are judged by observations that none was
fitted to.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.solve.video.evidence import Evidence, HeldOut
from rays_as_pixels.solve.video.mapping import MapperOptions, map_video
from rays_as_pixels.solve.video.observations import Observations, observe
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath, mixed_poses
from rays_as_pixels.solve.video.turning import turning_path
from rays_as_pixels.solve.video.uncertainty import PathDeviation, path_deviation
from rays_as_pixels.solve.video.watching import run_watched

ENOUGH = 0.8  # score from which on no other candidate is tried
DOUBTFUL = 0.6  # score below which a path is likely to be wrong
_DEFAULT_FOCAL = 1.2  # of the longer side, where nothing is known: COLMAP's own default
_OTHER_FOCALS = (0.7, 1.4, 0.5)  # of the longer side: lenses of 90 to 39 degrees
_SAME_SCORE = 0.02  # between two candidates that found the same path
_SAME_TURN_RAD = np.deg2rad(1.0)
_SAME_FOCAL = 1.1  # a start within this factor of one that was tried is left out


def _silent(*_: str) -> None:
    """Hear nothing, and never stop."""


@dataclass(frozen=True)
class Candidate:
    """One way to a path, and how it did.

    Attributes:
        name: What was run, with the focal length it started from.
        evidence: None where it found no path.
        num_posed: Frames that got a pose.
        duration_sec: How long it took.
    """

    name: str
    evidence: Evidence | None
    num_posed: int
    duration_sec: float


@dataclass(frozen=True, eq=False)
class VideoSolution:
    """A path with a pose for every frame, and how it was found.

    Attributes:
        path: The best candidate's; frames that it left unposed are interpolated.
        interpolated: (F,) which frames these are.
        candidates: All that were tried, in order.
        chosen: Name of the best.
        score: `Evidence.score` of the best.
        deviation: How sure its cameras are; None where too little is seen to tell.
    """

    path: VideoPath
    interpolated: Bool[np.ndarray, "F"]
    candidates: tuple[Candidate, ...]
    chosen: str
    score: float
    deviation: PathDeviation | None

    @property
    def is_doubtful(self) -> bool:
        """Tell whether the path explains so little of what was held out that it may be wrong."""
        return self.score < DOUBTFUL


def solve_video(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    focal_px: float | None = None,
    after_frame: Callable[[int], None] | None = None,
    report: Callable[[str], None] = _silent,
) -> VideoSolution | None:
    """Find a camera for every frame of a single shot; see `observe` and `solve_observations`.

    Raises:
        InputError: There are fewer than two frames.
    """
    observations = observe(frames, after_frame=after_frame)
    return solve_observations(observations, focal_px=focal_px, report=report)


def solve_observations(
    observations: Observations,
    *,
    focal_px: float | None = None,
    focal_is_known: bool = False,
    report: Callable[[str], None] = _silent,
    check: Callable[[], None] = _silent,
) -> VideoSolution | None:
    """Find a camera for every frame of a shot.

    Args:
        observations: Of the shot.
        focal_px: A first guess of the focal length, in pixels of the frames.
        focal_is_known: Whether it was found already, in another part of the shot: then it is held
            at first.
        report: Called with the name of what is tried next; may raise to stop.
        check: Called several times a second; may raise to stop. What runs then is left to end by
            itself.

    Returns:
        None where no way leads to a path: nothing to track, or too few frames see the same.

    Raises:
        InputError: There are fewer than two frames.
    """
    if len(observations.tracks) < 2:
        raise InputError(
            f"a shot must have 2 frames or more for a camera path; got {len(observations.tracks)}. "
            "Use a longer part of the clip."
        )
    judge, found = HeldOut(observations).judge, []
    for name, run in _ways(observations, focal_px, focal_is_known=focal_is_known):
        report(name)
        start = time.monotonic()
        path = run_watched(run, check)
        evidence = None if path is None else judge(path)
        posed = 0 if path is None else int(path.posed.sum())
        found.append((Candidate(name, evidence, posed, time.monotonic() - start), path))
        if _settled(found):
            break
    best = max(found, key=_score)
    name, path, score = best[0].name, best[1], _score(best)
    if path is None or score <= 0:
        return None
    filled, interpolated = with_all_poses(path)
    candidates = tuple(one for one, _ in found)
    deviation = path_deviation(filled, observations, interpolated=interpolated, score=score)
    return VideoSolution(filled, interpolated, candidates, name, score, deviation)


def _score(tried: tuple[Candidate, VideoPath | None]) -> float:
    evidence = tried[0].evidence
    return 0.0 if evidence is None else evidence.score


def held_still(count: int, focal_px: float) -> VideoSolution:
    """Return what stands for frames of a long shot of which nothing is known."""
    poses = np.tile(np.eye(3, 4), (count, 1, 1))
    path = VideoPath(poses, np.full(count, focal_px), ScenePoints.none(), turns_only=True)
    return VideoSolution(path, np.ones(count, bool), (), "none", 0.0, None)


def _settled(found: list[tuple[Candidate, VideoPath | None]]) -> bool:
    """Tell whether the last candidate needs no other beside it.

    It explains enough, or it agrees with the best of those before: two ways that started from
    different lenses and end in one path are right together or wrong together.
    """
    last, path = found[-1]
    if path is None or last.evidence is None or not path.posed.all():
        return False
    if last.evidence.score >= ENOUGH:
        return True
    others = [
        (one.evidence.score, other)
        for one, other in found[:-1]
        if one.evidence is not None and other is not None and other.posed.all()
    ]
    if not others or last.evidence.score < DOUBTFUL:
        return False
    score, best = max(others, key=lambda pair: pair[0])
    return abs(score - last.evidence.score) < _SAME_SCORE and _turns_agree(path, best)


def _turns_agree(first: VideoPath, second: VideoPath) -> bool:
    """Tell whether two paths turn alike: every frame against the first, to a degree."""
    a, b = (one.cam_from_world[:, :, :3] for one in (first, second))
    between = (a @ a[0].T) @ np.swapaxes(b @ b[0].T, 1, 2)
    return float(rotation_angle_rad(torch.from_numpy(between)).max()) < _SAME_TURN_RAD


def _ways(
    observations: Observations, focal_px: float | None, *, focal_is_known: bool = False
) -> list[tuple[str, Callable[[], VideoPath | None]]]:
    """Return what to try, the most promising first, as names and functions."""
    longer = max(observations.tracks.height, observations.tracks.width)
    guess = _DEFAULT_FOCAL * longer if focal_px is None else focal_px
    first = MapperOptions(guess)
    ways = [("global", first)]
    tried = [guess]
    for share in _OTHER_FOCALS:
        if all(abs(np.log(share * longer / one)) > np.log(_SAME_FOCAL) for one in tried):
            tried.append(share * longer)
            ways.append((f"global, focal length {share:g}", replace(first, focal_px=tried[-1])))
    held = ("global, focal length held", replace(first, refine_focal=False))
    incremental = ("incremental", replace(first, mapper="incremental"))
    ways = [held, ways[0], incremental] if focal_is_known else [*ways, held, incremental]
    mapped = [(name, partial(map_video, observations, options)) for name, options in ways]
    turning = partial(turning_path, observations, guess, refine_focal=not focal_is_known)
    return [mapped[0], ("turning", turning), *mapped[1:]]


def with_all_poses(path: VideoPath) -> tuple[VideoPath, Bool[np.ndarray, "F"]]:
    """Interpolate the poses of frames that have none, and tell which these are.

    Rotations along the shortest arc, centres along a line; before the first pose and after the last
    the camera stands still.
    """
    posed = np.flatnonzero(path.posed)
    missing = ~path.posed
    if not missing.any():
        return path, missing
    frames = np.arange(len(missing))
    after = np.clip(np.searchsorted(posed, frames), 0, len(posed) - 1)
    before = np.clip(np.searchsorted(posed, frames, side="right") - 1, 0, len(posed) - 1)
    a, b = posed[before], posed[after]
    share = np.where(b > a, (frames - a) / np.maximum(b - a, 1), 0.0)
    poses = mixed_poses(path.cam_from_world[a], path.cam_from_world[b], share)
    poses[posed] = path.cam_from_world[posed]
    return replace(path, cam_from_world=poses), missing
