"""Training clips from posed videos: random windows in time and space, cameras followed exactly.

A clip is so many frames at one stride, forwards or backwards, cut to a window of the image and
resampled to a size of the network's. Its first frame is the world frame; its unit is settled by
`scale.py`. What is drawn depends on the seed alone.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.scale import Unit, reference_depth, unit_of
from rays_as_pixels.datasets.sequences import PosedVideo
from rays_as_pixels.datasets.spec import DataSource, open_source, parse_spec
from rays_as_pixels.datasets.validate import RefusedError, load_checked
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, stacked
from rays_as_pixels.media.sampling import check_whole

_KEPT_OPEN = 32  # sequences whose cameras, points and frame lists stay in memory


@dataclass(frozen=True)
class WindowRule:
    """How clips are cut.

    Attributes:
        num_frames: Frames per clip.
        sizes: (height, width) of clips; one is drawn for each, nearer shapes more often.
        strides: Smallest and largest step between frames; drawn as far as a sequence allows.
        reverse: Share of clips that play backwards.
        zoom: Largest factor by which a crop may be smaller than the image allows, at least 1:
            longer focal lengths than the data set holds.
        centered: Whether crops are centred; at random places otherwise.
    """

    num_frames: int
    sizes: tuple[tuple[int, int], ...]
    strides: tuple[int, int] = (1, 4)
    reverse: float = 0.5
    zoom: float = 1.25
    centered: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that no clip could keep.

        Raises:
            InputError: A value is out of range.
        """
        check_whole(self.num_frames)
        low, high = self.strides
        fine = 1 <= low <= high and 0 <= self.reverse <= 1 and 1 <= self.zoom <= 4 and self.sizes
        if not fine:
            raise InputError(
                "a window rule must have strides 1 <= a <= b, reverse within [0, 1], zoom within "
                f"[1, 4] and a size; got {self}. Use the defaults."
            )


@dataclass(frozen=True)
class Window:
    """A part of the image, in whole pixels of it."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class SampledClip:
    """One clip.

    Attributes:
        video: (F, 3, H, W) in [0, 1].
        cameras: (F,) float32, frame 0 the identity, in scene units.
        name: Of the sequence.
        source_frame: Frame of the sequence that each is.
        unit: How its unit was settled.
        median_depth: (F,) in scene units, NaN where no points say it.
    """

    video: Float[Tensor, "frames 3 height width"]
    cameras: Cameras
    name: str
    source_frame: tuple[int, ...]
    unit: Unit
    median_depth: Float[Tensor, "frames"]


def draw_frames(count: int, rule: WindowRule, generator: torch.Generator) -> tuple[int, ...]:
    """Draw the frames of a clip from a sequence of `count` frames, in playing order.

    Raises:
        InputError: The sequence is too short at the smallest stride.
    """
    steps = rule.num_frames - 1
    largest = (count - 1) // max(1, steps)
    if largest < rule.strides[0]:
        raise InputError(
            f"a sequence must have {steps * rule.strides[0] + 1} frames or more for clips of "
            f"{rule.num_frames} at stride {rule.strides[0]}; got {count}. Leave it out, or use "
            "fewer frames."
        )
    stride = _draw(rule.strides[0], min(rule.strides[1], largest), generator)
    start = _draw(0, count - 1 - stride * steps, generator)
    frames = tuple(range(start, start + stride * steps + 1, stride))
    return frames[::-1] if float(torch.rand((), generator=generator)) < rule.reverse else frames


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def draw_window(
    size: tuple[int, int], target: tuple[int, int], rule: WindowRule, generator: torch.Generator
) -> Window:
    """Draw the part of the image that a clip shows, of the target's shape to a pixel.

    Args:
        size: (height, width) of the image.
        target: (height, width) of the clip.
        rule: Says how far it may be zoomed, and whether it is centred.
        generator: Source of the draw.
    """
    zoom = 1 + (rule.zoom - 1) * float(torch.rand((), generator=generator))
    scale = min(size[0] / target[0], size[1] / target[1]) / zoom
    height = min(size[0], max(1, round(target[0] * scale)))
    width = min(size[1], max(1, round(target[1] * scale)))
    free = size[0] - height, size[1] - width
    if rule.centered:
        return Window(free[0] // 2, free[1] // 2, height, width)
    return Window(_draw(0, free[0], generator), _draw(0, free[1], generator), height, width)


def cut(
    video: Float[Tensor, "n 3 h w"], window: Window, size: tuple[int, int]
) -> Float[Tensor, "n 3 H W"]:
    """Cut a window out of frames and resample it, anti-aliased. `cut_cameras` follows it."""
    part = video[
        ...,
        window.top : window.top + window.height,
        window.left : window.left + window.width,
    ]
    if tuple(part.shape[-2:]) == size:
        return part
    resized = torch.nn.functional.interpolate(
        part, size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized.clamp(0, 1)


def cut_cameras(cameras: Cameras, window: Window, size: tuple[int, int]) -> Cameras:
    """State cameras for what `cut` returns."""
    part = cameras.cropped(
        top=window.top, left=window.left, height=window.height, width=window.width
    )
    return part.resized(height=size[0], width=size[1])


def _draw_size(
    size: tuple[int, int], rule: WindowRule, generator: torch.Generator
) -> tuple[int, int]:
    """Draw a clip size, each as often as the share of the image that it can show."""
    aspect = size[1] / size[0]
    kept = [min(aspect / (w / h), (w / h) / aspect) for h, w in rule.sizes]
    return rule.sizes[int(torch.multinomial(torch.tensor(kept), 1, generator=generator))]


def sample_clip(
    video: PosedVideo, rule: WindowRule, generator: torch.Generator, *, unit: str = "auto"
) -> SampledClip:
    """Draw one clip of a sequence.

    Raises:
        InputError: The sequence is too short, a frame cannot be read, or its unit is unknown and
            must be known.
    """
    frames = draw_frames(len(video), rule, generator)
    size = _draw_size(video.frames.size, rule, generator)
    window = draw_window(video.frames.size, size, rule, generator)
    cameras = cut_cameras(video.cameras, window, size)
    chosen = cameras[torch.tensor(frames)].relative_to(0)
    settled = unit_of(video, cameras, frames[0], chosen.world_from_cam[:, :3, 3], unit)
    depth = [
        None if video.points is None else reference_depth(video.points, cameras, frame)
        for frame in frames
    ]
    known = [float("nan") if value is None else value / settled.length for value in depth]
    return SampledClip(
        cut(video.frames.read(frames), window, size),
        chosen.scaled(1 / settled.length).to(dtype=torch.float32),
        video.name,
        frames,
        settled,
        torch.tensor(known),
    )


@dataclass
class Dataset:
    """All the data of a run, from which clips are drawn by weight.

    Attributes:
        sources: One per SPEC.
        refused: Reason by name of every sequence found to be broken so far.
    """

    sources: tuple[DataSource, ...]

    def __post_init__(self) -> None:
        """Start with nothing refused and nothing read."""
        self.refused: dict[str, str] = {}
        self._load = functools.lru_cache(_KEPT_OPEN)(self._read)

    def _read(self, source: int, index: int) -> PosedVideo:
        return load_checked(self.sources[source].refs[index])

    def __len__(self) -> int:
        """Return the number of sequences, broken ones included."""
        return sum(len(source.refs) for source in self.sources)

    def clips(
        self, rule: WindowRule, *, seed: int, say: Callable[[str], None] | None = None
    ) -> Iterator[SampledClip]:
        """Draw clips for ever. A broken sequence is said once, recorded, and not drawn again.

        Args:
            rule: How clips are cut.
            seed: Of everything drawn.
            say: Receives one line per broken sequence.

        Raises:
            InputError: No sequence is left.
        """
        generator = torch.Generator().manual_seed(seed)
        weights = torch.tensor([source.spec.weight for source in self.sources])
        left = [list(range(len(source.refs))) for source in self.sources]
        while True:
            alive = weights * torch.tensor([float(bool(part)) for part in left])
            if not bool(alive.any()):
                first = next(iter(self.refused.values()), "")
                raise InputError(
                    f"data must hold a sequence that can be used; got {len(self)}, all refused. "
                    f"The first: {first}"
                )
            source = int(torch.multinomial(alive, 1, generator=generator))
            place = _draw(0, len(left[source]) - 1, generator)
            index = left[source][place]
            try:
                video = self._load(source, index)
                yield sample_clip(video, rule, generator, unit=self.sources[source].spec.unit)
            except (RefusedError, InputError) as error:
                del left[source][place]
                name = f"{self.sources[source].spec.text}: {self.sources[source].refs[index].name}"
                if name not in self.refused and say is not None:
                    say(f"data: left out {error}")
                self.refused[name] = str(error)


def open_dataset(specs: Sequence[str]) -> Dataset:
    """Find the sequences of one or more SPECs; see `spec.py`.

    Raises:
        InputError: A SPEC is wrong, or one of them names no sequence.
    """
    if not specs:
        raise InputError("data must name a source; got none. Write KIND:PATH.")
    return Dataset(tuple(open_source(parse_spec(text)) for text in specs))


def clip_batches(
    dataset: Dataset,
    rule: WindowRule,
    batch: int,
    *,
    seed: int,
    say: Callable[[str], None] | None = None,
) -> Iterator[tuple[Float[Tensor, "batch frames 3 height width"], Cameras]]:
    """Draw batches of clips of one size for ever: what training takes.

    Args:
        dataset: From `open_dataset`.
        rule: How clips are cut.
        batch: Clips per batch.
        seed: Of everything drawn.
        say: Receives one line per broken sequence.

    Yields:
        Videos in [0, 1], and their cameras: frame 0 the identity, translations in scene units.
    """
    for clips in batches_of(dataset.clips(rule, seed=seed, say=say), batch):
        video = torch.stack([clip.video for clip in clips])
        yield video, stacked([clip.cameras for clip in clips])


def batches_of(clips: Iterator[SampledClip], batch: int) -> Iterator[list[SampledClip]]:
    """Collect clips by size and give out a batch as soon as one is full."""
    waiting: dict[tuple[int, ...], list[SampledClip]] = {}
    for clip in clips:
        group = waiting.setdefault(tuple(clip.video.shape), [])
        group.append(clip)
        if len(group) == batch:
            yield waiting.pop(tuple(clip.video.shape))
