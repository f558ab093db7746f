"""The Parquet table of cameras: its columns, and the files that hold it. Needs pyarrow, an extra.

One row per frame of a clip; a video that failed has one row with status "error", its reason, and
no camera. docs/data.md describes every column.
"""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rays_as_pixels.annotate.job import PARTS, Job
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write, write_json

if TYPE_CHECKING:
    import pyarrow

OK, ERROR = "ok", "error"
VIDEOS_PER_FILE = 500
_COLUMNS = (
    ("video", "string", "path of the video, relative to SRC"),
    ("status", "string", "ok or error"),
    ("error", "string", "why there is no camera; null where there is one"),
    ("clip", "int32", "number of the clip or shot in the video, from 0; each has its own world"),
    ("frame", "int32", "number of the frame within the clip, from 0"),
    ("source_frame", "int32", "index of the frame in the video"),
    ("time_sec", "float64", "time of the frame in the video, seconds from its first frame"),
    ("width", "int32", "of the video's upright frames, in pixels"),
    ("height", "int32", "of the video's upright frames, in pixels"),
    ("fx", "float64", "focal length, in pixels of width x height"),
    ("fy", "float64", "focal length, in pixels of width x height"),
    ("cx", "float64", "principal point; (0, 0) is the image's top-left corner"),
    ("cy", "float64", "principal point; (0, 0) is the image's top-left corner"),
    (
        "world_from_cam",
        "pose",
        "16 numbers, 4x4 row by row, camera to world, OpenCV axes (x right, "
        "y down, z forward), the clip's first frame is the world, lengths in scene units",
    ),
    ("interpolated", "bool_", "whether the camera lies between others for want of tracks"),
    (
        "held_out_score",
        "float32",
        "share of the shot's held-out observations that its path explains",
    ),
    ("residual", "float32", "misfit of the camera to its raxels, scene units; null for tracking"),
    ("std_rotation_rad", "float32", "of the rotation, radians; null with one noise sample"),
    ("std_position", "float32", "the same of the position, scene units"),
    ("std_focal_ratio", "float32", "the same of the log focal length"),
    ("model", "string", "folder or repository"),
    ("revision", "string", "commit of the repository, or fingerprint of the folder"),
    ("settings", "string", "JSON of everything else that decides the numbers"),
    ("seconds", "float32", "computing time of the whole video"),
)


def arrow() -> Any:
    """Import pyarrow with its Parquet part.

    Raises:
        InputError: It is not installed.
    """
    if find_spec("pyarrow") is None:
        raise InputError(
            "pyarrow must be installed to write Parquet; it is not. Run 'pip install \".[data]\"'."
        )
    import pyarrow  # noqa: PLC0415 - optional
    import pyarrow.parquet  # noqa: PLC0415

    return pyarrow


def schema() -> "pyarrow.Schema":
    """Return the table's schema, each column with its meaning as metadata."""
    pa = arrow()
    kinds = {"pose": pa.list_(pa.float64(), 16)}
    fields = [
        pa.field(name, kinds.get(kind) or getattr(pa, kind)(), metadata={"meaning": doc})
        for name, kind, doc in _COLUMNS
    ]
    return pa.schema(fields)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as one Parquet file, atomically; columns left out are null."""
    _write(path, arrow().Table.from_pylist(list(rows), schema=schema()))


def _write(path: Path, table: "pyarrow.Table") -> None:
    with atomic_write(path) as temporary:
        arrow().parquet.write_table(table, temporary, compression="zstd")


def collected_files(out: Path) -> list[Path]:
    """Return the files of the finished table, in order."""
    return sorted(out.glob("cameras-*.parquet"))


def videos_in(paths: Iterable[Path]) -> set[str]:
    """Return the videos that files hold rows of."""
    pq = arrow().parquet
    found: set[str] = set()
    for path in paths:
        column = pq.read_table(path, columns=["video"])["video"]
        found.update(column.unique().to_pylist())
    return found


def finished_videos(job: Job) -> set[str]:
    """Return the videos with rows, collected or not; a part that is collected already is removed.

    Such a part is left by a run that stopped between collecting and tidying up.
    """
    collected = videos_in(collected_files(Path(job.out)))
    for video in collected:
        job.part(video).unlink(missing_ok=True)
        job.end(video)
    return collected | videos_in((Path(job.out) / PARTS).glob("*.parquet"))


def forget_failures(job: Job) -> None:
    """Take the rows of failed videos out of the table, so that they are tried again."""
    out = Path(job.out)
    for path in [*collected_files(out), *(out / PARTS).glob("*.parquet")]:
        table = arrow().parquet.read_table(path)
        kept = table.filter([status != ERROR for status in table["status"].to_pylist()])
        if kept.num_rows == 0:
            path.unlink()
        elif kept.num_rows < table.num_rows:
            _write(path, kept)


def collect(job: Job) -> list[Path]:
    """Move finished parts into files of up to VIDEOS_PER_FILE videos; returns all files.

    A file appears whole, and only then are its parts removed: a run that stops in between leaves
    both, which `finished_videos` puts right, so no video's rows are lost or doubled.
    """
    pa = arrow()
    out = Path(job.out)
    parts = sorted((out / PARTS).glob("*.parquet"))
    number = 1 + max((int(path.stem.split("-")[1]) for path in collected_files(out)), default=-1)
    for start in range(0, len(parts), VIDEOS_PER_FILE):
        group = parts[start : start + VIDEOS_PER_FILE]
        table = pa.concat_tables([pa.parquet.read_table(path) for path in group])
        order = [(name, "ascending") for name in ("video", "clip", "frame")]
        _write(out / f"cameras-{number:05d}.parquet", table.sort_by(order))
        number += 1
        for path in group:
            path.unlink()
    return collected_files(out)


def list_failures(out: Path) -> list[tuple[str, str]]:
    """Write failures.json from the table; returns (video, reason) of each."""
    pq = arrow().parquet
    found: list[tuple[str, str]] = []
    for path in collected_files(out):
        rows = pq.read_table(path, columns=["video", "error"], filters=[("status", "=", ERROR)])
        found += [(row["video"], row["error"]) for row in rows.to_pylist()]
    value = [{"video": video, "error": reason} for video, reason in sorted(found)]
    write_json(out / "failures.json", value)
    return sorted(found)
