"""The frusta as a mesh file, for the browser that asked."""

import base64
import tempfile
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.native import parse_native
from rays_as_pixels.viz.scene import SUFFIXES, write_scene

MOST_TEXT = 2_000_000  # characters of a native file; 2000 frames take about 900 thousand
MOST_FRAMES = 2000


def path_view_mesh(kind: Any, trajectory: Any = None) -> dict[str, Any]:
    """Return a path's frusta as a file: {ok, name, data in base64} or {ok: False, message}.

    Called by the browser, or by anybody: both arguments are checked as if by nobody before.

    Args:
        kind: "ply" or "glb"; or both arguments as one list.
        trajectory: Text of a native trajectory file.
    """
    if isinstance(kind, list) and len(kind) == 2:
        kind, trajectory = kind
    try:
        return {"ok": True, **_file(kind, trajectory)}
    except InputError as error:
        return {"ok": False, "message": str(error)}


def _file(kind: Any, trajectory: Any) -> dict[str, str]:
    if not isinstance(kind, str) or f".{kind}" not in SUFFIXES:
        raise InputError(f"kind must be ply or glb; got {kind!r}. Use glb for viewers on the web.")
    if not isinstance(trajectory, str) or len(trajectory) > MOST_TEXT:
        raise InputError(
            f"trajectory must be the text of a trajectory file, {MOST_TEXT} characters or fewer. "
            "Reload the page."
        )
    path, _ = parse_native(trajectory, "trajectory")
    if len(path) > MOST_FRAMES:
        raise InputError(
            f"trajectory must have {MOST_FRAMES} frames or fewer; got {len(path)}. Resample it."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"camera-path.{kind}"
        write_scene(path, file)
        return {"name": file.name, "data": base64.b64encode(file.read_bytes()).decode("ascii")}
