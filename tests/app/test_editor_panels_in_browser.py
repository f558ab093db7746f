"""The path editor in a real browser: table, panels, pen, sources, refusals, playhead, touch."""

import pytest
from editor_page import (  # noqa: F401 - fixtures too
    CONFIRMED,
    PARTS,
    WAIT_MS,
    document_of,
    editor_address,
    editor_browser,
    editor_page_at_rest,
    opened_editor,
    press,
    said,
    settled,
    spot_of,
)

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


def test_a_path_is_drawn_by_keyboard_and_by_pointer(page):
    press(page, "d", "Space")
    for _ in range(6):
        press(page, "ArrowUp")
    for _ in range(6):
        press(page, "ArrowRight")
    press(page, "Enter")
    keys = [one["position"] for one in settled(page)["keyframes"]]
    assert len(keys) >= 3 and keys[0] == pytest.approx([0, 0, 0], abs=1e-9)
    assert keys[-1][0] > 0.02 and keys[-1][2] > 0.02, (
        "up in the top view is forward, right is right"
    )
    assert all(abs(one[1]) < 1e-9 for one in keys), "the top plane"
    press(page, "d")
    box = page.locator("canvas[data-view=top]").bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    page.mouse.move(*middle)
    page.mouse.down()
    for step in range(1, 15):
        page.mouse.move(middle[0] - 6 * step, middle[1] - step * step / 3)
    page.mouse.up()
    drawn = [one["position"] for one in settled(page)["keyframes"]]
    assert drawn[-1][0] < -0.02 and drawn[-1] != keys[-1]


def test_the_table_mirrors_the_views_and_typing_keeps_its_keys(page):
    page.click("[data-tab=keyframes]")
    cell = page.locator("tbody tr").nth(1).locator("[data-cell=x]")
    cell.fill("0.75")
    cell.press("Enter")
    assert settled(page)["keyframes"][1]["position"][0] == 0.75
    yaw = page.locator("tbody tr").nth(2).locator("[data-cell=yaw]")
    assert float(yaw.input_value()) == pytest.approx(-20, abs=0.01)
    yaw.fill("15")
    yaw.press("Tab")
    wxyz = settled(page)["keyframes"][2]["quaternion_wxyz"]
    assert wxyz == pytest.approx([0.99144, 0, 0.13053, 0], abs=1e-5), "15 degrees to the right"
    time = page.locator("tbody tr").nth(1).locator("[data-cell=time]")
    time.fill("1.2")
    time.press("Enter")
    assert [one["time_sec"] for one in settled(page)["keyframes"]] == [0, 0.8, 1.2], "sorted"
    lens = page.locator("tbody tr").nth(0).locator("[data-cell=hfov]")
    before = document_of(page)
    lens.fill("400")
    lens.press("Enter")
    said(page, "between 1 and 170")
    assert lens.input_value() == "60", "the number that holds is shown again"
    assert document_of(page) == before
    lens.press("Home")
    lens.press("k")
    lens.press("Space")
    assert document_of(page) == before, "keys typed in a field are the field's"
    assert not page.evaluate(f"{PARTS}.editor.playing")


def test_panels_change_curve_timing_and_lens(page):
    page.click("[data-tab=curve]")
    page.select_option("[data-field=spline]", "bezier")
    page.click("[data-action=handles_make]")
    assert settled(page)["keyframes"][0]["handle_out"] is not None
    page.select_option("[data-field=spline]", "tcb")
    page.click("[data-tab=path]")
    page.select_option("[data-field=frames]", "13")
    document = settled(page)
    assert document["num_frames"] == 13 and document["fps"] == pytest.approx(15)
    page.fill("[data-field=duration]", "2")
    page.press("[data-field=duration]", "Enter")
    assert settled(page)["keyframes"][-1]["time_sec"] == pytest.approx(2)
    page.click("[data-tab=lens]")
    page.click("[data-action=dolly_zoom_apply]")
    lens = [one["hfov_deg"] for one in settled(page)["keyframes"]]
    assert lens[0] == 60 and lens[2] > lens[0], "nearer to the subject needs a wider lens"
    assert page.inner_text(".rap-ed-chip") == "Confirmed: 13 frames"


def test_a_preset_a_source_and_python_can_start_a_path(page):
    page.click("[data-tab=start]")
    page.select_option("[data-field=preset]", "orbit")
    page.fill("[data-field=amount]", "40")
    page.press("[data-field=amount]", "Tab")
    page.click("[data-action=use_preset]")
    page.wait_for_function(f"() => {PARTS}.editor.past.length === 1")
    assert len(settled(page)["keyframes"]) > 3
    assert "deg" in page.inner_text(".rap-ed-warnings"), "40 degrees are beyond the training range"
    page.click("[data-source=estimated]")
    page.wait_for_function(f"() => {PARTS}.editor.past.length === 2")
    page.click("#load")
    page.wait_for_function(f"() => {PARTS}.editor.past.length === 3")
    assert len(settled(page)["keyframes"]) == 2


def test_a_path_the_server_refuses_is_said_and_the_confirmed_one_stays_the_value(page):
    confirmed = page.evaluate(f"{PARTS}.editor.confirmed.hash")
    page.evaluate(
        f"""() => {{ const {{ editor }} = {PARTS};
        const bad = JSON.parse(JSON.stringify(editor.doc));
        bad.keyframes[1].hfov_deg = 1000; editor.commit(bad); }}"""
    )
    page.wait_for_selector(".rap-ed-chip[data-state=refused]")
    assert "hfov_deg of keyframe 2 must be 170 or less; got 1000" in page.inner_text(
        ".rap-ed-words"
    )
    assert page.get_attribute(".rap-ed", "data-hash") == confirmed
    page.locator("canvas[data-view=persp]").focus()
    press(page, "Control+z")
    settled(page)


def test_the_playhead_tells_the_page_and_follows_it(page):
    page.evaluate("document.addEventListener('rap-scrub', e => { window.scrubbed = e.detail; })")
    press(page, "End", ",")
    assert page.evaluate("window.scrubbed.frame") == 7
    page.evaluate(
        "document.querySelector('.rap-ed').dispatchEvent("
        "new CustomEvent('rap-seek', { detail: { frame: 2 } }))"
    )
    page.wait_for_function(
        "() => document.querySelector('.rap-ed-readout').textContent.startsWith('Frame 2 of 8')"
    )


def test_a_phone_edits_by_touch_and_nothing_overflows(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.wait_for_selector(".rap-ed[data-ready]")
    page.wait_for_function(CONFIRMED)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.evaluate(
        """[...document.querySelectorAll('.rap-ed *')].filter(e =>
        !e.closest('.rap-ed-table-frame, .rap-ed-tabs, dialog')
        && e.getBoundingClientRect().right > 391).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    before = document_of(page)
    last = len(before["keyframes"]) - 1
    x, y = spot_of(page, last)
    touch = {
        "pointerType": "touch",
        "pointerId": 7,
        "bubbles": True,
        "isPrimary": True,
        "button": 0,
    }
    canvas = page.locator("canvas[data-view=persp]")
    page.evaluate(
        "Element.prototype.setPointerCapture = () => {}"
    )  # no such finger for the browser
    canvas.dispatch_event("pointerdown", {**touch, "clientX": x, "clientY": y})
    for step in range(1, 6):
        canvas.dispatch_event(
            "pointermove", {**touch, "clientX": x - 6 * step, "clientY": y - 5 * step}
        )
    canvas.dispatch_event("pointerup", {**touch, "clientX": x - 30, "clientY": y - 25})
    after = settled(page)
    assert after["keyframes"][last]["position"] != before["keyframes"][last]["position"]
    assert after["keyframes"][:last] == before["keyframes"][:last]
    context.close()
