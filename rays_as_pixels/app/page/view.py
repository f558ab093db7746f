"""What stands beside the steps: the clip, the 3D view, downloads; and what their events do."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.page.binding import Updates, Values, bind
from rays_as_pixels.app.page.downloads import prepare_download
from rays_as_pixels.app.page.results import view_updates
from rays_as_pixels.app.path_view import PathView
from rays_as_pixels.app.server.session import Session

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

CLIP_ID = "clip-used"
VIEW_HEIGHT = 270
label = i18n.label


@dataclass(frozen=True)
class ViewPanel:
    """The components beside the steps.

    Attributes:
        clip: The frames used, as a video.
        overlay: Which path is drawn over the main one.
        download_panel: Holds what follows.
        download_what: Which path or video.
        download_format: Format of a path.
        download_button: Gives the file.
        download_notes: What the format keeps.
        plot: The path in 3D.
    """

    clip: gr.Video
    overlay: gr.Dropdown
    download_panel: gr.Column
    download_what: gr.Dropdown
    download_format: gr.Dropdown
    download_button: gr.DownloadButton
    download_notes: gr.Markdown
    plot: PathView


def build_view() -> ViewPanel:
    """Add the panel to the page."""
    with gr.Row(equal_height=True, elem_classes="rap-beside"):
        clip = gr.Video(
            label=label("clip"),
            visible=False,
            interactive=False,
            autoplay=False,
            loop=True,
            elem_id=CLIP_ID,
            scale=2,
            min_width=180,
            height=168,
            buttons=[],
        )
        with gr.Column(
            visible=False, scale=3, min_width=200, elem_id="downloads", elem_classes="rap-dl"
        ) as panel:
            overlay = gr.Dropdown(
                [("-", "")],
                value="",
                label=label("overlay"),
                visible=False,
                elem_id="overlay",
                min_width=110,
            )
            what, file_format, button = _download_row()
            notes = gr.Markdown(elem_id="dl-notes", elem_classes="rap-hint")
    plot = PathView(
        video_id=[CLIP_ID, "compare-b", "loop-compare-b"],
        editor_id="editor",
        height=VIEW_HEIGHT,
        elem_id="plot",
        elem_classes="rap-flat",
    )
    return ViewPanel(clip, overlay, panel, what, file_format, button, notes, plot)


def _download_row() -> tuple[gr.Dropdown, gr.Dropdown, gr.DownloadButton]:
    with gr.Row(elem_classes="rap-dl-row"):
        what = gr.Dropdown([], label=label("dl_what"), elem_id="dl-what", min_width=110)
        file_format = gr.Dropdown(
            [("native", "native")],
            value="native",
            label=label("dl_format"),
            elem_id="dl-format",
            min_width=110,
        )
        button = gr.DownloadButton(
            label("download"), size="sm", elem_id="download", min_width=80, scale=0
        )
    return what, file_format, button


def bind_view(page: "Page") -> None:
    """Connect the panel's events."""
    view = page.view
    bind(
        page,
        view.overlay.input,
        choose_overlay,
        inputs={view.overlay},
        outputs=page.view_outputs,
    )
    bind(
        page,
        [view.download_what.input, view.download_format.input],
        prepare_download,
        inputs={view.download_what, view.download_format},
        outputs=[view.download_button, view.download_notes, view.download_format],
    )


def choose_overlay(page: "Page", session: Session, values: Values) -> Updates:
    """Draw another path over the main one."""
    words = i18n.say("overlay", session.lang)
    name = checks.choice(words, values[page.view.overlay] or "", ("", *session.paths))
    return view_updates(page, replace(session, overlay=name))
