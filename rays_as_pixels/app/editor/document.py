"""The edit document: keyframes and how they are joined, as the editor and the server exchange them.

A plain JSON object, version 1: see `EditDocument`. Any visitor can send one, so it is all checked.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator

from rays_as_pixels.app.validation import StrictModel, WholeNumber, validated
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import (
    quaternion_wxyz_from_rotation,
    rotation_from_quaternion_wxyz,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.keyframes import Keyframe, SplineOptions
from rays_as_pixels.trajectories.splines import trajectory_from_keyframes

FORMAT, VERSION = "rays-as-pixels/edit", 1
MAX_BYTES = 64 * 1024
MAX_KEYFRAMES = 200
MAX_FRAMES = 1000
MAX_SIDE_PX = 8192
FARTHEST = 1e6  # scene units, seconds and degrees
REMEDY = "Correct it, or start again from a path or a preset."
Document = dict[str, Any]

Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Triple = Annotated[list[Number], Field(min_length=3, max_length=3)]
Quadruple = Annotated[list[Number], Field(min_length=4, max_length=4)]
Word = Annotated[str, Field(max_length=40)]
FrameCount = Annotated[WholeNumber, Field(ge=1, le=MAX_FRAMES)]
Fps = Annotated[float, Field(ge=1e-3, le=1e5)]
SidePx = Annotated[WholeNumber, Field(ge=1, le=MAX_SIDE_PX)]
HfovDeg = Annotated[float, Field(ge=1, le=170)]


class KeyframeFields(StrictModel):
    """A keyframe in the document, see `Keyframe`.

    Attributes:
        time_sec: As there; likewise hfov_deg, easing, tcb, handle_in, handle_out and roll_deg.
        position: Camera centre, world axes, scene units.
        quaternion_wxyz: Rotation world_from_cam, OpenCV axes, of length 1.
    """

    time_sec: Number
    position: Triple
    quaternion_wxyz: Quadruple
    hfov_deg: HfovDeg
    easing: Word
    tcb: Triple
    handle_in: Triple | None
    handle_out: Triple | None
    roll_deg: Number

    @field_validator("quaternion_wxyz")
    @classmethod
    def _unit_length(cls, value: list[float]) -> list[float]:
        if abs(sum(part * part for part in value) ** 0.5 - 1) > 1e-3:
            raise ValueError("must have length 1")
        return value

    def keyframe(self) -> Keyframe:
        """Return the keyframe.

        Raises:
            InputError: It breaks a rule of `Keyframe`.
        """
        wxyz = torch.tensor(self.quaternion_wxyz, dtype=torch.float64)
        centre = torch.tensor(self.position, dtype=torch.float64)
        return Keyframe(
            time_sec=self.time_sec,
            world_from_cam=rigid(rotation_from_quaternion_wxyz(wxyz), centre),
            hfov_deg=self.hfov_deg,
            easing=self.easing,
            tcb=_tuple(self.tcb),
            handle_in=None if self.handle_in is None else _tuple(self.handle_in),
            handle_out=None if self.handle_out is None else _tuple(self.handle_out),
            roll_deg=self.roll_deg,
        )


class OptionFields(StrictModel):
    """How the keyframes are joined, see `SplineOptions`, whose fields these are."""

    position: Word
    rotation: Word
    look_at: Triple | None
    closed: bool
    closing_sec: Annotated[float, Field(ge=1e-6, le=FARTHEST)] | None
    speed: Word

    def options(self) -> SplineOptions:
        """Return the options.

        Raises:
            InputError: They break a rule of `SplineOptions`.
        """
        fields: dict[str, Any] = self.model_dump()
        fields["look_at"] = None if self.look_at is None else _tuple(self.look_at)
        return SplineOptions(**fields)


class EditDocument(StrictModel):
    """A path that is edited.

    Attributes:
        format: Says what this is.
        version: Of the format.
        num_frames: Frames of the path.
        fps: Frames per second.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        keyframes: In the order of time.
        options: How they are joined.
    """

    format: Literal["rays-as-pixels/edit"]
    version: Literal[1]
    num_frames: FrameCount
    fps: Fps
    width: SidePx
    height: SidePx
    keyframes: Annotated[list[KeyframeFields], Field(min_length=1, max_length=MAX_KEYFRAMES)]
    options: OptionFields


def read_document(document: object) -> EditDocument:
    """Return a document whose fields are checked.

    Raises:
        InputError: A field is missing, unknown, of another type or outside its range, or the
            document is too long.
    """
    _check_bytes(document)
    return validated(
        EditDocument,
        document,
        name="the document",
        remedy=REMEDY,
        labels={"keyframes": "keyframe {n}"},
    )


def trajectory_from_document(document: object) -> Trajectory:
    """Return the path that a document describes, frame by frame, after checking all of it.

    Returns:
        float64 cameras with square pixels and a centred principal point, in the document's world;
        `.reanchored()` makes frame 0 the identity.

    Raises:
        InputError: As `read_document`, or the keyframes make no path (see
            `trajectory_from_keyframes`).
    """
    read = read_document(document)
    return trajectory_from_keyframes(
        [key.keyframe() for key in read.keyframes],
        num_frames=read.num_frames,
        fps=read.fps,
        height=read.height,
        width=read.width,
        options=read.options.options(),
    )


def document_from_keyframes(
    keyframes: Sequence[Keyframe],
    *,
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    options: SplineOptions | None = None,
) -> Document:
    """Write keyframes down as a document that `trajectory_from_document` reads.

    Raises:
        InputError: As there: a document that is returned can be read.
    """
    options = options or SplineOptions()
    document = {
        "format": FORMAT,
        "version": VERSION,
        "num_frames": num_frames,
        "fps": float(fps),
        "width": width,
        "height": height,
        "keyframes": [_key_as_json(key) for key in keyframes],
        "options": {name: _plain(value) for name, value in vars(options).items()},
    }
    trajectory_from_document(document)
    return document


def with_keyframes(document: Document, keyframes: Sequence[Keyframe]) -> Document:
    """Return the document with other keyframes.

    Raises:
        InputError: As `trajectory_from_document`.
    """
    changed = {**document, "keyframes": [_key_as_json(key) for key in keyframes]}
    trajectory_from_document(changed)
    return changed


def trajectory_hash(trajectory: Trajectory) -> str:
    """Name a path by 12 hex digits of the SHA-256 of its poses, intrinsics and image size.

    The editor shows it beside "confirmed", so that one can tell that the path a model was given is
    the one that was drawn. World frame and every bit count; times do not.
    """
    cameras = trajectory.cameras
    digest = hashlib.sha256(f"{len(trajectory)} {cameras.height} {cameras.width}".encode())
    for tensor in (cameras.world_from_cam, cameras.focal_px, cameras.center_px):
        values = tensor.detach().to("cpu", torch.float64).contiguous()
        digest.update(values.numpy().astype("<f8").tobytes())
    return digest.hexdigest()[:12]


def _check_bytes(document: object) -> None:
    try:
        length = len(json.dumps(document, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the document must be plain JSON with finite numbers; got {error}. {REMEDY}"
        ) from error
    if length > MAX_BYTES:
        raise InputError(
            f"the document must take {MAX_BYTES} bytes or fewer; got {length}. "
            "Remove some keyframes."
        )


def _tuple(triple: list[float]) -> tuple[float, float, float]:
    x, y, z = triple
    return x, y, z


def _key_as_json(key: Keyframe) -> dict[str, Any]:
    world_from_cam = key.world_from_cam.to(torch.float64)
    values = {name: _plain(value) for name, value in vars(key).items()}
    del values["world_from_cam"]
    values["position"] = world_from_cam[:3, 3].tolist()
    values["quaternion_wxyz"] = quaternion_wxyz_from_rotation(world_from_cam[:3, :3]).tolist()
    return values


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
