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
from rays_as_pixels.media.video import Clip, probe_video, read_clip
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.outputs import EstimateOutput
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

    def _clips(self, video: str) -> Iterator[tuple[int, Clip]]:
        """Read a video clip after clip; the last one ends with the video and may overlap.

        Raises:
            InputError: The video cannot be read or is too short.
        """
        settings = self.job.settings
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
            "width": cameras.width,
            "height": cameras.height,
            "world_from_cam": cameras.world_from_cam[frame].flatten().tolist(),
            "residual": float(found.residual[frame]),
        }
        row["fx"], row["fy"] = cameras.focal_px[frame].tolist()
        row["cx"], row["cy"] = cameras.center_px[frame].tolist()
        if found.spread is not None:
            row["spread_rotation_rad"] = float(found.spread.rotation_rad[frame])
            row["spread_position"] = float(found.spread.position[frame])
            row["spread_focal_ratio"] = float(found.spread.focal_ratio[frame])
        yield row
