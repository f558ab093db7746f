"""The two sources of evaluation clips: held-out rendered worlds and a folder of real clips."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_image
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.worlds import WorldClips, WorldOptions, render_clips

SCENE_UNITS = "scene units"
PATH_LENGTHS = "path lengths"
REAL_FPS = 10.0  # nominal; the real clips' frames come without reliable times
MIN_FRAMES = 5  # of a real clip; fewer say little of a path
_RENDER_BATCH = 8
_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class EvalClip:
    """One clip with what is known about it.

    Attributes:
        name: Unique within an evaluation.
        video: (F, 3, H, W) in [0, 1], at the source's own size.
        fps: Frames per second of these frames.
        source_frame: Index of each frame in the source.
        cameras: (F,) true cameras in pixels of `video`, frame 0 the world frame; None if unknown.
        depth: (F, H, W) true z-depth in scene units; None if unknown.
        unit: Unit of the true translations: "scene units" (median depth of frame 0 is 1) or "path
            lengths" (the furthest distance from frame 0 is 1), where no depth is known.
        seed: Of a rendered world; None for real clips.
        frames: Folder with the images of a real clip.
    """

    name: str
    video: Float[Tensor, "frames 3 H W"]
    fps: float
    source_frame: tuple[int, ...]
    cameras: Cameras | None = None
    depth: Float[Tensor, "frames H W"] | None = None
    unit: str = SCENE_UNITS
    seed: int | None = None
    frames: Path | None = None

    def trajectory(self) -> Trajectory:
        """Return the true path as the pipeline takes it.

        Raises:
            InputError: The clip's cameras are not known.
        """
        if self.cameras is None:
            raise InputError(
                f"clip must have known cameras; got {self.name} without. "
                "Use the loop task for clips without cameras.json."
            )
        return Trajectory(self.cameras, fps=self.fps, source_frame=self.source_frame)


def world_clips(
    num_clips: int,
    *,
    num_frames: int,
    sizes: Sequence[tuple[int, int]],
    first_seed: int = 0,
    device: "torch.device | str" = "cpu",
    split: str = "heldout",
    dynamic_objects: str = "random",
) -> Iterator[EvalClip]:
    """Render worlds with seeds `first_seed`, `first_seed` + 1, ...

    Clip i has size `sizes[i % len(sizes)]`, so that every size the model knows is measured. None is
    object-centric (`worlds.object_centric`), so that both families have motions of one kind.

    Args:
        num_clips: How many.
        num_frames: Frames of each.
        sizes: (height, width) to go through.
        first_seed: Seed of the first.
        device: Where to render.
        split: "heldout", or "train" for the family that training sees.
        dynamic_objects: "random", "none" or "many".

    Raises:
        InputError: There is no clip to render.
    """
    if num_clips < 1:
        raise InputError(f"worlds must be 1 or more; got {num_clips}. Use --worlds 64.")
    for height, width in dict.fromkeys(sizes):
        mine = [i for i in range(num_clips) if sizes[i % len(sizes)] == (height, width)]
        mine.sort(key=lambda i: i % len(sizes))
        for start in range(0, len(mine), _RENDER_BATCH):
            seeds = [first_seed + i for i in mine[start : start + _RENDER_BATCH]]
            batch = render_clips(
                seeds,
                split=split,
                num_frames=num_frames,
                height=height,
                width=width,
                device=device,
                options=WorldOptions(dynamic_objects=dynamic_objects, object_centric_share=0.0),
            )
            yield from _clips_of_batch(batch, seeds)


def _clips_of_batch(batch: WorldClips, seeds: Sequence[int]) -> Iterator[EvalClip]:
    cameras = batch.cameras.to(dtype=torch.float64, device="cpu").relative_to(0)
    for row, seed in enumerate(seeds):
        yield EvalClip(
            name=f"world-{seed:05d}",
            video=batch.video[row].float().cpu(),
            fps=REAL_FPS,
            source_frame=tuple(range(batch.video.shape[1])),
            cameras=cameras[row],
            depth=batch.depth[row].float().cpu(),
            seed=seed,
        )


def first_world(clips: Sequence[EvalClip]) -> int:
    """Return the first seed of rendered clips.

    Raises:
        InputError: The clips are real.
    """
    seeds = [clip.seed for clip in clips if clip.seed is not None]
    if len(seeds) != len(clips):
        raise InputError(
            "clips must be rendered worlds for this task; got real ones. Use --worlds 24."
        )
    return min(seeds)


def sampling_stride(num_available: int, num_frames: int) -> int:
    """Return the stride of the window: half the largest possible one, at least 1.

    The rule looks at the number of frames alone, never at the cameras, so it favours no method and
    holds for clips without cameras.
    """
    return max(1, (num_available - 1) // (num_frames - 1) // 2)


def sampled_frames(
    num_available: int, num_frames: int, stride: int | None = None, *, temporal_stride: int = 1
) -> list[int]:
    """Return the frames 0, s, 2s, ... of a clip, s from `sampling_stride` unless given.

    A clip with fewer frames than asked gives its longest start that the model's autoencoder, of
    this temporal stride, holds, at stride 1.

    Raises:
        InputError: The clip has fewer than 5 frames or is too short for the stride.
    """
    if num_available < MIN_FRAMES:
        raise InputError(
            f"a clip must have {MIN_FRAMES} or more frames; got {num_available}. Remove it from "
            "the folder."
        )
    num_frames = largest_clip_length(min(num_available, num_frames), temporal_stride)
    stride = sampling_stride(num_available, num_frames) if stride is None else stride
    if stride < 1 or (num_frames - 1) * stride >= num_available:
        raise InputError(
            f"stride must be 1 to {(num_available - 1) // (num_frames - 1)} for {num_frames} of "
            f"{num_available} frames; got {stride}. Leave it out for the default rule."
        )
    return list(range(0, (num_frames - 1) * stride + 1, stride))


def find_real_clips(folder: Path) -> list[Path]:
    """Return the clip folders under `folder`: those that hold `frames/` with images.

    Raises:
        InputError: There is none.
    """
    clips = sorted(p.parent for p in folder.glob("*/frames") if p.is_dir())
    if not clips:
        raise InputError(
            f"data folder must hold clips as NAME/frames/*.jpg; got {folder} with none. "
            "Give the folder that contains the clip folders."
        )
    return clips


def real_clip(
    folder: Path, *, num_frames: int | None, stride: int | None = None, temporal_stride: int = 1
) -> EvalClip:
    """Read one real clip: `frames/*.jpg` and, where poses are known, `cameras.json`.

    True translations are divided by their furthest distance from frame 0: without depth there is
    no scene unit, and errors must not depend on the data set's own. Where the file says "grade":
    "rotation", the camera travelled millimetres, which counts as not at all.

    Args:
        folder: Of the clip.
        num_frames: How many to take, see `sampled_frames`; None for all.
        stride: See `sampled_frames`.
        temporal_stride: See `sampled_frames`.
    """
    files = sorted(p for p in (folder / "frames").iterdir() if p.suffix.lower() in _SUFFIXES)
    frames = list(range(len(files)))
    if num_frames is not None:
        frames = sampled_frames(len(files), num_frames, stride, temporal_stride=temporal_stride)
    video = torch.stack([read_image(files[index]) for index in frames])
    step = frames[1] - frames[0]
    cameras = None
    if (folder / "cameras.json").exists():
        cameras = _normalised(read_cameras(folder / "cameras.json", frames))
        if (cameras.height, cameras.width) != tuple(video.shape[-2:]):
            raise InputError(
                f"cameras.json must state the frames' size {tuple(video.shape[-2:])}; got "
                f"{cameras.height} x {cameras.width} in {folder}. Rescale the intrinsics."
            )
    return EvalClip(
        name=folder.name,
        video=video,
        fps=REAL_FPS / step,
        source_frame=tuple(frames),
        cameras=cameras,
        unit=PATH_LENGTHS,
        frames=folder / "frames",
    )


def read_cameras(path: Path, frames: Sequence[int]) -> Cameras:
    """Read the chosen frames of a cameras.json, OpenCV camera-to-world, frame 0 the world frame.

    Raises:
        InputError: The file states another convention, lacks a frame, or a pose is not rigid.
    """
    data = json.loads(path.read_text())
    if data.get("convention") != "opencv_cam2world":
        raise InputError(
            f"convention must be opencv_cam2world; got {data.get('convention')!r} in {path}. "
            "Convert the poses."
        )
    try:
        chosen = [data["frames"][index] for index in frames]
        pose = [frame["cam2world"] for frame in chosen]
        focal = [[frame["fx"], frame["fy"]] for frame in chosen]
        center = [[frame["cx"], frame["cy"]] for frame in chosen]
    except (IndexError, KeyError) as error:
        raise InputError(
            f"cameras.json must hold cam2world, fx, fy, cx, cy for frame {max(frames)} and those "
            f"before; got {path} without {error}. Write one entry per image."
        ) from error
    tensors = [torch.tensor(value, dtype=torch.float64) for value in (pose, focal, center)]
    if data.get("grade") == "rotation":
        tensors[0][:, :3, 3] = 0
    return Cameras(*tensors, height=data["height"], width=data["width"]).relative_to(0)


def _normalised(cameras: Cameras) -> Cameras:
    extent = cameras.world_from_cam[:, :3, 3].norm(dim=-1).max()
    return cameras.scaled(1 / extent) if extent > 1e-9 else cameras
