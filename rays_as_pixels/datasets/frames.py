"""Where frames come from: image files or a video file, read frame by frame on demand."""

import fnmatch
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.container import (
    FrameMissingError,
    VideoIndex,
    decoded_frames,
    index_video,
)
from rays_as_pixels.media.images import IMAGE_SUFFIXES
from rays_as_pixels.media.video import read_image
from rays_as_pixels.trajectories.formats.naming import natural_key


@dataclass(frozen=True)
class ImageFiles:
    """One image file per frame.

    Attributes:
        paths: In frame order.
    """

    paths: tuple[Path, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first image; `read` refuses others."""
        try:
            with Image.open(self.paths[0]) as image:
                return image.height, image.width
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(
                f"{self.paths[0]} must be an image that can be read; got {error}. Extract it again."
            ) from None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.paths)

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1]."""
        images = [read_image(self.paths[index]) for index in indices]
        for index, image in zip(indices, images, strict=True):
            check_size(image, self.size, str(self.paths[index]))
        return torch.stack(images)


@dataclass(frozen=True)
class VideoFrames:
    """Chosen frames of a video file.

    Attributes:
        path: The file.
        chosen: For each frame its index in the file; None is every frame.
    """

    path: Path
    chosen: tuple[int, ...] | None = None

    @cached_property
    def index(self) -> VideoIndex:
        """The file's frame times."""
        return index_video(self.path)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame."""
        return self.index.info.height, self.index.info.width

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.index.info.num_frames if self.chosen is None else len(self.chosen)

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1]."""
        wanted = [i if self.chosen is None else self.chosen[i] for i in indices]
        try:
            found = self._decoded(self.index, sorted(set(wanted)))
        except FrameMissingError:  # packets of this file are not frames one to one
            found = self._decoded(index_video(self.path, by_decoding=True), sorted(set(wanted)))
        return torch.stack([found[index] for index in wanted])

    def _decoded(self, index: VideoIndex, order: list[int]) -> dict[int, Tensor]:
        height, width = self.size
        pixels = decoded_frames(index, order, height=height, width=width)
        return dict(zip(order, (as_tensor(frame) for frame in pixels), strict=True))


@dataclass(frozen=True)
class EncodedImages:
    """Images that are read as bytes, out of an archive say.

    Attributes:
        names: Of the images, in frame order, for messages.
        fetch: Returns the bytes of the image at an index.
        size: (height, width).
    """

    names: tuple[str, ...]
    fetch: Callable[[int], bytes] = field(repr=False)
    size: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.names)

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1]."""
        frames = []
        for index in indices:
            frames.append(as_tensor(decoded_image(self.fetch(index), self.names[index])))
            check_size(frames[-1], self.size, self.names[index])
        return torch.stack(frames)


def decoded_image(data: bytes, name: str) -> np.ndarray:
    """Decode a JPEG or PNG to H W 3 uint8.

    Raises:
        InputError: The bytes are no whole image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise InputError(
            f"{name} must be a whole JPEG or PNG image; got {error}. Write the archive again."
        ) from None


def as_tensor(pixels: np.ndarray) -> Float[Tensor, "3 height width"]:
    """Turn H W 3 uint8 into 3 H W in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).movedim(-1, 0).float() / 255.0


def check_size(image: Tensor, size: tuple[int, int], name: str) -> None:
    """Refuse an image of another size than its sequence's.

    Raises:
        InputError: It is of another size.
    """
    if tuple(image.shape[-2:]) != size:
        raise InputError(
            f"{name} must be {size[1]}x{size[0]} like the rest of its sequence; got "
            f"{image.shape[-1]}x{image.shape[-2]}. Extract the frames again."
        )


def files_under(root: Path, pattern: str) -> Iterator[Path]:
    """List the files of a folder at any depth by a name pattern, in order; links are followed.

    A folder that is reached twice, through a link say, is listed once.
    """
    seen: set[str] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            inner[:] = []
            continue
        seen.add(real)
        inner.sort()
        yield from (Path(folder) / name for name in sorted(fnmatch.filter(names, pattern)))


def images_of(folder: Path) -> list[Path]:
    """List the image files of a folder in the order of the numbers in their names."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
    return sorted((p for p in found if not p.name.startswith(".")), key=_by_number)


def _by_number(path: Path) -> tuple:
    return natural_key(path.name)
