"""WebDataset shards: tar files whose members KEY.EXT make one sequence per KEY.

    KEY.trajectory.json   cameras: the project's own trajectory file, times included
    KEY.mp4               frames, as many as cameras, or else
    KEY.000000.jpg ...    one JPEG or PNG per frame
    KEY.points.npz        optional: xyz (P, 3), and frame (O,), point (O,) of each observation
    KEY.json              optional: name, and where the sequence came from

Local .tar files, not compressed: members are read in place. PATH is one file, a folder, or a
pattern such as train-{000000..000099}.tar or train-*.tar. The same files open with the webdataset
package.
"""

import io
import re
import tarfile
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.frames import EncodedImages, VideoFrames, decoded_image
from rays_as_pixels.datasets.sequences import FrameSource, PosedVideo, ScenePoints, SequenceRef
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.native import parse_native

TRAJECTORY, POINTS, VIDEO = "trajectory.json", "points.npz", "mp4"
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_FRAME = re.compile(r"\d+\.(?:jpg|jpeg|png)")


@dataclass(frozen=True)
class Member:
    """Where the bytes of a tar member are.

    Attributes:
        path: The tar file.
        offset: Of the first byte.
        size: Number of bytes.
    """

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def shard_files(pattern: str) -> list[Path]:
    """Return the tar files that a path, folder or pattern names, in order.

    Raises:
        InputError: One is missing, or there is none.
    """
    texts = [pattern]
    while any(_BRACES.search(text) for text in texts):
        texts = [inner for text in texts for inner in _expanded(text)]
    files: list[Path] = []
    for text in texts:
        if Path(text).is_dir():
            files += sorted(Path(text).glob("*.tar"))
        elif glob(text):
            files += sorted(Path(name) for name in glob(text))
        else:
            raise InputError(f"shards must exist; got {text}. Check the path.")
    if not files:
        raise InputError(f"shards must be .tar files; got none in {pattern}. Check the path.")
    return files


def _expanded(text: str) -> list[str]:
    match = _BRACES.search(text)
    if match is None:
        return [text]
    first, last = match[1], match[2]
    return [
        f"{text[: match.start()]}{number:0{len(first)}d}{text[match.end() :]}"
        for number in range(int(first), int(last) + 1)
    ]


def find(pattern: str) -> Iterator[SequenceRef]:
    """Find the sequences of all shards; reads headers alone.

    Raises:
        InputError: A file is no tar file, or a key stands in two shards.
    """
    seen: dict[str, Path] = {}
    for path in shard_files(pattern):
        for key, members in read_index(path).items():
            if key in seen:
                raise InputError(
                    f"keys must differ between shards; got {key!r} in {seen[key].name} and "
                    f"{path.name}. Pack the data again."
                )
            seen[key] = path
            yield SequenceRef(key, _Loader(key, members))


def read_index(path: Path) -> dict[str, dict[str, Member]]:
    """List a tar file's members by key and extension, as WebDataset parts them.

    Raises:
        InputError: It is no uncompressed tar file, or it is cut off.
    """
    found: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                if not info.isfile():
                    continue
                folder, slash, base = info.name.rpartition("/")
                stem, _, extension = base.partition(".")
                members = found.setdefault(f"{folder}{slash}{stem}", {})
                members[extension.lower()] = Member(path, info.offset_data, info.size)
        length = path.stat().st_size
    except (tarfile.TarError, OSError) as error:
        raise InputError(
            f"{path.name} must be an uncompressed .tar file; got {error}. Pack the data again."
        ) from None
    ends = [m.offset + m.size for members in found.values() for m in members.values()]
    if ends and max(ends) > length:
        raise InputError(f"{path.name} must be whole; got a file that is cut off. Copy it again.")
    return found


class _Loader:
    def __init__(self, key: str, members: dict[str, Member]) -> None:
        self.key, self.members = key, members

    def __call__(self) -> PosedVideo:
        return read(self.key, self.members)


def read(key: str, members: dict[str, Member]) -> PosedVideo:
    """Read one sequence's cameras and points; frames are read when they are wanted.

    Raises:
        InputError: A member is missing or broken.
    """
    if TRAJECTORY not in members:
        raise InputError(
            f"{key} must have a member {TRAJECTORY}; got {', '.join(sorted(members))}. Pack the "
            "data again."
        )
    try:
        text = members[TRAJECTORY].read().decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"{key}.{TRAJECTORY} must be UTF-8; got other bytes. Pack the data again."
        ) from None
    trajectory, _ = parse_native(text, f"{key}.{TRAJECTORY}")
    return PosedVideo(
        key,
        trajectory.cameras,
        _frames(key, members),
        trajectory.times_sec,
        _points(key, members[POINTS].read()) if POINTS in members else None,
    )


def _frames(key: str, members: dict[str, Member]) -> FrameSource:
    if VIDEO in members:
        return ArchivedVideo(members[VIDEO], f"{key}.{VIDEO}")
    names = sorted(name for name in members if _FRAME.fullmatch(name))
    if not names:
        raise InputError(
            f"{key} must have a member {VIDEO} or numbered images; got "
            f"{', '.join(sorted(members))}. Pack the data again."
        )
    first = decoded_image(members[names[0]].read(), f"{key}.{names[0]}")
    return EncodedImages(
        tuple(f"{key}.{name}" for name in names),
        lambda index: members[names[index]].read(),
        (first.shape[0], first.shape[1]),
    )


def _points(key: str, data: bytes) -> ScenePoints:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            xyz = torch.from_numpy(file["xyz"].astype(np.float64)).reshape(-1, 3)
            if "frame" not in file:
                return ScenePoints(xyz)
            frame, point = (torch.from_numpy(file[n].astype(np.int64)) for n in ("frame", "point"))
            if len(point) and not 0 <= int(point.min()) <= int(point.max()) < len(xyz):
                raise ValueError("an observation names a point that is not there")
            return ScenePoints(xyz, frame, point)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{key}.{POINTS} must hold xyz, and frame and point or neither; got {error}. Pack the "
            "data again."
        ) from None


@dataclass(frozen=True)
class ArchivedVideo:
    """A video inside a tar file, unpacked to a temporary file while it is in use.

    Attributes:
        member: Where its bytes are.
        name: For messages.
    """

    member: Member
    name: str = field(default="")

    @cached_property
    def _video(self) -> VideoFrames:
        with tempfile.NamedTemporaryFile(suffix=".mp4", delete=False) as file:
            file.write(self.member.read())
        path = Path(file.name)
        video = VideoFrames(path)
        weakref.finalize(self, path.unlink, missing_ok=True)
        return video

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame."""
        return self._video.size

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._video)

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1]."""
        return self._video.read(indices)
