"""Rays as Pixels: video and camera rays as one thing. Importing this package does no work.

The names below are loaded on first use, so that `import rays_as_pixels` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rays_as_pixels.errors import Cancelled, CheckpointError, InputError
    from rays_as_pixels.geometry.cameras import Cameras
    from rays_as_pixels.geometry.trajectory import Trajectory
    from rays_as_pixels.media.video import Clip, read_clip, read_image, write_video
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
    from rays_as_pixels.trajectories.formats import load as load_trajectory
    from rays_as_pixels.trajectories.formats import save as save_trajectory
    from rays_as_pixels.trajectories.presets import make_preset

_HOME = {
    "Cameras": "geometry.cameras",
    "Cancelled": "errors",
    "CheckpointError": "errors",
    "Clip": "media.video",
    "InputError": "errors",
    "RaysAsPixelsPipeline": "pipeline",
    "Trajectory": "geometry.trajectory",
    "load_trajectory": "trajectories.formats:load",
    "make_preset": "trajectories.presets",
    "read_clip": "media.video",
    "read_image": "media.video",
    "save_trajectory": "trajectories.formats:save",
    "write_video": "media.video",
}

__all__ = [
    "Cameras",
    "Cancelled",
    "CheckpointError",
    "Clip",
    "InputError",
    "RaysAsPixelsPipeline",
    "Trajectory",
    "load_trajectory",
    "make_preset",
    "read_clip",
    "read_image",
    "save_trajectory",
    "write_video",
]


def __getattr__(name: str) -> object:
    """Load a public name from the module it lives in (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
