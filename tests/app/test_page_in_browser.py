"""The page in a real browser: the flow, its times, phones, languages, and no other host."""

import re
import threading
import time
from dataclasses import fields, replace

import pytest

from rays_as_pixels.app.examples import find_examples
from rays_as_pixels.app.page import launch as launching
from rays_as_pixels.app.page import layout
from rays_as_pixels.app.page.launch import LaunchOptions, launch
from rays_as_pixels.app.server.downloads import writable_formats
from rays_as_pixels.app.server.model_holder import ModelHolder

# The server runs in this process, where a deprecation in a package of Gradio's must not stop it.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]
SLOW_MS = 60_000  # software rendering on a busy machine; each of these takes a second or two
JOB = "#job-bar [data-state={}]"
# Pixels of the first drawing, or of the scene that took its place, that something is drawn on.
INK = """() => { const canvas = document.querySelector('#plot .rpv-sketch');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, k) => k % 4 === 3 && value > 0).length; }"""
# The room for text in the menu of formats, and how much each title takes.
ROOM = """(titles) => { const input = document.querySelector('#dl-format input');
  const style = getComputedStyle(input), pen = document.createElement('canvas').getContext('2d');
  pen.font = style.font;
  const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return [room, titles.map((title) => pen.measureText(title).width)]; }"""
TABS = {"video": 0, "path": 1, "edit": 2, "generate": 3, "loop": 4}


@pytest.fixture(scope="module")
def model(pipeline, facts):
    return ModelHolder(lambda: pipeline, facts)


@pytest.fixture(scope="module")
def address(model, example_folder, tmp_path_factory):
    """One app for all tests; each comes with a fresh browser, and so as another visitor."""
    examples = find_examples(example_folder)
    options = LaunchOptions(workspace=tmp_path_factory.mktemp("page") / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "find_examples", lambda: examples)
        patch.setattr(launching, "EXAMPLES_DIR", example_folder)
        app, manager, url = launch(options, model, block=False)
        yield url
        manager.close()
        app.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = opened(context, address)
    yield page
    context.close()


def opened(context, address):
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.foreign, page.faults = [], []
    page.on("request", lambda request: _note(page.foreign, request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "console", lambda said: page.faults.append(said.text) if "js_on_load" in said.text else None
    )
    page.goto(address)
    page.wait_for_selector(".rap-main[data-open] #film .film-frame")
    return page


def _note(foreign: list, url: str) -> None:
    if not re.match(r"(http://127\.0\.0\.1[:/]|data:|blob:)", url):
        foreign.append(url)


def turn_to(page, step: str) -> None:
    """Press a step's tab; on narrow screens Gradio hides those that do not fit in a menu."""
    page.evaluate("k => document.querySelectorAll('#steps [role=tab]')[k].click()", TABS[step])


def estimate(page) -> None:
    turn_to(page, "path")
    page.click("#estimate")
    page.wait_for_selector(JOB.format("done"))
    page.wait_for_selector("#path-facts dl")


def run(page, button: str) -> None:
    """Press a start button and wait until a job other than the one shown is done."""
    before = page.get_attribute("#job-bar .rap-job", "data-job")
    page.click(button)
    page.wait_for_selector(f"#job-bar [data-state=done]:not([data-job='{before}'])")


def test_an_example_is_estimated_edited_generated_checked_and_nothing_comes_from_elsewhere(page):
    page.click("#use-frames")
    estimate(page)
    page.wait_for_selector("#clip-used video")
    page.wait_for_selector("#plot .rpv-plot canvas")
    turn_to(page, "edit")
    page.wait_for_selector("#editor canvas")
    page.click("#editor [data-tab=start]")
    page.click("#editor [data-source=estimated]")
    page.wait_for_selector("#edit-facts dl")
    page.click("#use-path")
    run(page, "#generate")
    page.wait_for_selector("#compare .cmp-b video[src]")
    turn_to(page, "loop")
    run(page, "#run-loop")
    page.wait_for_selector("#loop-compare .cmp-b video[src]")
    page.wait_for_selector("#loop-numbers .rap-cards")
    turn_to(page, "generate")
    page.click("#history-panel button")
    page.wait_for_function("document.querySelectorAll('#history .hist-item').length === 3")
    page.wait_for_selector("#history .hist-shown")
    for button in page.locator(".cmp-bar button, #history button").all():
        assert button.text_content().strip(), "words outlast events before a tab is first opened"
    assert page.foreign == [] and page.faults == []


def test_the_filmstrip_is_trimmed_by_keyboard_and_the_editor_is_there_after_any_event(page):
    handle = page.locator("#film .film-handle").nth(0)
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        """() => document.querySelector('#start input, #start textarea')?.value === '0.1'
            && document.querySelector('#clip-facts').innerText.includes('Trimmed to 0.1')""",
    )
    page.click("#use-frames")
    page.wait_for_selector("#estimate")  # two events have been answered that change no editor
    turn_to(page, "edit")
    page.wait_for_selector("#editor canvas")
    assert page.faults == []


@pytest.mark.slow
def test_the_example_is_drawn_before_the_server_answers_anything(browser, address, capsys):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened(context, address).close()  # the browser's and the server's first page load warms both up
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    calls, answering = [], threading.Event()

    def call_or_wait(call):
        call.continue_() if answering.is_set() else calls.append(call)

    page.route("**/queue/join**", call_or_wait)
    started = time.monotonic()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#use-frames")
    interactive = time.monotonic() - started
    page.wait_for_selector("#film .film-frame")
    page.wait_for_selector("#plot .rpv[data-sketched]")
    solved = time.monotonic() - started - interactive
    assert page.evaluate(INK) > 500, "the path is drawn, not only announced"
    page.wait_for_selector("#plot .rpv[data-drawn]")
    turnable = time.monotonic() - started - interactive
    answering.set()
    assert calls, "the page asks the server for its session"
    for call in calls:
        call.continue_()
    page.wait_for_function("document.querySelector('#clip-facts').innerText.length > 0")
    assert page.get_attribute("#plot .rpv", "data-drawn") == "1", "sent again, not drawn again"
    with capsys.disabled():
        print(
            f"\npage load to interactive {interactive:.2f} s, example {solved:.2f} s later, "
            f"its view turnable {turnable:.2f} s later"
        )
    context.close()


@pytest.mark.slow
def test_a_returning_visitor_finds_their_path_and_not_the_example(page):
    page.click("#use-frames")
    estimate(page)
    page.reload()
    page.wait_for_selector("#plot .rpv-legend:has-text('Estimated path')")
    page.wait_for_selector("#film .film", state="hidden")


def test_a_running_job_outlives_a_reload_and_stops_within_one_step(
    page, model, pipeline, monkeypatch, request
):
    model.get()
    gated = GatedPipeline(pipeline)
    monkeypatch.setattr(model, "_pipeline", gated)
    request.addfinalizer(gated.go_on.set)  # or a failure here would leave the job waiting
    turn_to(page, "path")
    page.click("#frames-of-path input[value=chosen]")
    page.click("#estimate")
    page.wait_for_selector(JOB.format("running"))
    job = page.get_attribute("#job-bar .rap-job", "data-job")
    page.reload(wait_until="commit")
    page.wait_for_selector(JOB.format("running"))
    assert page.get_attribute("#job-bar .rap-job", "data-job") == job
    gated.step_begun.wait()
    page.click("#stop")
    page.wait_for_selector("#job-bar .rap-detail:has-text('Stopping after this step')")
    gated.go_on.set()
    page.wait_for_selector(JOB.format("cancelled"))
    assert gated.num_steps == 1, "the step that ran is the last one"
    page.wait_for_selector("#stop", state="hidden")


class GatedPipeline:
    """The same real pipeline, whose estimates of many steps wait in each until they may go on."""

    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline
        self.num_steps = 0
        self.step_begun, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self.pipeline, name)

    def estimate_with_extra_frames(self, *, options, run, **arguments):
        def wait_in_step(*_):
            self.num_steps += 1
            self.step_begun.set()
            self.go_on.wait()
            return {}

        return self.pipeline.estimate_with_extra_frames(
            **arguments,
            options=replace(options, num_inference_steps=100),
            run=replace(run, callback_on_step_end=wait_in_step),
        )


@pytest.mark.slow
def test_the_page_fits_a_phone_and_each_format_its_menu_of_downloads(page):
    fits_its_menu(page)
    page.set_viewport_size({"width": 390, "height": 844})
    estimate(page)
    fits_its_menu(page)
    # The steps that do not fit are in Gradio's own menu; those that do can be turned to.
    for step in list(TABS)[: page.locator("#steps [role=tab]").count()]:
        turn_to(page, step)
        page.wait_for_timeout(400)
        wide = page.evaluate(
            "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 392)"
            ".map(e => e.tagName + '#' + e.id + '.' + e.className).slice(0, 12)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 392, (step, wide)


def fits_its_menu(page) -> None:
    page.wait_for_selector("#dl-format input")
    page.wait_for_timeout(400)
    room, widths = page.evaluate(ROOM, list(writable_formats().values()))
    assert max(widths) <= room, dict(zip(writable_formats(), widths, strict=True))


@pytest.mark.slow
def test_the_page_speaks_chinese_to_a_chinese_browser(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
    page = opened(context, address)
    assert "相机路径" in page.inner_text("#steps [role=tablist]")
    page.wait_for_selector("#status >> text=设备", timeout=60_000)
    assert "使用这些帧" in page.inner_text("#use-frames")
    context.close()


def test_other_sites_cannot_upload_and_paths_are_not_served(browser, address):
    context = browser.new_context()
    answer = context.request.post(
        f"{address}gradio_api/upload",
        headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        multipart={"files": {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"x"}},
    )
    assert answer.status == 403
    assert context.request.get(f"{address}gradio_api/file=/etc/passwd").status == 403
    assert context.request.get(address, headers={"Host": "evil.example"}).status == 403
    context.close()


def test_launch_options_default_to_this_machine():
    defaults = {f.name: f.default for f in fields(LaunchOptions)}
    assert defaults["host"] == "127.0.0.1" and defaults["share"] is False
