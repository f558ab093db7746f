"""The joint pipeline: `RaysAsPixelsPipeline` and the plain functions under its four verbs.

`RaysAsPixelsPipeline` is loaded on first use: parts of this package are imported by others without
it, and pipeline folders name it as `rays_as_pixels.pipeline.RaysAsPixelsPipeline`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

__all__ = ["RaysAsPixelsPipeline"]


def __getattr__(name: str) -> object:
    """Load the pipeline class from the module it lives in (PEP 562)."""
    if name != "RaysAsPixelsPipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline  # noqa: PLC0415

    return RaysAsPixelsPipeline
