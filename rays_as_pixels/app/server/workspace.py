"""The one folder the app writes to: jobs, uploads, and the key of what browsers keep.

Imports no Gradio: Gradio has to find its own folder settled when it is imported.
"""

import os
import secrets
import sys
import tempfile
from pathlib import Path

from rays_as_pixels.files import atomic_write

UPLOADS = "uploads"
SPACE_DATA = Path("/data")  # where a Space's storage is attached, if it has one


def default_workspace() -> Path:
    """Return the user's data folder for this app, where the system keeps such folders.

    A Space has its attached storage or, without one, a folder that lasts as long as the Space runs.
    """
    if os.environ.get("RAYS_AS_PIXELS_WORKSPACE"):
        return Path(os.environ["RAYS_AS_PIXELS_WORKSPACE"])
    if os.environ.get("SPACE_ID"):
        base = SPACE_DATA if os.access(SPACE_DATA, os.W_OK) else Path(tempfile.gettempdir())
        return base / "rays-as-pixels"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "rays-as-pixels"


def keep_uploads_in(workspace: Path) -> None:
    """Have Gradio keep its files in the workspace; it looks when it is imported and later."""
    os.environ["GRADIO_TEMP_DIR"] = str((workspace / UPLOADS).resolve())


def browser_key(workspace: Path) -> str:
    """Return the key of what browsers store, made once, so that they find their jobs again."""
    path = workspace / "browser-key"
    if not path.is_file():
        with atomic_write(path) as part:
            part.touch(mode=0o600)
            part.write_text(secrets.token_hex(16), encoding="ascii")
    return path.read_text(encoding="ascii")
