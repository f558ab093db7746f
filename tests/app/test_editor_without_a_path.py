"""The path editor before there is a path: nothing fails, and a path can begin from nothing."""

import gradio as gr
import pytest
import torch
from editor_page import (  # noqa: F401 - a fixture too
    PARTS,
    document_of,
    editor_browser,
    hash_shown,
    opened_page,
    said,
    settled,
    spot_on,
)

from rays_as_pixels.app.editor import (
    PathEditor,
    cloud_file,
    document_from_preset,
    trajectory_from_document,
    trajectory_hash,
    write_cloud,
)

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

# What the sheet of shortcuts shows, and how a browser test presses it.
PRESSES = {
    "[]": ["[", "]"],
    "A": ["a"],
    "G R S": ["g", "r", "s"],
    "X Y Z": ["x", "y", "z"],
    "O": ["o"],
    "N": ["n"],
    "← → ↑ ↓ PgUp PgDn": ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown"],
    "I": ["i"],
    "C": ["c"],
    "Shift D": ["Shift+D"],
    "Del": ["Delete", "Backspace"],
    "{}": ["{", "}"],
    "D": ["d", "Escape"],
    "Ctrl Z": ["Control+z"],
    "Ctrl Shift ZCtrl Y": ["Control+Shift+Z", "Control+y"],
    "K": ["k"],
    "L": ["l"],
    "T": ["t"],
    "Shift T": ["Shift+T"],
    "Shift R": ["Shift+R"],
    "M": ["m"],
    "B": ["b"],
    "Space": ["Space"],
    ",.": [",", "."],
    "Home End": ["End", "Home"],
    "1 – 5": ["2", "3", "4", "5", "1"],
    "Alt ← → ↑ ↓": ["Alt+ArrowLeft", "Alt+ArrowUp"],
    "+−": ["+", "-"],
    "F": ["f"],
    "Esc": ["Escape"],
    "?": ["?", "Escape"],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(2))
    cloud = cloud_file(write_cloud(tmp_path_factory.mktemp("cloud") / "points.bin", points, None))
    with gr.Blocks(analytics_enabled=False) as app:
        editor = PathEditor(frame_counts=[5, 9, 13], language="en")
        name = gr.Textbox(elem_id="said")
        clear, offer = gr.Button("Clear", elem_id="clear"), gr.Button("Offer", elem_id="offer")
        editor.path_commit(
            lambda document: trajectory_hash(trajectory_from_document(document)), editor, name
        )
        clear.click(lambda: _with_a_source(value=None), None, editor)
        offer.click(lambda: _with_a_source(cloud=cloud), None, editor)
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    yield url
    app.close()


def _with_a_source(**more):
    start = document_from_preset("dolly-in", num_frames=9, fps=10.0, height=256, width=384)
    source = {"name": "estimated", "label": "Estimated path", "document": start}
    return PathEditor(sources=[source], frame_counts=[5, 9, 13], language="en", **more)


@pytest.fixture
def page(browser, address):
    with opened_page(browser, address) as page:
        yield page
        assert page.faults == [] and page.foreign == []


def test_nothing_fails_while_there_is_no_path(page):
    assert page.inner_text(".rap-ed-chip") == "No path yet"
    assert "a preset or a drawing" in page.inner_text(".rap-ed-blank")
    for view in ("persp", "camera", "top", "side"):
        page.hover(f"canvas[data-view={view}]")
        assert page.evaluate(_COLOURS, view) > 1, "the ground is drawn"
    for tab in page.locator(".rap-ed-tabs button").all():
        tab.click()
        assert page.locator(".rap-ed-panel:visible").count() == 1
    page.locator("canvas[data-view=persp]").click(position={"x": 80, "y": 80})
    page.mouse.wheel(0, 120)
    page.locator("canvas[data-view=camera]").dblclick()
    page.locator(".rap-ed-timeline-canvas").dblclick(position={"x": 100, "y": 40})
    for shown in page.locator(".rap-ed-sheet dt").all():
        page.locator(".rap-ed-view.is-main canvas").focus()
        for key in PRESSES[shown.text_content()]:
            page.keyboard.press(key)
    assert page.locator(".rap-ed-sheet dt").count() == len(PRESSES)
    assert document_of(page)["keyframes"] == [], "no shortcut makes a path out of nothing"
    page.evaluate("() => new Promise(requestAnimationFrame)")  # a fault would be thrown here
    assert page.inner_text(".rap-ed-chip") == "No path yet"


def test_a_shortcut_that_needs_a_path_says_so(page):
    page.locator("canvas[data-view=persp]").focus()
    page.keyboard.press("i")
    said(page, "a preset or a drawing")


def test_a_path_is_drawn_from_nothing_by_pointer(page):
    page.click("[data-tab=start]")
    page.click("[data-action=draw]")
    page.wait_for_selector(".rap-ed-view.is-main canvas[data-view=top]")
    page.wait_for_selector(".rap-ed-blank", state="hidden")
    x, y = spot_on(page, [0, 0, 0])
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 13):
        page.mouse.move(x + 5 * step, y - step * step / 2)
    page.mouse.up()
    document = settled(page)
    keys = [one["position"] for one in document["keyframes"]]
    assert len(keys) >= 3 and keys[0] == pytest.approx([0, 0, 0], abs=1e-9)
    assert keys[-1][0] > 0.02 and keys[-1][2] > 0.02, "right is +X, up in the top view is +Z"
    assert hash_shown(page) == trajectory_hash(trajectory_from_document(document))


def test_a_path_is_drawn_from_nothing_by_keyboard(page):
    page.locator("canvas[data-view=persp]").focus()
    for key in ("d", "Space", *["ArrowUp"] * 6, *["ArrowLeft"] * 4, "Enter"):
        page.keyboard.press(key)
    last = settled(page)["keyframes"][-1]["position"]
    assert last[0] < -0.02 and last[2] > 0.02


def test_a_preset_begins_a_path_from_nothing(page):
    page.click("[data-tab=start]")
    page.select_option("[data-field=preset]", "orbit")
    page.click("[data-action=use_preset]")
    document = settled(page)
    assert len(document["keyframes"]) > 3 and document["num_frames"] == 9
    assert hash_shown(page) == trajectory_hash(trajectory_from_document(document))
    assert page.locator(".rap-ed-blank").is_hidden()
    page.locator(".rap-ed-view.is-main canvas").focus()
    page.keyboard.press("Control+z")
    said(page, "Nothing to undo")
    assert page.evaluate(f"{PARTS}.editor.isConfirmed")


def test_python_takes_a_path_away_but_not_by_offering_others(page):
    page.click("[data-tab=start]")
    page.click("[data-action=use_preset]")
    begun = settled(page)
    page.click("#offer")
    page.wait_for_selector("[data-source=estimated]")
    page.wait_for_selector(".rap-ed[data-points='50']")
    assert document_of(page) == begun
    page.click("#clear")
    page.wait_for_selector(".rap-ed-chip[data-state=empty]")
    assert document_of(page)["keyframes"] == []
    assert page.get_attribute(".rap-ed", "data-hash") is None
    assert page.locator(".rap-ed-blank").is_visible()
    page.click("[data-source=estimated]")
    assert len(settled(page)["keyframes"]) >= 2


_COLOURS = """view => { const canvas = document.querySelector(`canvas[data-view=${view}]`);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size; }"""
