"""Single images and image folders, read upright by their EXIF orientation."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write
from rays_as_pixels.media.clip import SourceInfo
from rays_as_pixels.media.orientation import Orientation, orientation_from_exif, orientation_note
from rays_as_pixels.media.writing import as_uint8, check_unit_range

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
NOMINAL_FPS = 10.0  # images carry no times
_EXIF_ORIENTATION = 274
_OPAQUE = 255


def is_image_file(path: Path) -> bool:
    """Tell by its suffix whether a file is read as a still image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class ImageSequence:
    """Image files of one size in the order in which they are frames.

    Attributes:
        paths: The files.
        info: What they hold together.
        notes: What is worth saying about them.
    """

    paths: tuple[Path, ...]
    info: SourceInfo
    notes: tuple[str, ...]


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise InputError(
            f"{path.name} must exist; got no such file. Check the path and its spelling."
        ) from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path.name} must be an image that can be read; got a file of unknown kind. "
            "Convert it to PNG or JPEG."
        ) from None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path.name} must be an image that can be read; got: {error}. "
            "Convert it to a smaller PNG or JPEG."
        ) from None


def _orientation(image: Image.Image) -> Orientation:
    return orientation_from_exif(image.getexif().get(_EXIF_ORIENTATION))


def _upright_size(path: Path) -> tuple[tuple[int, int], Orientation, str]:
    with _opened(path) as image:
        orientation = _orientation(image)
        size = orientation.size(height=image.height, width=image.width)
        return size, orientation, (image.format or path.suffix[1:]).lower()


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """Return the image in 8-bit RGB, refusing what that would lose."""
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":
        raise InputError(
            f"{name} must hold one picture; got {count} frames or pages. "
            "Convert an animation to mp4 or gif, or save one page."
        )
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.float64) / 257.0  # 65535 / 255
        return Image.fromarray(np.rint(wide).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(
            f"{name} must hold 8 or 16 bits per channel; got mode {image.mode}, whose white is "
            "not known. Convert it to an ordinary PNG."
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() != (_OPAQUE, _OPAQUE):
            raise InputError(
                f"{name} must be opaque; got transparent pixels. "
                "Flatten it onto a background colour first."
            )
        return rgba.convert("RGB")
    return image.convert("RGB")


def _pixels(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Return upright H W 3 uint8, reduced to `size` (height, width) where that is smaller."""
    with _opened(path) as image:
        try:
            orientation = _orientation(image)
            picture = _rgb(image, path.name)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{path.name} must be complete; got a damaged or truncated image ({error}). "
                "Copy or download it again."
            ) from None
    stored = (picture.height, picture.width)
    if size is not None and orientation.size(height=stored[0], width=stored[1]) != size:
        height, width = orientation.size(height=size[0], width=size[1])
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return orientation.apply(np.asarray(picture))


def image_pixels(path: Path, *, height: int, width: int) -> np.ndarray:
    """Return upright H W 3 uint8 pixels at the given size, which is at most the image's own."""
    return _pixels(path, (height, width))


def read_image(path: "str | Path") -> Float[Tensor, "3 height width"]:
    """Read one image, upright by its EXIF orientation, as RGB in [0, 1]. Inverse: `write_image`.

    Raises:
        InputError: The file is missing, not an image, damaged, animated or transparent.
    """
    pixels = _pixels(Path(path), None)
    return torch.from_numpy(pixels).movedim(-1, 0).float() / 255.0


def write_image(path: "str | Path", image: Float[Tensor, "3 height width"]) -> None:
    """Write one RGB image in [0, 1] as PNG or JPEG (quality 95), atomically.

    PNG keeps 8 bits exactly. Inverse: `read_image`.

    Raises:
        InputError: The suffix, the shape or a value is wrong, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(
            f"an image file must end in .png or .jpg; got {path.name}. Rename the output."
        )
    if image.dim() != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise InputError(
            f"image must have shape 3 H W; got {tuple(image.shape)}. Put the channels first."
        )
    check_unit_range("image", image)
    pixels = as_uint8(image).numpy()
    file_format = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, file_format, quality=95)


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def _images_of_folder(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the images of a folder in their order, and a note where other files were left out."""
    visible = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    paths = sorted((p for p in visible if is_image_file(p)), key=_natural_key)
    if not paths:
        raise InputError(
            f"the folder {folder.name} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}); "
            f"got {len(visible)} other files. Choose the folder that holds the frames."
        )
    others = len(visible) - len(paths)
    if not others:
        return paths, ()
    return paths, (f"Left out {others} file(s) of the folder that are not images.",)


def _common_size(paths: list[Path]) -> tuple[tuple[int, int], Orientation, str]:
    """Return the upright (height, width) of all images, the first one's orientation, and codecs."""
    size, orientation, codec = _upright_size(paths[0])
    codecs = {codec}
    for other in paths[1:]:
        other_size, _, other_codec = _upright_size(other)
        codecs.add(other_codec)
        if other_size != size:
            raise InputError(
                f"the images of a folder must have one size; got {size[1]}x{size[0]} "
                f"({paths[0].name}) and {other_size[1]}x{other_size[0]} ({other.name}). "
                "Resize or crop them to one size first."
            )
    return size, orientation, "+".join(sorted(codecs))


def image_sequence(path: Path, *, fps: float | None) -> ImageSequence:
    """List an image folder, or one image, as frames.

    Args:
        path: A folder or an image file.
        fps: Rate at which the images were taken; 10 if not known.

    Raises:
        InputError: The folder holds no image, or the images differ in size.
    """
    paths, notes = _images_of_folder(path) if path.is_dir() else ([path], ())
    size, orientation, codec = _common_size(paths)
    rate = NOMINAL_FPS if fps is None else fps
    if len(paths) > 1:
        notes += (
            f"Images carry no times: took the {len(paths)} images as {rate:g} frames per second.",
        )
    notes += orientation_note(orientation)
    info = SourceInfo(
        name=path.name,
        width=size[1],
        height=size[0],
        fps=rate,
        num_frames=len(paths),
        duration_sec=len(paths) / rate,
        codec=codec,
        rotation_deg=orientation.rotation_deg,
    )
    return ImageSequence(tuple(paths), info, notes)
