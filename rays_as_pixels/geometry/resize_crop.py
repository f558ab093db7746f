"""Fit images of any size into one the network was trained at, and cameras back out of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras

MIN_SIDE_PX = 16
_MIN_SCALE_FOR_FINER = 1.5  # input over model size; below, twice the pixels would be made up


@dataclass(frozen=True)
class ResizeCrop:
    """A resize followed by a centred crop, from an input size to a model size.

    Attributes:
        height: Input height in pixels.
        width: Input width in pixels.
        model_height: Height the network sees.
        model_width: Width the network sees.
    """

    height: int
    width: int
    model_height: int
    model_width: int

    @classmethod
    def nearest(cls, height: int, width: int, sizes: Sequence[tuple[int, int]]) -> "ResizeCrop":
        """Choose the model size whose aspect ratio is closest, so that the crop loses least.

        Raises:
            InputError: A side is shorter than 16 pixels.
        """
        if min(height, width) < MIN_SIDE_PX:
            raise InputError(
                f"images must be at least {MIN_SIDE_PX} pixels on each side; got {height} x "
                f"{width}. Use a larger image."
            )
        aspect = width / height
        best = min(sizes, key=lambda size: abs(torch.log(torch.tensor(size[1] / size[0] / aspect))))
        return cls(height, width, *best)

    @property
    def _resized(self) -> tuple[int, int]:
        scale = max(self.model_height / self.height, self.model_width / self.width)
        return (
            max(self.model_height, round(self.height * scale)),
            max(self.model_width, round(self.width * scale)),
        )

    @property
    def _corner(self) -> tuple[int, int]:
        height, width = self._resized
        return (height - self.model_height) // 2, (width - self.model_width) // 2

    def images(
        self, images: Float[Tensor, "n 3 height width"]
    ) -> Float[Tensor, "n 3 model_height model_width"]:
        """Resize (anti-aliased) and crop images to the model's size."""
        if tuple(images.shape[-2:]) != (self.height, self.width):
            raise InputError(
                f"images must be {self.height} x {self.width}; got {tuple(images.shape[-2:])}. "
                "Give all images of one call the same size."
            )
        resized = torch.nn.functional.interpolate(
            images, self._resized, mode="bilinear", antialias=True, align_corners=False
        )
        top, left = self._corner
        return resized[..., top : top + self.model_height, left : left + self.model_width].clamp(
            0, 1
        )

    def finer(self) -> "ResizeCrop":
        """Return the same crop with twice the pixels along each side, if the input has them."""
        scale = min(self.height / self.model_height, self.width / self.model_width)
        if scale < _MIN_SCALE_FOR_FINER:
            return self
        return ResizeCrop(self.height, self.width, 2 * self.model_height, 2 * self.model_width)

    def upscaled(self, max_upscale: int) -> "ResizeCrop":
        """Return the same crop with as many times the model's pixels along each side as there are.

        Args:
            max_upscale: So many times at most; the result is a whole number, 1 or more.
        """
        times = min(self.height / self.model_height, self.width / self.model_width, max_upscale)
        times = max(1, math.floor(times + 0.05))
        return replace(
            self, model_height=times * self.model_height, model_width=times * self.model_width
        )

    def of_model(self) -> "ResizeCrop":
        """Return the resize and crop of images of the model's size, which changes nothing."""
        return replace(self, height=self.model_height, width=self.model_width)

    def cameras(self, cameras: Cameras) -> Cameras:
        """State cameras of the input for the model's images. Inverse of `restored`."""
        height, width = self._resized
        top, left = self._corner
        resized = cameras.resized(height=height, width=width)
        return resized.cropped(top=top, left=left, height=self.model_height, width=self.model_width)

    def restored(self, cameras: Cameras) -> Cameras:
        """State cameras of the model's images for the input. Inverse of `cameras`."""
        height, width = self._resized
        top, left = self._corner
        padded = cameras.cropped(top=-top, left=-left, height=height, width=width)
        return padded.resized(height=self.height, width=self.width)

    def map(
        self, values: Float[Tensor, "rows columns"]
    ) -> Float[Tensor, "model_height model_width"]:
        """State a map of numbers over the input, on any grid, for every pixel the model sees."""
        (height, width), (top, left) = self._resized, self._corner
        y = (torch.arange(self.model_height) + 0.5 + top) / height
        x = (torch.arange(self.model_width) + 0.5 + left) / width
        return _read_map(values, y, x)

    def restored_map(
        self, values: Float[Tensor, "rows columns"]
    ) -> Float[Tensor, "rows_of_input columns_of_input"]:
        """State a map over the model's images for the whole input, as finely as it is.

        What the model does not see has the number of the nearest place that it does.
        """
        (height, width), (top, left) = self._resized, self._corner
        rows, columns = values.shape
        rows = math.ceil(rows * height / self.model_height)
        columns = math.ceil(columns * width / self.model_width)
        y = ((torch.arange(rows) + 0.5) / rows * height - top) / self.model_height
        x = ((torch.arange(columns) + 0.5) / columns * width - left) / self.model_width
        return _read_map(values, y, x)


def _read_map(values: Tensor, y: Float[Tensor, "rows"], x: Float[Tensor, "columns"]) -> Tensor:
    """Read a map between its cells; `y` and `x` run from 0 to 1 over it, beyond is its edge."""
    at = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing="xy"), -1)
    grid = at[None].to(values)
    return torch.nn.functional.grid_sample(
        values[None, None], grid, padding_mode="border", align_corners=False
    )[0, 0]
