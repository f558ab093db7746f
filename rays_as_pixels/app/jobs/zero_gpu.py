"""Whether this program runs on a Space whose GPU is lent call by call (ZeroGPU)."""

import os


def on_zero_gpu() -> bool:
    """Tell whether a GPU can be had inside functions that `spaces.GPU` decorates alone."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def import_spaces_first() -> None:
    """Import `spaces` on ZeroGPU; it has to come before anything that may look for a GPU."""
    if on_zero_gpu():
        import spaces  # noqa: F401, PLC0415 # pyright: ignore[reportMissingImports]
