"""The filmstrip of the first step: trim handles over the whole video, and the frames in use."""

import base64
import io
from typing import Any

import gradio as gr
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rays_as_pixels.app import i18n
from rays_as_pixels.media.clip import Clip

CELL_PX = 72  # height of a picture; shown at about this size, sharp enough on dense screens
OVERVIEW_COUNT = 9
JPEG_QUALITY = 72

_TEMPLATE = """<div class="film" hidden>
  <div class="film-track">
    <div class="film-shade film-left"></div><div class="film-shade film-right"></div>
    <div class="film-ticks"></div>
    <div class="film-handle" role="slider" tabindex="0"></div>
    <div class="film-handle" role="slider" tabindex="0"></div>
  </div>
  <div class="film-used"></div>
</div>"""


def filmstrip(strip: dict[str, Any] | None = None, *, elem_id: str) -> gr.HTML:
    """Return the component. Its event `release` fires when a handle was let go.

    Its property `strip` is what `strip_of` returns, or None for none; its value the part that the
    visitor chose, {"start_sec", "end_sec"}.
    """
    return gr.HTML(
        html_template=_TEMPLATE,
        js_on_load=i18n.script("filmstrip.js", "film_"),
        strip=strip,
        elem_id=elem_id,
        elem_classes="rap-flat",
    )


def strip_of(
    clip: Clip,
    overview: Float[Tensor, "n 3 height width"] | None,
    *,
    start_sec: float,
    end_sec: float,
) -> dict[str, Any]:
    """Return what the filmstrip shows of a clip.

    Args:
        clip: The frames that will be used.
        overview: Frames spread over the whole video, None for a single image.
        start_sec: Where the part that is used starts, in the video.
        end_sec: Where it ends.
    """
    times = (clip.time_sec + clip.start_sec).tolist()
    height, width = clip.video.shape[-2:]
    return {
        "duration_sec": clip.source.duration_sec if overview is not None else 0.0,
        "least_sec": 2 / max(clip.source.fps, 1e-3),
        "start_sec": round(start_sec, 3),
        "end_sec": round(end_sec, 3),
        "aspect": f"{width} / {height}",
        "overview": "" if overview is None else sprite(overview),
        "overview_count": 0 if overview is None else len(overview),
        "frames": sprite(clip.video),
        "used": [[round(t, 3), k] for t, k in zip(times, clip.source_frame, strict=True)],
    }


def sprite(video: Float[Tensor, "n 3 height width"], *, height: int = CELL_PX) -> str:
    """Return the frames side by side as a JPEG data URI."""
    width = max(1, round(height * video.shape[-1] / video.shape[-2]))
    small = torch.nn.functional.interpolate(
        video.to(torch.float32), (height, width), mode="bilinear", antialias=True
    )
    return picture_uri(torch.cat(list(small.clamp(0, 1)), dim=-1))


def picture_uri(image: Float[Tensor, "3 height width"]) -> str:
    """Return a picture as a JPEG data URI."""
    pixels = image.mul(255).round().to(torch.uint8).movedim(0, -1).cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
