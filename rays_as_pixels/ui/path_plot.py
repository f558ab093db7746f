"""A Plotly figure on the page that keeps the reader's view when it changes.

Gradio's own plot component mounts anew with every figure, which throws the view away, and brings
another version of Plotly. This one draws with the script of the installed Plotly package, served by
the app itself.
"""

from importlib.resources import files

import gradio as gr

from rays_as_pixels.ui import text
from rays_as_pixels.viz.figures import plotly_script

_TEMPLATE = f"""
<div class="path-plot">
  <div class="path-plot-empty">{text.PLOT_EMPTY}</div>
  <div class="path-plot-canvas" role="img" aria-label="{text.PLOT_LABEL}" style="display:none">
  </div>
  <div class="path-plot-controls" style="display:none">
    <button type="button" data-play="{text.PLOT_PLAY}" data-pause="{text.PLOT_PAUSE}">
      {text.PLOT_PLAY}</button>
    <label>{text.PLOT_FRAME} <input type="range" min="0" max="0" value="0" step="1"></label>
    <output>0</output>
    <small>{text.PLOT_HELP}</small>
  </div>
</div>
"""


def path_plot(*, video_id: str, elem_id: str) -> gr.HTML:
    """Return a component that shows a figure given as Plotly JSON text, or a hint for None.

    Args:
        video_id: Element id of a video to keep in step with the marked frame.
        elem_id: Its own element id.
    """
    script = plotly_script().resolve()
    gr.set_static_paths([script])
    return gr.HTML(
        html_template=_TEMPLATE,
        js_on_load=files("rays_as_pixels.ui").joinpath("path_plot.js").read_text(encoding="utf-8"),
        head=f'<script src="/gradio_api/file={script}"></script>',
        video_id=video_id,
        elem_id=elem_id,
        elem_classes="rap-flat",
    )
