"""Pictures of a video while it is still being denoised, and what is kept of it when it is stopped.

Two consecutive states of the Euler sampler give its guess at the finished latents; a linear map
gives their colours. Both cost next to nothing beside a step of the network.
"""

import io
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as nnf
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rays_as_pixels.files import write_bytes

if TYPE_CHECKING:
    from rays_as_pixels.model.autoencoder import LatentCodec
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

CELL_HEIGHT, MAX_WIDTH, MAX_CELLS = 96, 640, 6  # pixels, pixels, latent frames
PICTURES_PER_RUN, MIN_INTERVAL_SEC = 12, 0.3
DECODE_BUDGET_SEC = 0.4  # to keep a stopped video sharp; a stop may take one step and a second
_FIT_CLIPS, _FIT_FRAMES, _FIT_SIDE = 4, 5, 64

_maps: "weakref.WeakKeyDictionary[torch.nn.Module, LatentColors]" = weakref.WeakKeyDictionary()


class LatentColors:
    """The affine map from a video latent's channels to the mean colour of the pixels it stands for.

    Fitted by least squares on a few synthetic clips, once per autoencoder.

    Args:
        codec: The autoencoder with its statistics.
        device: Where it is.
    """

    def __init__(self, codec: "LatentCodec", device: torch.device) -> None:
        clips = _synthetic_clips().to(device)
        started = time.perf_counter()
        latents = codec.encode_video(clips).float().cpu()
        seconds = time.perf_counter() - started
        self.sec_per_pixel = seconds / (clips.shape[0] * clips.shape[1] * _FIT_SIDE**2)
        colors = _pooled(clips.cpu(), latents.shape[-2], latents.shape[-1], codec.temporal_stride)
        rows = latents.movedim(1, -1).flatten(0, -2)
        colors = colors.movedim(2, -1).flatten(0, -2)
        inputs = torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
        ridge = 1e-3 * len(inputs) * torch.eye(inputs.shape[1])
        ridge[-1, -1] = 0.0
        self._map = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ colors)

    def __call__(self, latents: Float[Tensor, "c t h w"]) -> Float[Tensor, "t 3 h w"]:
        """Return the colours of a clip's latents, one image per latent frame, in [0, 1]."""
        rows = latents.detach().float().cpu().movedim(0, -1)
        return (rows @ self._map[:-1] + self._map[-1]).clamp(0, 1).movedim(-1, 1)


class LatentPreview:
    """diffusers' callback on step end: draws the video that the sampler is heading for.

    Args:
        draw: Called as draw(jpeg, step, total) for some of the steps.
    """

    def __init__(self, draw: Callable[[bytes, int, int], None]) -> None:
        self._draw = draw
        self._before: Tensor | None = None
        self._guess: Tensor | None = None
        self._pipeline: RaysAsPixelsPipeline | None = None
        self._drawn = 0.0
        self.step = 0

    def __call__(
        self, pipeline: "RaysAsPixelsPipeline", step: int, _time: Any, latents: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Note a finished step, counted from 0, and draw it now and then."""
        now = latents["latents"]
        before, self._before = self._before, now
        if step == 0 or before is None or before.shape != now.shape:
            self._guess = None  # a new run; its start was not seen
            return {}
        self._guess, self._pipeline = None, pipeline
        if torch.equal(before, now):  # the video is what is given: nothing to look forward to
            return {}
        sigmas = pipeline.scheduler.sigmas
        total = len(sigmas) - 1
        here, after = float(sigmas[step]), float(sigmas[step + 1])
        self._guess, self.step = finished_guess(before, now, here, after), step + 1
        interval = max(1, total // PICTURES_PER_RUN)
        if self.step % interval == 0 and time.monotonic() - self._drawn >= MIN_INTERVAL_SEC:
            self._draw(strip_jpeg(latent_colors(pipeline)(self._guess[0])), self.step, total)
            self._drawn = time.monotonic()
        return {}

    def partial(self) -> tuple[Float[Tensor, "frames 3 h w"], int] | None:
        """Return the video as far as it got, and the repeats of a frame in it; None if too early.

        Decoded in full where that is quick (every frame, once); else in the latents' size (one
        image per latent frame, to be shown for as many frames as it stands for).
        """
        if self._guess is None or self._pipeline is None:
            return None
        colors = latent_colors(self._pipeline)
        codec = self._pipeline.codec
        stride = int(codec.autoencoder.config["scale_factor_spatial"])
        frames, height, width = self._guess.shape[-3:]
        pixels = ((frames - 1) * codec.temporal_stride + 1) * height * width * stride**2
        if 2 * colors.sec_per_pixel * pixels <= DECODE_BUDGET_SEC:
            with torch.no_grad():
                return codec.decode_video(self._guess[:1])[0].float().cpu(), 1
        small = colors(self._guess[0])
        return nnf.interpolate(small, scale_factor=stride, mode="bilinear"), codec.temporal_stride


def finished_guess(before: Tensor, now: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Return the clean latents that a step from `sigma` to `sigma_next` was heading for.

    Flow matching: x = (1 - sigma) clean + sigma noise, so that the step's velocity is
    noise - clean, and clean = x - sigma * velocity.
    """
    velocity = (now - before) / (sigma_next - sigma)
    return now - sigma_next * velocity


def latent_colors(pipeline: "RaysAsPixelsPipeline") -> LatentColors:
    """Return the map of a pipeline's autoencoder, fitted when first asked for."""
    autoencoder = pipeline.codec.autoencoder
    if autoencoder not in _maps:
        with torch.no_grad():
            _maps[autoencoder] = LatentColors(pipeline.codec, pipeline._execution_device)
    return _maps[autoencoder]


def strip_jpeg(colors: Float[Tensor, "t 3 h w"]) -> bytes:
    """Draw images side by side as one small JPEG; of many, some evenly chosen."""
    if len(colors) > MAX_CELLS:
        colors = colors[torch.linspace(0, len(colors) - 1, MAX_CELLS).round().long()]
    ratio = colors.shape[-1] / colors.shape[-2]
    width = int(min(CELL_HEIGHT * ratio, MAX_WIDTH / len(colors)))
    cells = nnf.interpolate(
        colors, size=(max(1, round(width / ratio)), max(1, width)), mode="bicubic"
    )
    row = torch.cat(list(cells.clamp(0, 1)), dim=-1)
    pixels = row.mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def keep_picture(folder: Path, jpeg: bytes, number: int) -> str:
    """Write a picture under a name of its own, drop all but the one before it; return the name."""
    name = f"preview-{number:04d}.jpg"
    write_bytes(folder / name, jpeg)
    for old in sorted(folder.glob("preview-*.jpg"))[:-2]:  # a page may still be fetching one
        old.unlink(missing_ok=True)
    return name


def drop_pictures(folder: Path) -> None:
    """Delete all pictures of unfinished work."""
    for path in folder.glob("preview-*.jpg"):
        path.unlink(missing_ok=True)


def _pooled(
    clips: Float[Tensor, "n frames 3 height width"], height: int, width: int, stride: int
) -> Float[Tensor, "n t 3 h w"]:
    """Average the pixels that each latent stands for: the first frame alone, then `stride` each."""
    small = nnf.adaptive_avg_pool2d(clips.flatten(0, 1), (height, width))
    small = small.unflatten(0, clips.shape[:2])
    later = small[:, 1:].unflatten(1, (-1, stride)).mean(2)
    return torch.cat([small[:, :1], later], dim=1)


def _synthetic_clips() -> Float[Tensor, "n frames 3 side side"]:
    """Draw clips of soft coloured blobs that drift, the same every time."""
    generator = torch.Generator().manual_seed(0)
    room = _FIT_SIDE + _FIT_FRAMES
    clips = []
    for cells in (3, 5, 9, 17)[:_FIT_CLIPS]:
        blobs = torch.rand(1, 3, cells, cells, generator=generator)
        wide = nnf.interpolate(blobs, size=(room, room), mode="bicubic").clamp(0, 1)[0]
        frames = [wide[:, :_FIT_SIDE, k : k + _FIT_SIDE] for k in range(_FIT_FRAMES)]
        clips.append(torch.stack(frames))
    return torch.stack(clips)
