"""Results by reference: those of jobs, and those of the examples that come with the project."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.examples import Example
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.estimate_every_frame import THUMBNAILS
from rays_as_pixels.app.jobs.frame_files import load_frames
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobRecord, JobState
from rays_as_pixels.app.page.filmstrip import sprite
from rays_as_pixels.app.server.session import is_example
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.container import FrameMissingError
from rays_as_pixels.media.video import Request, open_frames, read_clip

RAXELS = "raxels.npy"
POSTER_PX = 108  # of height: upright ones are shown 60 pixels wide


@dataclass(frozen=True)
class Result:
    """What came out of a job or is shipped with an example.

    Attributes:
        reference: A job's id, or "example:NAME/KIND".
        kind: "estimate", "generate", "imagine" or "loop".
        folder: Where its files are.
        settings: What was asked for.
        results: File names in the folder, and numbers.
        state: Where its job stands; done for shipped ones.
        created_unix: When it was asked for.
        duration_sec: How long it took, None if not known.
        made_with: What made a shipped result, "" for the visitor's own.
        example: The example it belongs to, None for a job.
        message: Why it did not finish.
    """

    reference: str
    kind: str
    folder: Path
    settings: dict[str, Any]
    results: dict[str, Any]
    state: JobState = JobState.DONE
    created_unix: float = 0.0
    duration_sec: float | None = None
    made_with: str = ""
    example: Example | None = None
    message: str = field(default="", repr=False)

    def file(self, name: str) -> Path | None:
        """Return a file of the result if it is there."""
        path = self.folder / name
        return path if name and path.is_file() else None

    @property
    def is_denoised(self) -> bool:
        """Whether noise was denoised for it, so that seed and steps made a difference."""
        return not self.of_every_frame and bool(self.results.get("denoised", True))

    @property
    def of_every_frame(self) -> bool:
        """Whether it is an estimate of every frame, which takes no steps and no seed."""
        return self.kind == "estimate" and self.settings.get("num_frames", 0) is None

    @property
    def sampled(self) -> tuple[int, ...]:
        """Frames of the path whose pictures are kept, where these are not all; else empty."""
        return tuple(self.results.get("sampled", ()))

    @property
    def video(self) -> Path | None:
        """The generated video; the unfinished one of a job that was stopped."""
        return self.file(tasks.VIDEO) or self.file(str(self.results.get("partial_video", "")))


class Library:
    """Finds results.

    Args:
        manager: Of the jobs.
        examples: With what is shipped of them.
    """

    def __init__(self, manager: JobManager, examples: Sequence[Example]) -> None:
        self.manager = manager
        self.examples = {example.name: example for example in examples}
        self.points: dict[str, Any] = {}  # triangulated ones by reference, see `points`

    def find(self, reference: str, visitor: str) -> Result | None:
        """Return a result of this visitor, or a shipped one; another's does not exist for them."""
        if is_example(reference):
            return self._shipped(reference)
        record = self.manager.find(reference, owner=visitor) if reference else None
        return None if record is None else self.of_job(record)

    def of_job(self, record: JobRecord) -> Result:
        """Return a job's results as they stand."""
        return Result(
            reference=record.id,
            kind=record.kind,
            folder=self.manager.folder(record.id),
            settings=record.settings,
            results=record.results,
            state=record.state,
            created_unix=record.created_unix,
            duration_sec=record.duration_sec,
            message=record.message,
        )

    def history(self, visitor: str, *, most: int = 24) -> list[Result]:
        """Return the visitor's finished jobs, newest first."""
        records = self.manager.records(owner=visitor) if visitor else []
        return [self.of_job(record) for record in records if record.state.is_final][:most]

    def _shipped(self, reference: str) -> Result | None:
        name, _, kind = reference.removeprefix("example:").partition("/")
        example = self.examples.get(name)
        folder = None if example is None else example.solved(kind)
        if example is None or folder is None:
            return None
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        return Result(
            reference=reference,
            kind=kind,
            folder=folder,
            settings=record["settings"],
            results=record["results"],
            created_unix=record["created_unix"],
            duration_sec=record["duration_sec"],
            made_with=record["made_with"],
            example=example,
        )


def frames_of(result: Result) -> Float[Tensor, "frames 3 height width"]:
    """Return the frames that an estimate used, or that a video holds.

    Of an estimate of every frame these are its sampled ones, see `Result.sampled`.

    Raises:
        InputError: They are gone.
    """
    kept = result.file(tasks.FRAMES)
    if kept is not None:
        return load_frames(kept)
    if result.example is not None and result.kind == "estimate":
        return example_clip(result.example.clip, int(result.settings["num_frames"])).video
    if result.video is None:
        raise InputError("a result must have frames; got none. Choose another result.")
    return read_clip(result.video).video


@functools.lru_cache(maxsize=8)
def example_clip(path: Path, num_frames: int) -> Clip:
    """Return so many frames of an example's clip, which never changes."""
    return read_clip(path, num_frames=num_frames)


def pictures_of(result: Result) -> Float[Tensor, "frames 3 height width"]:
    """Return a picture for each camera of a result's path: small ones of an estimate's every frame.

    Raises:
        InputError: They are gone.
    """
    small = result.file(THUMBNAILS)
    return frames_of(result) if small is None else load_frames(small)


def raxels_of(result: Result) -> Float[Tensor, "frames 3 h w"] | None:
    """Return the decoded raxels that are kept with a result, None if there are none."""
    path = result.file(RAXELS)
    if path is None:
        return None
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
    except (OSError, ValueError):  # damaged: the view goes without them
        return None


@functools.lru_cache(maxsize=256)
def poster(video: Path) -> str:
    """Return the middle frame of a finished video as a small picture, "" if it cannot be read."""
    try:
        frames = open_frames(video, Request())
        return sprite(frames.clip([len(frames) // 2]).video, height=POSTER_PX)
    except (InputError, FrameMissingError):
        return ""
