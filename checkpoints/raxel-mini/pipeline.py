"""For `DiffusionPipeline.from_pretrained(..., trust_remote_code=True)`."""

try:
    from rays_as_pixels.pipeline import RaysAsPixelsPipeline
except ImportError as error:
    raise ImportError(
        "the package rays_as_pixels must be importable for this pipeline; it is not. Put a "
        "checkout of the project on the Python path."
    ) from error

__all__ = ["RaysAsPixelsPipeline"]
