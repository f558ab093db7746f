"""Sparse points of a scene, as structure from motion finds them, and where frames see them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True, eq=False)
class ScenePoints:
    """Sparse points of the scene, and where the frames see them.

    Attributes:
        xyz: (P, 3) places in the world.
        rgb: (P, 3) colours.
        point: (N,) for each observation the index of its point.
        frame: (N,) the frame that it is seen in.
        xy_px: (N, 2) where, in pixels from the image's corner.
    """

    xyz: Float[np.ndarray, "P 3"]
    rgb: UInt8[np.ndarray, "P 3"]
    point: Int[np.ndarray, "N"]
    frame: Int[np.ndarray, "N"]
    xy_px: Float[np.ndarray, "N 2"]

    def __len__(self) -> int:
        return len(self.xyz)

    @classmethod
    def none(cls) -> "ScenePoints":
        """Return no points."""
        nothing = np.zeros(0, np.int64)
        return cls(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), nothing, nothing, np.zeros((0, 2)))
