"""RealEstate10K: one camera file per clip, and frames that were extracted by somebody else.

Camera files are NAME.txt under PATH (often in train/ and test/). Frames are looked for under
`frames=DIR`, else under PATH and its folders frames, videos and video_clips, beside the camera
file's own subfolder too:

- a folder NAME with images named by their timestamp in microseconds, as the usual extraction
  scripts name them, or with exactly as many images as the file has cameras;
- a video NAME.mp4 with exactly as many frames as cameras, else with a frame at each camera's
  time since the first camera;
- a video ID.mp4 of the whole source, ID from the link in the camera file's first line, with a
  frame at each timestamp.

Nothing is downloaded. The files hold no points: see `scale.py` for what the unit is then.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rays_as_pixels.datasets.frames import ImageFiles, VideoFrames, files_under, images_of
from rays_as_pixels.datasets.sequences import FrameSource, PosedVideo, SequenceRef
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats import load_info

_FOLDERS = (".", "frames", "videos", "video_clips")
_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
_VIDEO_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/)([\w-]{6,})")


def find(root: Path, *, frames: Path | None = None) -> Iterator[SequenceRef]:
    """Find the clips under a folder of camera files.

    Args:
        root: Folder with the camera files, at any depth.
        frames: Folder with the frame folders or videos, if not under `root`.
    """
    for path in files_under(root, "*.txt"):
        if not path.name.startswith(".") and _is_camera_file(path):
            name = path.relative_to(root).with_suffix("").as_posix()
            yield SequenceRef(name, _Loader(path, root, frames, name))


def _is_camera_file(path: Path) -> bool:
    with path.open("rb") as file:
        lines = [file.readline(4096) for _ in range(2)]
    return any(len(line.split()) == 19 for line in lines)


class _Loader:
    def __init__(self, path: Path, root: Path, frames: Path | None, name: str) -> None:
        self.path, self.root, self.frames, self.name = path, root, frames, name

    def __call__(self) -> PosedVideo:
        return read(self.path, root=self.root, frames=self.frames, name=self.name)


def read(
    path: Path, *, root: Path | None = None, frames: Path | None = None, name: str = ""
) -> PosedVideo:
    """Read one camera file and find its frames.

    Args:
        path: The camera file.
        root: Where frames are looked for if `frames` is None; the file's folder if None.
        frames: See `find`.
        name: The sequence's name; the file's if empty.

    Raises:
        InputError: The camera file is broken, or its frames are missing or do not match it.
    """
    name = name or path.stem
    stamps = _stamps(path)
    source = _frames_for(path, root or path.parent, frames, stamps, name)
    height, width = source.size
    loaded = load_info(path, format="re10k", size=(width, height))
    trajectory = loaded.trajectory
    cameras = trajectory.cameras
    if (cameras.height, cameras.width) != (height, width):  # our own header names another size
        cameras = cameras.resized(height=height, width=width)
    timed = len(stamps) < 2 or bool((stamps.diff() > 0).all())
    return PosedVideo(
        name,
        cameras,
        source,
        (stamps - stamps[0]) / 1e6 if timed else None,
        notes=loaded.notes,
    )


def _stamps(path: Path) -> Tensor:
    """Read the timestamps in microseconds; `load_info` then says what else is wrong."""
    rows = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
    rows = [row for row in rows if len(row) == 19]
    try:
        return torch.tensor([float(row[0]) for row in rows], dtype=torch.float64)
    except ValueError:
        raise InputError(
            f"{path.name}: timestamps must be numbers; got another word. Repair the first column."
        ) from None


def _frames_for(
    path: Path, root: Path, frames: Path | None, stamps: Tensor, name: str
) -> FrameSource:
    """Find the frames of a clip."""
    places = _places(path, root, frames)
    for place in places:
        if images := images_of(place / path.stem):
            return _match_images(images, stamps, name)
        if video := _video(place, path.stem):
            source = VideoFrames(video)
            if len(source) == len(stamps):
                return source
            return _at_times(source, (stamps - stamps[0]) / 1e6, name)
    if link := _VIDEO_ID.search(path.read_text("utf-8", "replace").split("\n", 1)[0]):
        for place in places:
            if video := _video(place, link[1]):
                return _at_times(VideoFrames(video), stamps / 1e6, name)
    raise InputError(
        f"{name} must have frames; got neither a folder {path.stem} with images nor a video "
        f"{path.stem}.mp4 under {frames or root}. Extract them, or say where with frames=DIR."
    )


def _video(place: Path, stem: str) -> Path | None:
    paths = (place / f"{stem}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _places(path: Path, root: Path, frames: Path | None) -> list[Path]:
    inner = path.parent.relative_to(root) if path.is_relative_to(root) else Path()
    starts = [frames] if frames is not None else [root, root.parent]
    places = [start / folder for start in starts for folder in _FOLDERS]
    return [place for base in places for place in (base / inner, base) if place.is_dir()]


def _match_images(images: list[Path], stamps: Tensor, name: str) -> FrameSource:
    by_stem = {path.stem.lstrip("0") or "0": path for path in images}
    wanted = [str(int(stamp)) for stamp in stamps.tolist()]
    named = [by_stem[stamp] for stamp in wanted if stamp in by_stem]
    if len(named) == len(stamps) == len(set(wanted)):
        return ImageFiles(tuple(named))
    if len(images) == len(stamps):
        return ImageFiles(tuple(images))
    raise InputError(
        f"{name} must have an image for each of its {len(stamps)} cameras; got {len(images)} "
        f"images, of which {len(named)} are named by a timestamp of the file. Extract exactly the "
        "frames of the camera file."
    )


def _at_times(source: VideoFrames, wanted_sec: Tensor, name: str) -> FrameSource:
    """Take the frames shown at given times of the video.

    Raises:
        InputError: No frame is shown within half a frame of a time, or one would serve twice.
    """
    times = torch.tensor(source.index.time_sec, dtype=torch.float64)
    nearest = (times[None] - wanted_sec[:, None]).abs().argmin(dim=1)
    off_sec = (times[nearest] - wanted_sec).abs()
    limit_sec = 0.5 / source.index.info.fps + 1e-3
    if len(set(nearest.tolist())) < len(wanted_sec) or bool((off_sec > limit_sec).any()):
        raise InputError(
            f"{name}: {source.path.name} must show a frame at the time of each of the "
            f"{len(wanted_sec)} cameras; got {len(source)} frames, the worst "
            f"{float(off_sec.max()):.3f} s away. Cut the video to the clip, or give the whole "
            "source under its video id."
        )
    return replace(source, chosen=tuple(nearest.tolist()))
