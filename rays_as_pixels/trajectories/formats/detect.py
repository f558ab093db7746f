"""Which format a file is in, by its content; its name decides only what content leaves open."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats import (
    blender,
    gltf,
    kitti,
    native,
    open3d_log,
    photogrammetry,
    re10k,
    robotics,
    tum,
    usda,
)
from rays_as_pixels.trajectories.formats.about import KEY
from rays_as_pixels.trajectories.formats.bundle import NATIVE_NAME
from rays_as_pixels.trajectories.formats.colmap import model_folder
from rays_as_pixels.trajectories.formats.jsonfile import parse_json
from rays_as_pixels.trajectories.formats.registry import FORMATS
from rays_as_pixels.trajectories.formats.textfile import decode, read_bytes

COLMAP_FILES = ("cameras", "images", "points3D", "rigs", "frames")
OUTPUT_NAMES = {
    "transforms.json": "nerfstudio",
    "camera_path.json": "camera-path",
    "cameras.json": "inria",
    "camera_extrinsics.json": "recammaster",
}
OUTPUT_ENDINGS = {
    ".json": "native",
    ".npz": "da3",
    ".glb": "gltf",
    ".gltf": "gltf",
    ".usda": "usda",
    ".py": "blender",
    ".csv": "csv",
    ".zip": "bundle",
    ".tum": "tum",
    ".kitti": "kitti",
}


def detect(path: "str | Path") -> str:
    """Return the name of the format a file or folder is in.

    Raises:
        InputError: It is missing, or in none of the formats.
    """
    path = Path(path)
    if path.is_dir():
        folder = model_folder(path)
        return "colmap-bin" if (folder / "images.bin").is_file() else "colmap"
    if path.stem in COLMAP_FILES and path.suffix in (".txt", ".bin") and path.is_file():
        return "colmap" if path.suffix == ".txt" else "colmap-bin"
    payload = read_bytes(path)
    if payload.startswith(gltf.GLB_MAGIC):
        return "gltf"
    if payload.startswith(b"PK"):
        return _detect_zip(payload, path)
    text = decode(payload, path.name)
    if text.lstrip()[:1] in ("{", "["):
        return _detect_json(text, path)
    return _detect_text(text, path)


def output_format(path: "str | Path") -> str:
    """Return the format that an output's name asks for.

    Raises:
        InputError: The name leaves it open.
    """
    path = Path(path)
    if path.name in OUTPUT_NAMES:
        return OUTPUT_NAMES[path.name]
    if path.suffix.lower() in OUTPUT_ENDINGS:
        return OUTPUT_ENDINGS[path.suffix.lower()]
    if path.stem in FORMATS and FORMATS[path.stem].writable:
        return path.stem
    if path.is_dir() or not path.suffix:
        return "colmap"
    raise InputError(
        f"the output's format must be known; its name {path.name!r} leaves it open. Add --format "
        f"with one of {', '.join(writable_names())}."
    )


def writable_names() -> list[str]:
    """Return the names that `--format` takes."""
    return [name for name, spec in FORMATS.items() if spec.writable]


def _unknown(path: Path, saw: str) -> InputError:
    names = ", ".join(name for name, spec in FORMATS.items() if spec.readable)
    return InputError(
        f"{path.name} must be a trajectory in a known format; got {saw}. Name one with "
        f"--input-format: "
        f"{names}."
    )


def _detect_zip(payload: bytes, path: Path) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(payload)).namelist()
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path.name} must be a whole archive; got {error}. Copy it again."
        ) from None
    if NATIVE_NAME in names:
        return "bundle"
    if "extrinsics.npy" in names:
        return "da3"
    raise _unknown(path, "an archive of " + ", ".join(names[:6]))


def _detect_json(text: str, path: Path) -> str:
    value = parse_json(text, path.name).value
    name = _json_object(value) if isinstance(value, dict) else _json_list(value)
    if name is None:
        keys = list(value)[:6] if isinstance(value, dict) else f"a list of {len(value)}"
        raise _unknown(path, f"JSON with {json.dumps(keys)[:80]}")
    return name


def _json_object(value: "dict[str, Any]") -> "str | None":  # noqa: PLR0911 - one per format
    if value.get("format") == native.FORMAT:
        return "native"
    if value.get("class_name") == open3d_log.JSON_CLASS:
        return "open3d"
    frames = value.get("frames")
    first = frames[0] if isinstance(frames, list) and frames else None
    if isinstance(first, dict):
        return "nerfstudio" if "transform_matrix" in first else None
    if "camera_path" in value:
        return "camera-path"
    if "asset" in value and "nodes" in value:
        return "gltf"
    path = value.get("path")
    if isinstance(path, list) and path and isinstance(path[0], dict) and "R" in path[0]:
        return "ngp"
    if any(key.startswith("frame") and key[5:].isdigit() for key in value):
        return "recammaster"
    return None


def _json_list(value: list) -> "str | None":
    first = value[0] if value else None
    if isinstance(first, dict) and "position" in first and "rotation" in first:
        return "inria"
    if isinstance(first, list) and len(first) == 12:
        return "motionctrl"
    return None


def _detect_text(text: str, path: Path) -> str:  # noqa: PLR0911 - one per format
    if text.startswith(usda.MAGIC):
        return "usda"
    if text.startswith(photogrammetry.BUNDLER_MAGIC):
        return "bundler"
    if text.startswith(photogrammetry.NVM_MAGIC):
        return "nvm"
    if "import bpy" in text and blender.KEYS_START in text:
        return "blender"
    lines = [line for line in text.split("\n", 40)[:40] if line.strip()]
    rows = [line for line in lines if not line.lstrip().startswith("#")]
    if not rows:
        raise _unknown(path, "no line of data")
    counts = [len(row.split()) for row in rows]
    if re10k.COLUMNS in counts[:2]:
        return "re10k"
    if "," in rows[0]:
        return _detect_csv(lines, rows, path)
    by_count = {tum.COLUMNS: "tum", kitti.COLUMNS: "kitti", robotics.PYSLAM_COLUMNS: "pyslam"}
    if counts[:5] == [3, 4, 4, 4, 4]:
        return "open3d"
    if counts[0] in by_count and (len(counts) < 2 or counts[1] == counts[0]):
        return by_count[counts[0]]
    if len(rows) == 3 and text.count("\n") <= 4:
        return "trajectorycrafter"
    raise _unknown(path, f"{counts[0]} columns in its first line of data, {rows[0][:40]!r}")


def _detect_csv(lines: list[str], rows: list[str], path: Path) -> str:
    if {"x", "y", "z", "qw"} <= {name.strip() for name in rows[0].split(",")}:
        return "csv"
    count = len(rows[0].split(","))
    if count in robotics.EUROC_COLUMNS and not any(KEY in line for line in lines):
        return "euroc"
    raise _unknown(path, f"a table of {count} columns, {rows[0][:40]!r}")
