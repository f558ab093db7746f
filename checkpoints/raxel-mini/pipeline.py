"""For diffusers' generic loader; the code itself is in the package rays_as_pixels."""

try:
    from rays_as_pixels.pipeline import RaysAsPixelsPipeline
except ImportError as error:
    raise ImportError(
        "the package rays_as_pixels must be installed to load this model; it is not. To install "
        "it, run `pip install .` in a checkout of the project's repository; it is not on PyPI."
    ) from error

__all__ = ["RaysAsPixelsPipeline"]
