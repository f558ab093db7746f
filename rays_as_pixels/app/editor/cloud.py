"""Point clouds for the editor: a small binary file that the browser fetches, never JSON."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

MOST_POINTS = 20_000
POINT = np.dtype([("place", "<f4", 3), ("color", "u1", 3), ("pad", "u1")])  # 16 bytes


def write_cloud(
    path: Path | str,
    points: Float[Tensor, "n 3"],
    colors: Float[Tensor, "n 3"] | None = None,
) -> Path:
    """Write points for the editor: per point x, y, z as little-endian float32, then r, g, b, 0.

    Args:
        path: File to write.
        points: In the world of the edit document, scene units; 20 000 at most.
        colors: RGB in [0, 1]; None makes them grey.

    Raises:
        InputError: Too many points, a number that is not finite, or colours of another count or
            outside [0, 1].
    """
    if len(points) > MOST_POINTS or points.ndim != 2 or points.shape[-1] != 3:
        raise InputError(
            f"points must have shape (n, 3) with n up to {MOST_POINTS}; got "
            f"{tuple(points.shape)}. Thin them out, for example with "
            f"points[::{len(points) // MOST_POINTS + 1}]."
        )
    if colors is None:
        colors = torch.full_like(points, 0.55)
    if colors.shape != points.shape:
        raise InputError(
            f"colors must have the points' shape {tuple(points.shape)}; got "
            f"{tuple(colors.shape)}. Give one RGB per point."
        )
    if not bool(torch.isfinite(points).all()) or not bool(((colors >= 0) & (colors <= 1)).all()):
        raise InputError(
            "points must be finite and colors lie in [0, 1]; got others. Drop the points at "
            "infinity and divide 8-bit colours by 255."
        )
    rows = np.zeros(len(points), dtype=POINT)
    rows["place"] = points.detach().to("cpu", torch.float32).numpy()
    rows["color"] = (colors.detach().to("cpu") * 255).round().to(torch.uint8).numpy()
    path = Path(path)
    path.write_bytes(rows.tobytes())
    return path
