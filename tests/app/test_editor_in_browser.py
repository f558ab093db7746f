"""The path editor in a real browser: drag, keys, undo, exactness, names, no network."""

import json
from pathlib import Path

import pytest
from editor_page import (  # noqa: F401 - fixtures too
    PARTS,
    document_of,
    editor_address,
    editor_browser,
    editor_page_at_rest,
    hash_shown,
    opened_editor,
    press,
    said,
    settled,
    spot_of,
)

from rays_as_pixels.app.editor import editor_script, trajectory_from_document, trajectory_hash

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]
GOLDEN = Path(__file__).parents[1] / "trajectories" / "golden_splines.json"


def test_the_script_draws_the_splines_of_the_library(browser):
    """Every golden vector, to the tolerance that the file states."""
    page = browser.new_page()
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    script = editor_script(("math", "spline"))
    worst = page.evaluate(
        f"""golden => {{ {script}
        const miss = {{ easings: 0 }};
        for (const [name, values] of Object.entries(golden.easings)) values.forEach((value, i) => {{
          const away = Math.abs(EASINGS[name](golden.easing_share[i]) - value);
          miss.easings = Math.max(miss.easings, away); }});
        for (const {{ name, keyframes, options, num_frames, expected }} of golden.cases) {{
          miss[name] = 0;
          const seen = (a, b) => {{ miss[name] = Math.max(miss[name], Math.abs(a - b)); }};
          new SplinePath(keyframes, options).frames(num_frames).forEach((camera, i) => {{
            camera.position.forEach((v, j) => seen(v, expected.position[i][j]));
            const wanted = expected.quaternion_wxyz[i], turn = camera.quaternion_wxyz;
            const sign = Math.sign(qDot(wanted, turn));
            turn.forEach((v, j) => seen(sign * v, wanted[j]));
            seen(camera.hfov_deg, expected.hfov_deg[i]); }}); }}
        return miss; }}""",
        golden,
    )
    page.close()
    assert set(worst) == {"easings", *(case["name"] for case in golden["cases"])}
    for name, miss in worst.items():
        constant = name.startswith("constant")
        assert miss <= golden["tolerance_constant_speed" if constant else "tolerance"], name


def test_what_is_drawn_is_what_the_server_confirmed_and_what_python_gets(page):
    document = settled(page)
    path = trajectory_from_document(document)
    drawn, ours = page.evaluate(
        f"(editor => [editor.frames, editor.path.frames(9)])({PARTS}.editor)"
    )
    assert [one["position"] for one in drawn] == path.positions.tolist(), "bit for bit"
    for server, script in zip(drawn, ours, strict=True):
        assert script["position"] == pytest.approx(server["position"], abs=1e-9)
    assert page.inner_text(".rap-ed-chip") == "Confirmed: 9 frames"
    assert page.inner_text(".rap-ed-hash") == trajectory_hash(path)


@pytest.mark.slow  # one time in four Gradio shows no answer here in a minute: not understood yet
def test_what_is_committed_reaches_python(page):
    document = settled(page)
    x, y = spot_of(page, 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 48, y - 24, steps=6)
    page.mouse.up()
    assert settled(page) != document
    press(page, "Control+z")
    assert settled(page) == document
    assert hash_shown(page) == trajectory_hash(trajectory_from_document(document))


def test_a_drag_is_a_draft_until_its_end_commits_once_and_undo_is_exact(page):
    before = settled(page)
    x, y = spot_of(page, 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 48, y - 24, steps=6)
    page.wait_for_selector(".rap-ed-chip[data-state=draft]")
    assert document_of(page) == before
    page.mouse.up()
    after = settled(page)
    moved = [one["position"] for one in after["keyframes"]]
    assert moved[1] != before["keyframes"][1]["position"]
    assert moved[::2] == [one["position"] for one in before["keyframes"]][::2]
    assert page.evaluate(f"{PARTS}.editor.past.length") == 1, "one step of undo per drag"
    press(page, "Control+z")
    assert settled(page) == before
    press(page, "Control+Shift+z")
    assert settled(page) == after


def test_an_axis_lock_holds_the_other_axes(page):
    before = settled(page)["keyframes"][1]["position"]
    press(page, "]", "x")
    x, y = spot_of(page, 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=4)
    page.mouse.up()
    after = settled(page)["keyframes"][1]["position"]
    assert after[0] != before[0] and after[1:] == before[1:]


@pytest.mark.slow
def test_every_edit_is_reached_by_keyboard_and_undone_to_the_start(page):
    start = settled(page)
    counts, steps = [], 0
    for keys, keyframes in (
        (["]", "ArrowRight"], 3),
        (["r", "ArrowUp"], 3),
        (["g", "PageUp"], 3),
        (["Shift+D"], 4),
        (["Delete"], 3),
        ([".", "i"], 4),
        (["}"], 4),
        (["c"], 5),
        (["k"], 5),
        (["l"], 5),
        (["k"], 5),
        (["t"], 5),
        (["ArrowLeft"], 5),
        (["t"], 5),
        (["Shift+R"], 5),
        (["m"], 5),
        (["b"], 5),
        (["s", "ArrowUp"], 5),
        (["a", "x", "ArrowRight", "Escape"], 5),
    ):
        before = document_of(page)
        press(page, *keys)
        page.wait_for_function(f"n => {PARTS}.editor.past.length === n", arg=steps + 1)
        steps += 1
        after = settled(page)
        assert after != before, keys
        assert len(after["keyframes"]) == keyframes, keys
        counts.append(len(after["keyframes"]))
    for _ in range(steps):
        press(page, "Control+z")
    assert settled(page) == start
    press(page, "Control+z")
    said(page, "Nothing to undo")
    for _ in range(steps):
        press(page, "Control+y")
    assert len(settled(page)["keyframes"]) == counts[-1]


def test_every_control_can_be_tabbed_to_and_has_a_name(page):
    unnamed = page.evaluate(
        """[...document.querySelectorAll('.rap-ed :is(button, input, select, canvas)')].filter(
        e => {
        const label = e.closest('label'), words = e.textContent.trim();
        const named = e.getAttribute('aria-label') || words || (label && label.textContent.trim());
        return !named || (e.tabIndex < 0 && e.getAttribute('role') !== 'tab');
        }).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    assert page.get_attribute(".rap-ed", "role") == "region"
    assert page.locator(".rap-ed [role=status][aria-live=polite]").count() == 1
    page.keyboard.press("?")
    assert page.locator(".rap-ed-sheet dt").count() >= 25
    page.keyboard.press("Escape")
