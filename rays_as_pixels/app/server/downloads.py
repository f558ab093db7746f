"""Paths written as files for visitors to download, in every format that the library writes."""

import hashlib
import json
import shutil
import time
from pathlib import Path

from gradio.utils import get_upload_folder

from rays_as_pixels.app import i18n
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats import FORMATS, save
from rays_as_pixels.trajectories.formats.native import native_text

KEEP_SEC = 86400


def writable_formats() -> dict[str, str]:
    """Return the formats that can be written: name to title, the bundle of all of them first."""
    writable = {name: spec.title for name, spec in FORMATS.items() if spec.writable}
    first = {"native": writable.pop("native"), "bundle": writable.pop("bundle")}
    return first | writable


def write_path(path: Trajectory, kind: str) -> tuple[Path, tuple[str, ...]]:
    """Write a path, once; a format of several files becomes a ZIP."""
    digest = hashlib.sha256(native_text(path).encode()).hexdigest()[:16]
    folder = download_root() / f"{digest}-{kind}"
    archive, notes = folder / "camera-path.zip", folder / "notes.json"
    if not notes.is_file():
        inner = folder / "files"
        inner.mkdir(parents=True, exist_ok=True)
        done = save(path, inner / FORMATS[kind].file_name, format=kind, extra={"app": i18n.TITLE})
        files = list(done.paths)
        if len(files) > 1 or not files[0].is_file():
            shutil.make_archive(str(archive.with_suffix("")), "zip", inner)
        notes.write_text(json.dumps([files[0].name, *done.notes]), encoding="utf-8")
    name, *said = json.loads(notes.read_text(encoding="utf-8"))
    return (archive if archive.is_file() else folder / "files" / name), tuple(said)


def download_root() -> Path:
    """Return the folder that downloads are written to; those of past days are deleted."""
    place = Path(get_upload_folder()) / "downloads"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if time.time() - old.stat().st_mtime > KEEP_SEC:
            shutil.rmtree(old, ignore_errors=True)
    return place
