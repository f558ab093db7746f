"""Take lens distortion out of frames, so that a pinhole camera describes them exactly.

The radial and tangential model of OpenCV, COLMAP and nerfstudio: a point (x, y) of the pinhole
image, in units of the focal length from the principal point, is seen at
x (1 + k1 r^2 + k2 r^4) + 2 p1 x y + p2 (r^2 + 2 x^2), and likewise in y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.sequences import FrameSource
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rays import pixel_grid_px

MOST_CUT = 0.15  # share of a side that may be lost at each border


@dataclass(frozen=True)
class Lens:
    """Distortion coefficients, without unit."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @property
    def is_pinhole(self) -> bool:
        """Whether nothing is distorted."""
        return not any((self.k1, self.k2, self.p1, self.p2))

    def distorted(self, xy: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Return where the lens puts points of the pinhole image, in focal lengths."""
        x, y = xy.unbind(-1)
        square = x * x + y * y
        radial = 1 + square * (self.k1 + square * self.k2)
        cross = 2 * x * y
        return torch.stack(
            [
                x * radial + self.p1 * cross + self.p2 * (square + 2 * x * x),
                y * radial + self.p2 * cross + self.p1 * (square + 2 * y * y),
            ],
            dim=-1,
        )


@dataclass(frozen=True)
class PinholeFrames:
    """Frames of a distorting lens, resampled as a pinhole with the same intrinsics sees them.

    Borders that the lens did not see are cut off, the same at all sides.

    Attributes:
        source: The frames as recorded.
        lens: Their distortion.
        camera: One camera, stated for the recorded size.
        cut: (rows, columns) cut off at each border.
    """

    source: FrameSource
    lens: Lens
    camera: Cameras
    cut: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is left."""
        height, width = self.source.size
        return height - 2 * self.cut[0], width - 2 * self.cut[1]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.source)

    @cached_property
    def _grid(self) -> Float[Tensor, "height width 2"]:
        height, width = self.size
        seen = _seen_px(self.lens, self.camera, _pixels(self.cut[0], self.cut[1], height, width))
        full = seen.new_tensor([self.source.size[1], self.source.size[0]])
        return (2 * seen / full - 1).float()

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1]."""
        frames = self.source.read(indices)
        grid = self._grid.expand(len(frames), -1, -1, -1)
        return torch.nn.functional.grid_sample(
            frames, grid, mode="bilinear", padding_mode="border", align_corners=False
        )


def pinhole_frames(
    source: FrameSource, cameras: Cameras, lens: Lens, name: str
) -> tuple[FrameSource, Cameras]:
    """Return frames and cameras without distortion; both as given where there is none.

    Raises:
        InputError: The intrinsics change within the sequence, or too much would be cut off.
    """
    if lens.is_pinhole:
        return source, cameras
    if bool((cameras.focal_px != cameras.focal_px[:1]).any()):
        raise InputError(
            f"{name}: a distorting lens must not zoom; got more than one focal length. Undistort "
            "the images first (colmap image_undistorter)."
        )
    cut = _needed_cut(lens, cameras[0], name)
    frames = PinholeFrames(source, lens, cameras[0], cut)
    height, width = frames.size
    return frames, cameras.cropped(top=cut[0], left=cut[1], height=height, width=width)


def _pixels(top: int, left: int, height: int, width: int) -> Float[Tensor, "height width 2"]:
    grid = pixel_grid_px(height, width, dtype=torch.float64, device="cpu")
    return grid + grid.new_tensor([left, top])


def _seen_px(lens: Lens, camera: Cameras, pixel: Tensor) -> Tensor:
    focal, center = camera.focal_px.double(), camera.center_px.double()
    return lens.distorted((pixel - center) / focal) * focal + center


def _needed_cut(lens: Lens, camera: Cameras, name: str) -> tuple[int, int]:
    """Find the narrowest border, the same share of both sides, that leaves only what was seen."""
    height, width = camera.height, camera.width
    for step in range(int(MOST_CUT * 200) + 1):
        cut = (round(height * step / 200), round(width * step / 200))
        pixel = _pixels(*cut, height - 2 * cut[0], width - 2 * cut[1])
        ring = torch.cat([pixel[0], pixel[-1], pixel[:, 0], pixel[:, -1]])
        seen = _seen_px(lens, camera, ring)
        inside = (seen >= 0) & (seen <= seen.new_tensor([float(width), float(height)]))
        if bool(inside.all()):
            return cut
    raise InputError(
        f"{name}: undistorting must leave {1 - 2 * MOST_CUT:.0%} of each side; got {lens}, which "
        "leaves less. Undistort the images first (colmap image_undistorter)."
    )
