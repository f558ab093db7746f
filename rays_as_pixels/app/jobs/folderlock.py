"""A lock on a folder that the system releases when its process ends, however it ends."""

from pathlib import Path

from rays_as_pixels.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: two programs on one workspace are then the user's to avoid
    fcntl = None


class FolderLock:
    """Holds a folder until released.

    Raises:
        InputError: Another process, or another holder in this one, has the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / ".lock").open("a")
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise InputError(
                f"workspace must be used by one running app; got {folder}, which is in use. "
                "Stop the other app or choose another folder."
            ) from error

    def release(self) -> None:
        """Let the folder go."""
        self._file.close()
