"""Two videos in step, to compare: a slider between them, or side by side."""

from pathlib import Path
from typing import Any

import gradio as gr

from rays_as_pixels.app import i18n

_TEMPLATE = """<div class="cmp" data-mode="slider" hidden>
  <div class="cmp-stage">
    <div class="cmp-side cmp-a" id="{id}-a"><video muted loop playsinline preload="auto"></video>
      <span class="cmp-name"></span></div>
    <div class="cmp-side cmp-b" id="{id}-b"><video muted loop playsinline preload="auto"></video>
      <span class="cmp-name"></span></div>
    <input class="cmp-cut" type="range" min="0" max="100" value="50" step="1">
  </div>
  <div class="cmp-bar">
    <button type="button" class="cmp-play"></button>
    <input class="cmp-scrub" type="range" min="0" max="0" value="0" step="1">
    <output>0</output>
    <span class="cmp-modes" role="group">
      <button type="button" data-mode="slider"></button>
      <button type="button" data-mode="sides"></button>
      <button type="button" data-mode="only"></button>
    </span>
  </div>
</div>"""


def comparison(*, elem_id: str) -> gr.HTML:
    """Return the component; its value is what `pair_of` returns, or None for none.

    The <video>s lie in elements with the ids ELEM_ID-a and ELEM_ID-b.
    """
    return gr.HTML(
        html_template=_TEMPLATE.replace("{id}", elem_id),
        js_on_load=i18n.script("compare.js", "cmp_"),
        elem_id=elem_id,
        elem_classes="rap-flat",
    )


def pair_of(
    made: Path,
    made_label: str,
    *,
    before: Path | None,
    before_label: str,
    frames: int,
    fps: float,
    aspect: float,
) -> dict[str, Any]:
    """Return what the comparison shows.

    Args:
        made: The generated video.
        made_label: What to call it.
        before: What it is compared with, None to show it alone.
        before_label: What to call that.
        frames: Frames of both.
        fps: Frames per second of both.
        aspect: Width over height of the generated video; the other is cropped to it, as the model
            crops its input.
    """

    def side(path: Path, words: str) -> dict[str, Any]:
        return {"file": gr.FileData(path=str(path)).model_dump(), "label": words}

    return {
        "a": None if before is None else side(before, before_label),
        "b": side(made, made_label),
        "frames": frames,
        "fps": fps,
        "aspect": round(aspect, 5),
    }
