"""A page with the path editor alone, and what its browser tests share."""

import contextlib
import re

import gradio as gr
import pytest
import torch

from rays_as_pixels.app.editor import (
    PathEditor,
    cloud_file,
    document_from_preset,
    trajectory_from_document,
    trajectory_hash,
    write_cloud,
)
from rays_as_pixels.app.editor.cloud import MOST_POINTS
from tests.app.chromium import NO_GPU, chromium_path

SIZE = {"num_frames": 9, "fps": 10.0, "height": 256, "width": 384}
WAIT_MS = 60_000  # for a page to open while other work has the machine
PARTS = "document.querySelector('.rap-ed').rapEditor"
CONFIRMED = (
    f"() => {PARTS}.editor.isConfirmed"
    " && document.querySelector('.rap-ed-chip').dataset.state === 'confirmed'"
)


def _page_of_editor(folder):
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(MOST_POINTS, 3, generator=generator) * 3 - torch.tensor([1.5, 1.5, 0.0])
    colors = torch.rand(MOST_POINTS, 3, generator=generator)
    cloud = write_cloud(folder / "cloud.bin", points, colors)
    arc = document_from_preset("arc-right", amount=25.0, **SIZE)
    other = document_from_preset("dolly-in", **SIZE)
    with gr.Blocks(analytics_enabled=False) as app:
        editor = PathEditor(
            arc,
            sources=[{"name": "estimated", "label": "Estimated path", "document": arc}],
            overlays=[{"label": "Ghost", "positions": [[0, 0, 0], [0.2, 0, 0.1]]}],
            cloud=cloud_file(cloud),
            frame_counts=[5, 9, 13],
            language="en",
        )
        said = gr.Textbox(elem_id="said")
        button = gr.Button("Load", elem_id="load")
        editor.path_commit(_hash_of, editor, said)
        button.click(lambda: other, None, editor)
    return app


def _hash_of(document):
    return trajectory_hash(trajectory_from_document(document))


@pytest.fixture(scope="module", name="address")
def editor_address(tmp_path_factory):
    app = _page_of_editor(tmp_path_factory.mktemp("editor"))
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    yield url
    app.close()


@pytest.fixture(scope="module", name="browser")
def editor_browser(browser):
    """A Chromium that uses no GPU, not even an emulated one: the editor needs none."""
    chromium = browser.browser_type.launch(executable_path=chromium_path(), args=NO_GPU)
    yield chromium
    chromium.close()


@contextlib.contextmanager
def opened_page(browser, address, *, width=1100, height=1000, **options):
    """A page with an editor that is ready; `faults` and `foreign` must stay empty."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.foreign, page.faults = [], []
    page.on("request", lambda request: _note(page.foreign, request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".rap-ed[data-ready]")
    yield page
    context.close()


@pytest.fixture(scope="module", name="opened")
def opened_editor(browser, address):
    with opened_page(browser, address) as page:
        page.wait_for_function(
            f"() => document.querySelector('.rap-ed').dataset.points == {MOST_POINTS}"
        )
        yield page


@pytest.fixture(name="page")
def editor_page_at_rest(opened):
    """The page with three keyframes in a known state, and the focus in the large view."""
    keys = [
        _key(0.0, [0, 0, 0], [1, 0, 0, 0]),
        _key(0.4, [0.3, 0, 0.1], [0.9961946981, 0, -0.0871557427, 0]),
        _key(0.8, [0.5, -0.1, 0.4], [0.984807753, 0, -0.1736481777, 0]),
    ]
    options = {"position": "catmull-rom", "rotation": "squad", "look_at": None, "closed": False}
    options |= {"closing_sec": None, "speed": "keys"}
    document = {"format": "rays-as-pixels/edit", "version": 1, **SIZE}
    document |= {"keyframes": keys, "options": options}
    opened.evaluate(
        f"""doc => {{ const {{ editor, stage }} = {PARTS};
        Object.assign(editor, {{ tool: 'move', scope: 'key', axis: null, snap: false, local: false,
          pen: null, playing: false }});
        editor.load(doc); editor.past = []; editor.future = []; editor.roundTrips = [];
        stage.promote('persp'); stage.frameAll(); stage.main.canvas.focus(); }}""",
        document,
    )
    opened.wait_for_function(CONFIRMED)
    yield opened
    assert opened.faults == [] and opened.foreign == []


def _key(time_sec, position, wxyz):
    key = {"time_sec": time_sec, "position": position, "quaternion_wxyz": wxyz, "hfov_deg": 60.0}
    key |= {"easing": "smooth", "tcb": [0, 0, 0], "handle_in": None, "handle_out": None}
    return key | {"roll_deg": 0.0}


def _note(foreign: list, url: str) -> None:
    if not re.match(r"(http://(127\.0\.0\.1|localhost)[:/]|data:|blob:)", url):
        foreign.append(url)


def document_of(page):
    return page.evaluate(f"{PARTS}.editor.doc")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def settled(page):
    page.wait_for_function(CONFIRMED)
    return document_of(page)


def said(page, words):
    """Wait until the status line says these words."""
    page.wait_for_function(
        "words => document.querySelector('.rap-ed-words').textContent.includes(words)", arg=words
    )


def hash_shown(page):
    """The name of the path that the page's Python saw last, once the editor shows the same."""
    return page.wait_for_function(
        """() => { const seen = document.querySelector('#said :is(textarea, input)').value;
        return seen && seen === document.querySelector('.rap-ed-hash').textContent && seen; }"""
    ).json_value()


def spot_of(page, index):
    """Where a keyframe is on the screen, in the large view."""
    return spot_on(page, document_of(page)["keyframes"][index]["position"])


def spot_on(page, point):
    """Where a point of the world is on the screen, in the large view."""
    return page.evaluate(
        f"""point => {{ const {{ stage }} = {PARTS};
        const box = stage.main.canvas.getBoundingClientRect();
        stage.drawNow();
        const p = stage.main.project(point);
        return [box.x + p[0], box.y + p[1]]; }}""",
        point,
    )
