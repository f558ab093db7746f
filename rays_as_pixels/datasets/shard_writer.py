"""Pack any data into WebDataset shards: checked, resized, with points, resumable.

Shard k holds sequences k * n to (k + 1) * n of the source, less those refused, and appears whole
or not at all, its list of refusals first. A run that was stopped goes on with the first shard
that is missing.
"""

import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rays_as_pixels.datasets.epipolar import agreement, check_agreement
from rays_as_pixels.datasets.sequences import PosedVideo, ScenePoints, SequenceRef
from rays_as_pixels.datasets.triangulate import triangulated
from rays_as_pixels.datasets.validate import Refusal, RefusedError, load_checked
from rays_as_pixels.datasets.webdataset_shards import POINTS, TRAJECTORY, VIDEO
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write, write_json
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.formats.native import native_text

NOMINAL_FPS = 10.0  # of sequences without times
JPEG_QUALITY = 95


@dataclass(frozen=True)
class PackOptions:
    """How to pack.

    Attributes:
        per_shard: Sequences per shard, refused ones counted.
        encoding: "mp4" (small) or "jpg" (no colour subsampling in time, any frame at once).
        short_side: Frames are reduced to this many pixels; None leaves them.
        images: Whether to compare images with cameras and triangulate points where there are
            none; both need OpenCV.
    """

    per_shard: int = 100
    encoding: str = "mp4"
    short_side: int | None = None
    images: bool = True


@dataclass(frozen=True)
class PackedShard:
    """What became of the sequences of one shard.

    Attributes:
        path: The tar file.
        kept: Keys that it holds.
        refused: Sequences left out.
        fresh: Whether this run wrote it; False where it was there.
    """

    path: Path
    kept: tuple[str, ...]
    refused: tuple[Refusal, ...]
    fresh: bool


def pack(refs: Sequence[SequenceRef], out: Path, options: PackOptions) -> Iterator[PackedShard]:
    """Write the shards that are missing; yields each, old or new, in order.

    Raises:
        InputError: An option is out of range, or `out` is of another source.
    """
    _check_options(options)
    out.mkdir(parents=True, exist_ok=True)
    width = max(6, len(str(len(refs))))
    for number, start in enumerate(range(0, len(refs), options.per_shard)):
        path = out / f"shard-{number:0{width}d}.tar"
        part = refs[start : start + options.per_shard]
        record = path.with_suffix(".json")
        if path.exists() and record.exists():
            yield _recorded(path, record, part)
            continue
        yield _write_shard(path, record, part, options)


def _check_options(options: PackOptions) -> None:
    if options.encoding not in ("mp4", "jpg") or options.per_shard < 1:
        raise InputError(
            f"encoding must be mp4 or jpg and per_shard 1 or more; got {options.encoding!r} and "
            f"{options.per_shard}. Use mp4 and 100."
        )


def _recorded(path: Path, record: Path, part: Sequence[SequenceRef]) -> PackedShard:
    value = json.loads(record.read_text("utf-8"))
    if value["sequences"] != [ref.name for ref in part]:
        raise InputError(
            f"{path.parent} must hold shards of this source or none; got {path.name} of another "
            "one. Choose another folder, or delete the shards."
        )
    refused = tuple(Refusal(**entry) for entry in value["refused"])
    return PackedShard(path, tuple(value["kept"]), refused, fresh=False)


def _write_shard(
    path: Path, record: Path, part: Sequence[SequenceRef], options: PackOptions
) -> PackedShard:
    kept, refused = [], []
    with atomic_write(path) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
            for ref in part:
                try:
                    members = packed_members(ref, options)
                except RefusedError as error:
                    refused.append(Refusal(ref.name, error.rule, str(error)))
                    continue
                kept.append(key_of(ref.name))
                for extension, data in members.items():
                    info = tarfile.TarInfo(f"{kept[-1]}.{extension}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        value = {
            "sequences": [ref.name for ref in part],
            "kept": kept,
            "refused": [asdict(refusal) for refusal in refused],
        }
        write_json(record, value)  # before the shard: a shard that exists has its record
    return PackedShard(path, tuple(kept), tuple(refused), fresh=True)


def key_of(name: str) -> str:
    """Turn a sequence's name into a key: no dots, which end a key, and no slashes."""
    return re.sub(r"[^\w-]", "_", name.replace("/", "__"))


def packed_members(ref: SequenceRef, options: PackOptions) -> dict[str, bytes]:
    """Read, check and encode one sequence.

    Raises:
        RefusedError: It breaks a rule of `validate.py`.
    """
    video = load_checked(ref)
    try:
        if options.images:
            if problem := check_agreement(video.name, agreement(video)):
                raise RefusedError("images", problem)
            if video.points is None:
                video = replace(video, points=triangulated(video))
        size = _packed_size(video.frames.size, options)
        frames = _resized(video.frames.read(range(len(video))), size)
    except RefusedError:
        raise
    except InputError as error:
        raise RefusedError("file", str(error)) from error
    cameras = video.cameras.resized(height=size[0], width=size[1])
    members = {TRAJECTORY: _trajectory_json(video, cameras).encode()}
    if video.points is not None:
        members[POINTS] = _points_npz(video.points)
    members |= _encoded(frames, options.encoding, _fps(video))
    members["json"] = json.dumps({"name": ref.name, "notes": list(video.notes)}).encode()
    return members


def _packed_size(size: tuple[int, int], options: PackOptions) -> tuple[int, int]:
    """Return the size to pack at: reduced if asked for, and even, which mp4 needs."""
    scale = 1.0 if options.short_side is None else min(1.0, options.short_side / min(size))
    return 2 * round(size[0] * scale / 2), 2 * round(size[1] * scale / 2)


def _resized(video: Float[Tensor, "n 3 h w"], size: tuple[int, int]) -> Float[Tensor, "n 3 H W"]:
    if tuple(video.shape[-2:]) == size:
        return video
    resized = torch.nn.functional.interpolate(video, size, mode="bilinear", antialias=True)
    return resized.clamp(0, 1)


def _fps(video: PosedVideo) -> float:
    if video.time_sec is None:
        return NOMINAL_FPS
    return (len(video) - 1) / float(video.time_sec[-1] - video.time_sec[0])


def _trajectory_json(video: PosedVideo, cameras: Cameras) -> str:
    return native_text(Trajectory(cameras.to(dtype=torch.float64), _fps(video), video.time_sec))


def _points_npz(points: ScenePoints) -> bytes:
    arrays = {"xyz": points.xyz.numpy()}
    if points.frame is not None and points.point is not None:
        arrays |= {"frame": points.frame.int().numpy(), "point": points.point.int().numpy()}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _encoded(video: Float[Tensor, "n 3 h w"], encoding: str, fps: float) -> dict[str, bytes]:
    if encoding == "mp4":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "video.mp4"
            write_video(path, video, fps=min(max(fps, 1.0), 120.0))
            return {VIDEO: path.read_bytes()}
    members = {}
    for index, frame in enumerate((video * 255).round().to(torch.uint8)):
        file = io.BytesIO()
        image = Image.fromarray(frame.movedim(0, -1).numpy())
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        members[f"{index:06d}.jpg"] = file.getvalue()
    return members
