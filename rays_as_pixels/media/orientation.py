"""The turn or mirroring that a file's metadata asks for, applied to arrays of pixels."""

import struct
from dataclasses import dataclass

import numpy as np

from rays_as_pixels.errors import InputError


@dataclass(frozen=True)
class Orientation:
    """Upright from stored: transpose first if `swap`, then flip left-right, then top-bottom."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def mirrored(self) -> bool:
        """True where no turn alone gives the upright picture."""
        return self.swap ^ self.flip_x ^ self.flip_y

    @property
    def rotation_deg(self) -> int:
        """Clockwise turn, after a left-right flip where `mirrored`."""
        if self.swap:
            return 270 if self.flip_y != self.mirrored else 90
        return 180 if self.flip_y else 0

    def size(self, *, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) after turning; its own inverse."""
        return (width, height) if self.swap else (height, width)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return an upright copy of an H W C array."""
        if self.swap:
            image = image.swapaxes(0, 1)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.array(image, order="C")


_FROM_EXIF = {  # tag 274 of EXIF 2.3: where row 0 and column 0 of the stored image belong
    1: Orientation(),
    2: Orientation(flip_x=True),
    3: Orientation(flip_x=True, flip_y=True),
    4: Orientation(flip_y=True),
    5: Orientation(swap=True),
    6: Orientation(swap=True, flip_x=True),
    7: Orientation(swap=True, flip_x=True, flip_y=True),
    8: Orientation(swap=True, flip_y=True),
}


def orientation_from_exif(tag: int | None) -> Orientation:
    """Read EXIF's orientation number; a missing or undefined one means upright."""
    return _FROM_EXIF.get(tag or 1, Orientation())


def orientation_note(orientation: Orientation) -> tuple[str, ...]:
    """Say what metadata turned, or nothing."""
    if orientation == Orientation():
        return ()
    done = ["mirrored"] if orientation.mirrored else []
    if orientation.rotation_deg:
        done.append(f"rotated {orientation.rotation_deg} degrees clockwise")
    return (f"Frames {' and '.join(done)}, as the metadata of the input asks.",)


def orientation_from_display_matrix(data: bytes | None) -> Orientation:
    """Read the 3x3 matrix of ISO 14496-12 (a b u, c d v, x y w; int32): x' = a x + c y.

    Raises:
        InputError: The matrix turns by something other than a multiple of 90 degrees.
    """
    if data is None:
        return Orientation()
    a, b, _, c, d = struct.unpack("=9i", data[:36])[:5]
    if b == 0 and c == 0 and a and d:
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    if a == 0 and d == 0 and b and c:
        return Orientation(swap=True, flip_x=c < 0, flip_y=b < 0)
    raise InputError(
        f"the rotation in the video's metadata must be a multiple of 90 degrees; got the matrix "
        f"[[{a / 65536:g}, {c / 65536:g}], [{b / 65536:g}, {d / 65536:g}]]. "
        "Convert the video to mp4 again so that the turn is in the pixels."
    )
