"""A camera for every frame of a video, whatever its length, with the scene's sparse points.

Not in the paper. The network looks at a few frames of each shot and says which lens took them, how
large the scene is, and what the path may be where nothing can be tracked; the path of every frame
comes from tracks and features by structure from motion (`solve.video`), chosen among candidates by
observations that none was fitted to.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.bars import PictureArea, picture_area
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.frame_stream import FrameStream
from rays_as_pixels.media.sampling import pick_count
from rays_as_pixels.media.thumbnails import Thumbnails
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.estimate import estimate
from rays_as_pixels.pipeline.options import EstimateOptions, FrameTimes, RunOptions
from rays_as_pixels.pipeline.outputs import PoseStd, ShotEstimate, VideoEstimateOutput
from rays_as_pixels.pipeline.stages import encode_video, first_frame_log_depth
from rays_as_pixels.solve.plane_sweep import dense_log_depth
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath

if TYPE_CHECKING:
    from rays_as_pixels.solve.video.shots import ShotPart
    from rays_as_pixels.solve.video.solver import VideoSolution

MAX_SIDE_PX = 1280  # larger frames are reduced to this before they are tracked
_FRAMES_FOR_BARS = 7
_STILL_RAD = 1e-3
_FRAMES_TO_TEST = 4  # observations that a held-out track has at least (`solve.video.evidence`)
_ABOUT_TURNS = {
    True: "The camera stands still: nothing shows its lens, which is the network's guess.",
    False: "The camera only turns: it has no way, and what it sees has no distance.",
}
_SOLVER_PACKAGES = {"cv2": "opencv-python-headless", "pycolmap": "pycolmap"}


def estimate_video(
    pipe: PipelineBase, stream: FrameStream, *, options: EstimateOptions, run: RunOptions
) -> VideoEstimateOutput:
    """Estimate the path of every frame of a stream; see `RaysAsPixelsPipeline.estimate_video`."""
    if len(stream) < 2:
        raise InputError(
            f"a video must have 2 frames or more for a camera path; got {len(stream)} in "
            f"{stream.info.name}. Use a longer part of it."
        )
    picture, thumbnails = _Picture.of(stream), Thumbnails(len(stream))
    missing = [name for module, name in _SOLVER_PACKAGES.items() if find_spec(module) is None]
    if missing:
        note = f"{' and '.join(missing)} must be installed to track the frames; not found here."
        shot = _network_alone(pipe, picture, 0, len(stream), options=options, run=run)
        return VideoEstimateOutput((shot,), (*picture.notes, note), None)
    from rays_as_pixels.solve.video.shots import observe_shots  # noqa: PLC0415 - loads OpenCV

    tracked = partial(run.report, "track frames", total=len(stream))
    parts = observe_shots(map(thumbnails.add, picture.frames()), after_frame=tracked)
    found, first_frames, alone, notes = [], [], 0, list(picture.notes)
    try:
        for first, others in map(_first_of, itertools.groupby(parts, key=lambda part: part.shot)):
            first_frames.append(first.first_frame)
            if len(first) == 1:
                alone += 1
            else:
                found.append(_estimate_shot(pipe, picture, first, others, options=options, run=run))
    except Cancelled:
        if not found:
            raise
    is_stopped = run.is_cancelled and bool(found)
    if is_stopped:
        last = found[-1].first_frame + len(found[-1].trajectory)
        notes.append(f"Stopped: the first {last} of {len(stream)} frames have a camera.")
    if not found:
        notes.append("No two neighbouring frames share anything that can be tracked.")
        found = [_network_alone(pipe, picture, 0, len(stream), options=options, run=run)]
    elif len(first_frames) > 1:
        cuts = ", ".join(str(stream.source_frame[first]) for first in first_frames[1:])
        notes.append(f"Cuts at frames {cuts}: each shot has a path in a world of its own.")
        if alone:
            notes.append(f"{alone} shots of a single frame have no path.")
    pipe.maybe_free_model_hooks()
    return VideoEstimateOutput(tuple(found), tuple(notes), thumbnails.gathered(), is_stopped)


def _first_of(
    shot: tuple[int, Iterator["ShotPart"]],
) -> tuple["ShotPart", Iterator["ShotPart"]]:
    return next(shot[1]), shot[1]


@dataclass(frozen=True)
class _Picture:
    """What the solver sees of the frames: reduced, with square pixels, without black bars.

    Attributes:
        stream: The frames, at the reduced size.
        area: Of the picture in them.
        notes: What was done.
    """

    stream: FrameStream
    area: PictureArea
    notes: tuple[str, ...]

    @classmethod
    def of(cls, stream: FrameStream) -> "_Picture":
        info = stream.info
        wide = info.width * info.pixel_aspect
        scale = min(1.0, MAX_SIDE_PX / max(info.height, wide), 1 / info.pixel_aspect)
        size = (max(2, round(info.height * scale)), max(2, round(wide * scale)))
        reduced = stream.resized(height=size[0], width=size[1])
        count = min(_FRAMES_FOR_BARS, len(stream))
        area = picture_area(reduced.at(pick_count(stream.time_sec, count)))
        notes = stream.notes
        if (area.height, area.width) != size:
            notes = (*notes, f"Black bars left out: the picture is {area.width} x {area.height}.")
        return cls(reduced, area, notes)

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        return map(self.area.of, self.stream)

    def clip(self, places: list[int]) -> Clip:
        clip, area = self.stream.clip(places), self.area
        rows, columns = (
            slice(a, a + n) for a, n in ((area.top, area.height), (area.left, area.width))
        )
        return replace(clip, video=clip.video[..., rows, columns])

    def cameras_of_input(self, cameras: Cameras) -> Cameras:
        """State cameras of the picture for the frames of the input, as large as these are."""
        area, whole = self.area, {"height": self.stream.height, "width": self.stream.width}
        padded = cameras.cropped(top=-area.top, left=-area.left, **whole)
        return padded.resized(height=self.stream.info.height, width=self.stream.info.width)

    def points_of_input(self, points: ScenePoints) -> ScenePoints:
        """State where points are seen for the frames of the input."""
        info = self.stream.info
        scale = np.array([info.width / self.stream.width, info.height / self.stream.height])
        corner = np.array([self.area.left, self.area.top])
        return replace(points, xy_px=(points.xy_px + corner) * scale)

    def map_of_input(self, values: Float[Tensor, "rows columns"]) -> Float[Tensor, "r c"]:
        """State a map over the picture for the whole frame; bars have their neighbours' values."""
        area = self.area
        each = [
            (round(before / size * cells), round((whole - before - size) / size * cells))
            for before, size, whole, cells in (
                (area.left, area.width, self.stream.width, values.shape[1]),
                (area.top, area.height, self.stream.height, values.shape[0]),
            )
        ]
        padding = [side for pair in each for side in pair]
        return torch.nn.functional.pad(values[None, None], padding, mode="replicate")[0, 0]

    def times(self, places: range) -> FrameTimes:
        times = torch.tensor([self.stream.time_sec[k] for k in places], dtype=torch.float64)
        frames = tuple(self.stream.source_frame[k] for k in places)
        return FrameTimes(self.stream.fps, times - times[0], frames)


@dataclass(frozen=True, eq=False)
class _NetworkLook:
    """What the network makes of some frames of a shot.

    Attributes:
        places: Of the frames, counted from the shot's first one.
        clip: These frames.
        cameras: In pixels of the picture, in axes of the first.
        log_depth: Logarithm of the depth of what the model sees of the first; None without a prior.
    """

    places: list[int]
    clip: Clip
    cameras: Cameras
    log_depth: Float[Tensor, "h w"] | None


def _look(
    pipe: PipelineBase, picture: _Picture, first: int, count: int, *, refine: bool, run: RunOptions
) -> _NetworkLook:
    """Let the network estimate the cameras of some frames of a shot, evenly spaced in time."""
    times = picture.stream.time_sec[first : first + count]
    sampled = largest_clip_length(min(pipe.num_frames, count), pipe.codec.temporal_stride)
    places = pick_count(times, max(2, sampled))
    clip = picture.clip([first + place for place in places])
    quiet = replace(run, progress=None)
    options = EstimateOptions(refine=refine, estimate_depth=False)
    run.report("look with the network", 0, 1)
    found = estimate(pipe, clip.video, times=FrameTimes(), options=options, run=quiet)
    resize_crop = ResizeCrop.nearest(clip.video.shape[-2], clip.video.shape[-1], pipe.sizes)
    frames = resize_crop.images(clip.video.to(pipe.execution_device, torch.float32))
    log_depth = first_frame_log_depth(pipe, encode_video(pipe, frames))
    return _NetworkLook(places, clip, found.trajectory.cameras, log_depth)


@torch.no_grad()
def _estimate_shot(
    pipe: PipelineBase,
    picture: _Picture,
    first: "ShotPart",
    others: Iterator["ShotPart"],
    *,
    options: EstimateOptions,
    run: RunOptions,
) -> ShotEstimate:
    from rays_as_pixels.solve.video.long_shot import LongShot  # noqa: PLC0415 - loads COLMAP

    place = first.first_frame
    look = _look(pipe, picture, place, len(first), refine=False, run=run)
    shot = LongShot(
        float(look.cameras.focal_px.median()),
        report=partial(run.report, done=0, total=1),
        check=run.check,
    )
    stopped = False
    try:
        for part in itertools.chain([first], others):
            shot.add(part)
            if run.on_path is not None and (so_far := shot.solution(close_loops=False)):
                run.on_path(so_far.path.centers, len(picture.stream))
    except Cancelled:
        stopped = True
        if not shot.num_frames:
            raise
    count, solution = shot.num_frames, shot.solution(close_loops=not stopped)
    if solution is None:
        return _network_alone(pipe, picture, place, count, options=options, run=run)
    cameras = _cameras(solution.path, picture.area)
    scale = _scale(solution.path, look, picture.area)
    cameras = cameras.scaled(scale)
    depth = _depth(pipe, look, cameras, solution) if options.estimate_depth else None
    times = picture.times(range(place, place + count))
    return ShotEstimate(
        first_frame=place,
        trajectory=_trajectory(picture.cameras_of_input(cameras), times),
        interpolated=torch.from_numpy(solution.interpolated),
        points=_points(picture, solution.path, scale),
        pose_std=_pose_std(solution, scale),
        solution=solution,
        network=_network_path(picture, look, times),
        depth=None if depth is None else picture.map_of_input(depth),
        notes=(*_shot_notes(solution), *shot.notes),
    )


def _network_alone(
    pipe: PipelineBase,
    picture: _Picture,
    first: int,
    count: int,
    *,
    options: EstimateOptions,
    run: RunOptions,
) -> ShotEstimate:
    """Return the network's path of some frames, refined on pixels, and interpolated between."""
    look = _look(pipe, picture, first, count, refine=options.refine, run=run)
    times = picture.times(range(first, first + count))
    path = _network_path(picture, look, times)
    assert times.time_sec is not None
    every = path.sampled_at(times.time_sec, fps=times.fps)
    interpolated = torch.ones(count, dtype=torch.bool)
    interpolated[look.places] = False
    return ShotEstimate(
        first_frame=first,
        trajectory=replace(every, source_frame=times.source_frame),
        interpolated=interpolated,
        points=ScenePoints.none(),
        pose_std=None,
        solution=None,
        network=path,
        depth=None,
        notes=(
            f"{_why_alone(count)}: this is the network's path of {len(look.places)} frames, "
            "interpolated between them.",
        ),
    )


def _why_alone(count: int) -> str:
    if count < _FRAMES_TO_TEST:
        return f"{count} frames are too few to test a path by what was held out"
    return "Nothing could be tracked well enough for a path of every frame"


def _network_path(picture: _Picture, look: _NetworkLook, times: FrameTimes) -> Trajectory:
    assert times.time_sec is not None and times.source_frame is not None
    return Trajectory(
        picture.cameras_of_input(look.cameras.to(dtype=torch.float64)),
        times.fps,
        times.time_sec[look.places],
        tuple(times.source_frame[place] for place in look.places),
    )


def _trajectory(cameras: Cameras, times: FrameTimes) -> Trajectory:
    return Trajectory(cameras, times.fps, times.time_sec, times.source_frame)


def _cameras(path: VideoPath, area: PictureArea) -> Cameras:
    """Return a path as cameras of the picture, in axes of the first one."""
    pose = torch.from_numpy(path.cam_from_world)
    cam_from_world = rigid(pose[:, :, :3], pose[:, :, 3])
    focal = torch.from_numpy(path.focal_px)[:, None].expand(-1, 2)
    center = focal.new_tensor([area.width / 2, area.height / 2]).expand(len(focal), 2)
    cameras = Cameras(invert_rigid(cam_from_world), focal, center, area.height, area.width)
    return cameras.relative_to(0)


def _scale(path: VideoPath, look: _NetworkLook, area: PictureArea) -> float:
    """Return what makes the path's unit the network's: by the depths of what frame 0 shows.

    1 where the camera only turns or the network gives no depths: then the unit is the solver's.
    """
    seen = path.points.point[path.points.frame == 0]
    if path.turns_only or look.log_depth is None or not len(seen):
        return 1.0
    pose = path.cam_from_world[0]
    depth = path.points.xyz[seen] @ pose[2, :3] + pose[2, 3]
    depth = depth[depth > 0]
    return float(look.log_depth.median().exp() / np.median(depth)) if len(depth) else 1.0


def _pose_std(solution: "VideoSolution", scale: float) -> PoseStd | None:
    deviation = solution.deviation
    if deviation is None:
        return None
    rotation = torch.from_numpy(deviation.rotation_rad)
    position = torch.from_numpy(deviation.position) * scale
    return PoseStd(rotation, position, torch.full_like(rotation, deviation.log_focal))


def _points(picture: _Picture, path: VideoPath, scale: float) -> ScenePoints:
    """Return the points in axes and scale of the path, seen in pixels of the input."""
    pose = path.cam_from_world[0]
    xyz = (path.points.xyz @ pose[:, :3].T + pose[:, 3]) * scale
    return picture.points_of_input(replace(path.points, xyz=xyz))


def _depth(
    pipe: PipelineBase, look: _NetworkLook, cameras: Cameras, solution: "VideoSolution"
) -> Float[Tensor, "rows columns"] | None:
    """Return depths over the picture of frame 0; None without a prior for them."""
    if look.log_depth is None:
        return None
    resize_crop = ResizeCrop.nearest(cameras.height, cameras.width, pipe.sizes)
    fine = resize_crop.finer()
    seen = fine.cameras(cameras[torch.tensor(look.places)])
    log_depth = dense_log_depth(
        fine.images(look.clip.video), seen, look.log_depth, inlier_ratio=solution.score
    )
    return fine.restored_map(log_depth).float().exp()


def _stands_still(path: VideoPath) -> bool:
    rotations = torch.from_numpy(path.cam_from_world[:, :, :3])
    return float(rotation_angle_rad(rotations @ rotations[0].T).max()) < _STILL_RAD


def _shot_notes(solution: "VideoSolution") -> tuple[str, ...]:
    notes = []
    if solution.path.turns_only:
        notes.append(_ABOUT_TURNS[_stands_still(solution.path)])
    count = int(solution.interpolated.sum())
    if count:
        notes.append(
            f"{count} of {len(solution.interpolated)} frames see too little that others see: their "
            "cameras are interpolated."
        )
    if solution.is_doubtful:
        notes.append(
            f"The path explains only {solution.score:.0%} of what was tracked beside it: "
            "it may be wrong. Use a shorter part, or more frames per second."
        )
    return tuple(notes)
