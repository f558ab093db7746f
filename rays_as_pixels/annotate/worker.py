"""What a worker does: one video in, one part file out, whatever happens to the worker."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging

from rays_as_pixels.annotate.job import MOST_ATTEMPTS, Job
from rays_as_pixels.annotate.table import ERROR, OK, write_rows
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.media.video import (
    Clip,
    FrameStream,
    Request,
    probe_video,
    read_clip,
    with_frames,
)
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.outputs import EstimateOutput, PoseStd, ShotEstimate
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

FEWEST_FRAMES = 5


class Annotator:
    """A loaded model that annotates one video after another.

    Args:
        job: The run.

    Raises:
        CheckpointError: The model's folder is missing or damaged.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.pipeline = RaysAsPixelsPipeline.from_pretrained(job.model_folder).to(job.device)
        self.pipeline.set_progress_bar_config(disable=True)

    def annotate(self, video: str) -> tuple[str, str | None]:
        """Annotate a video unless that is done, and write its rows.

        A failure becomes a row. A video on which MOST_ATTEMPTS workers have died is such a
        failure, so that it cannot stop a run for ever.

        Returns:
            The status, and the reason of a failure.
        """
        part = self.job.part(video)
        if part.exists():  # a worker died after writing it, before it could say so
            self.job.end(video)
            return OK, None
        started = time.monotonic()
        settings = asdict(self.job.settings)
        base = {
            "video": video,
            "model": settings.pop("model"),
            "revision": settings.pop("revision"),
            "settings": json.dumps(settings),
        }
        before = self.job.begin(video)
        reason: str | None = None
        rows: list[dict[str, Any]] = []
        try:
            if before >= MOST_ATTEMPTS:
                raise InputError(
                    f"a video must not end its worker; {before} workers died on this one. Look at "
                    "its size, or give workers more memory."
                )
            if self.job.settings.frames is None:
                rows = list(self._rows_of_every_frame(video))
            else:
                rows = [row for clip in self._clips(video) for row in self._rows(*clip)]
        except Exception as error:  # listed with its video: the others must go on
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            reason = f"{kind}{error}"
        seconds = time.monotonic() - started
        status = OK if reason is None else ERROR
        rows = rows if reason is None else [{"error": reason}]
        write_rows(part, [{**base, "status": status, "seconds": seconds, **row} for row in rows])
        self.job.end(video)
        return status, reason

    def _rows_of_every_frame(self, video: str) -> Iterator[dict[str, Any]]:
        """Yield one row per frame, shot by shot.

        Raises:
            InputError: The video cannot be read or is too short.
        """
        path, settings = Path(self.job.root) / video, self.job.settings
        fps = settings.fps
        if fps is not None and fps >= probe_video(path).fps:
            fps = None

        def rows(stream: FrameStream) -> list[dict[str, Any]]:
            options = EstimateOptions(estimate_depth=False)
            found = self.pipeline.estimate_video(stream, options=options)
            time = stream.time_sec
            return [
                row
                for number, shot in enumerate(found.shots)
                for row in rows_of_shot(number, shot, time[shot.first_frame])
            ]

        yield from with_frames(path, Request(fps=fps), rows)

    def _clips(self, video: str) -> Iterator[tuple[int, Clip]]:
        """Read a video clip after clip; the last one ends with the video and may overlap.

        Raises:
            InputError: The video cannot be read or is too short.
        """
        settings = self.job.settings
        assert settings.frames is not None and settings.fps is not None
        path = Path(self.job.root) / video
        info = probe_video(path)
        rate = min(settings.fps, info.fps)
        fps = settings.fps if settings.fps < info.fps else None
        last_sec = info.duration_sec - 1 / info.fps
        length_sec = (settings.frames - 1) / rate
        starts = [k * settings.frames / rate for k in range(int(last_sec * rate) + 1)]
        starts = [sec for sec in starts if sec + length_sec <= last_sec + 1e-6]
        if not starts or starts[-1] + length_sec < last_sec - 1 / rate:
            starts.append(max(0.0, last_sec - length_sec))
        for number, start_sec in enumerate(starts):
            end_sec = min(start_sec + length_sec + 0.5 / rate, info.duration_sec)
            clip = read_clip(path, start_sec=start_sec or None, end_sec=end_sec, fps=fps)
            if len(clip) < FEWEST_FRAMES:
                raise InputError(
                    f"a video must have {FEWEST_FRAMES} frames or more at {rate:g} per second; got "
                    f"{len(clip)}. Leave it out, or use a higher --fps."
                )
            most = min(len(clip), settings.frames)
            stride = self.pipeline.codec.temporal_stride
            yield number, clip.resampled(largest_clip_length(most, stride))

    def _rows(self, number: int, clip: Clip) -> Iterator[dict[str, Any]]:
        settings = self.job.settings
        found = self.pipeline.estimate(
            clip.video,
            fps=clip.fps,
            time_sec=clip.time_sec,
            source_frame=clip.source_frame,
            options=EstimateOptions(
                num_inference_steps=settings.steps, num_samples=settings.seeds, estimate_depth=False
            ),
            run=RunOptions(generator=torch.Generator().manual_seed(settings.seed)),
        )
        yield from camera_rows(number, clip, found)


def rows_of_shot(number: int, shot: ShotEstimate, start_sec: float) -> Iterator[dict[str, Any]]:
    """Return one row per frame of a shot that begins at a time of the video."""
    path = shot.trajectory
    assert path.source_frame is not None
    for frame, source_frame in enumerate(path.source_frame):
        row = {
            "clip": number,
            "frame": frame,
            "source_frame": source_frame,
            "time_sec": start_sec + float(path.times_sec[frame]),
            "interpolated": bool(shot.interpolated[frame]),
            **_camera_columns(path.cameras, frame),
        }
        if shot.solution is not None:
            row["held_out_score"] = shot.solution.score
        yield row | _std_columns(shot.pose_std, frame)


def camera_rows(number: int, clip: Clip, found: EstimateOutput) -> Iterator[dict[str, Any]]:
    """Return one row per frame of a clip."""
    cameras = found.trajectory.cameras.to(dtype=torch.float64)
    times = (clip.time_sec + clip.start_sec).tolist()
    for frame in range(len(clip)):
        row = {
            "clip": number,
            "frame": frame,
            "source_frame": clip.source_frame[frame],
            "time_sec": times[frame],
            "residual": float(found.residual[frame]),
            **_camera_columns(cameras, frame),
        }
        yield row | _std_columns(found.pose_std, frame)


def _camera_columns(cameras: Cameras, frame: int) -> dict[str, Any]:
    fx, fy = cameras.focal_px[frame].tolist()
    cx, cy = cameras.center_px[frame].tolist()
    pose = cameras.world_from_cam[frame].flatten().tolist()
    size = {"width": cameras.width, "height": cameras.height}
    return {**size, "fx": fx, "fy": fy, "cx": cx, "cy": cy, "world_from_cam": pose}


def _std_columns(pose_std: PoseStd | None, frame: int) -> dict[str, float]:
    if pose_std is None:
        return {}
    return {
        "std_rotation_rad": float(pose_std.rotation_rad[frame]),
        "std_position": float(pose_std.position[frame]),
        "std_focal_ratio": float(pose_std.focal_ratio[frame]),
    }
