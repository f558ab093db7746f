"""The page in a real browser: example, estimate, preset, reload, stop; and no other host."""

import dataclasses
import re
import time

import pytest

from rays_as_pixels.ui import layout
from rays_as_pixels.ui.launch import LaunchOptions, launch

# The server runs in this process, where a deprecation in a package of Gradio's must not stop it.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]
DRAWN = ".path-plot-canvas[data-drawn='{}']"
SLOW_MS = 30_000  # software rendering on a busy machine; each of these takes a second or two
JOB = "#job-bar [data-state={}]"


@pytest.fixture
def address(model, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "find_examples", lambda: examples)
    options = LaunchOptions(workspace=tmp_path / "workspace")
    app, manager, url = launch(options, model, block=False)
    yield url
    manager.close()
    app.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.foreign, page.faults = [], []
    page.on("request", lambda request: _note(page.foreign, request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(address)
    yield page
    context.close()


def _note(foreign: list, url: str) -> None:
    if not re.match(r"(http://127\.0\.0\.1[:/]|data:|blob:)", url):
        foreign.append(url)


def test_an_example_is_estimated_edited_generated_and_nothing_comes_from_elsewhere(page):
    page.click("#examples button:has(img)")
    page.wait_for_selector(DRAWN.format(1))
    assert page.locator(".path-plot-canvas canvas").count() >= 1, "a WebGL scene is drawn"

    page.click("#estimate")
    page.wait_for_selector(DRAWN.format(2))
    page.wait_for_selector(JOB.format("done"))
    names = page.evaluate("document.querySelector('.path-plot-canvas').data.map(t => t.meta)")
    assert {"frusta", "path", "images", "other-path"} <= set(names), "estimate over true path"
    page.wait_for_selector("#clip-used video")
    page.wait_for_selector("#sheet img")

    eye = {"x": 1.5, "y": 0.4, "z": 0.3}
    page.evaluate(
        "eye => Plotly.relayout(document.querySelector('.path-plot-canvas'),"
        " {'scene.camera.eye': eye})",
        eye,
    )
    page.click("button[role=tab]:has-text('Edit')")
    page.click("#use-preset")
    page.wait_for_selector(DRAWN.format(3))
    kept = page.evaluate("document.querySelector('.path-plot-canvas')._fullLayout.scene.camera.eye")
    assert kept == pytest.approx(eye), "the reader's view must survive an update"

    page.click("button[role=tab]:has-text('Regenerate')")
    page.click("#generate")
    page.wait_for_selector("#generated video")
    assert page.foreign == [] and page.faults == []


def test_the_slider_marks_a_frame_and_the_video_follows(page):
    page.click("#examples button:has(img)")
    page.wait_for_selector(DRAWN.format(1))
    page.click("#estimate")
    page.wait_for_selector(DRAWN.format(2))
    page.wait_for_selector("#clip-used video")
    page.wait_for_function("document.querySelector('#clip-used video').duration > 0")
    page.fill(".path-plot-controls input", "3")
    assert page.inner_text(".path-plot-controls output").startswith("3 (")
    page.wait_for_function("document.querySelector('#clip-used video').currentTime > 0.1")
    marked = page.evaluate(
        "(() => { const d = document.querySelector('.path-plot-canvas').data;"
        " const c = d.find(t => t.meta === 'current'), f = d.find(t => t.meta === 'frusta');"
        " const n = f.x.length / 5; return [c.x[0], f.x[3 * n]]; })()"
    )
    assert marked[0] == marked[1]


def test_a_running_job_outlives_a_reload_and_can_be_stopped(page, model, pipeline):
    slow = _slowed(pipeline)
    model.get()
    model._pipeline = slow  # the same real pipeline, with a pause after each step
    page.click("#examples button:has(img)")
    page.wait_for_selector(DRAWN.format(1))
    page.click("#estimate")
    page.wait_for_selector(JOB.format("running"))
    job = page.get_attribute("#job-bar .rap-job", "data-job")
    page.reload()
    page.wait_for_selector(JOB.format("running"))
    assert page.get_attribute("#job-bar .rap-job", "data-job") == job
    started = time.monotonic()
    page.click("#stop")
    page.wait_for_selector(JOB.format("cancelled"))
    assert time.monotonic() - started < 10, "one step of 0.5 s, and a busy machine"
    page.wait_for_selector("#stop", state="hidden")


class _slowed:  # noqa: N801 - used like a function
    """The pipeline, but an estimate takes many slow steps."""

    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline

    def __getattr__(self, name):
        return getattr(self.pipeline, name)

    def estimate(self, video, **options):
        def pause(_pipe, _step, _time, _latents):
            time.sleep(0.5)
            return {}

        options |= {"num_inference_steps": 100, "callback_on_step_end": pause}
        return self.pipeline.estimate(video, **options)


@pytest.mark.xfail(
    reason="known fault: after an estimate the page is 44 px wider than a 390 px screen",
    strict=False,
)
def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#examples button:has(img)")
    page.wait_for_selector(DRAWN.format(1))
    page.click("#estimate")
    page.wait_for_selector(DRAWN.format(2))
    for tab in ("Video", "Edit"):
        page.click(f"button[role=tab]:has-text('{tab}')")
        wide = page.evaluate(
            "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 392)"
            ".map(e => e.tagName + '#' + e.id + '.' + e.className).slice(0, 12)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 392, wide


def test_other_sites_cannot_upload_and_paths_are_not_served(page, address):
    answer = page.request.post(
        f"{address}gradio_api/upload",
        headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        multipart={"files": {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"x"}},
    )
    assert answer.status == 403
    assert page.request.get(f"{address}gradio_api/file=/etc/passwd").status == 403
    assert page.request.get(address, headers={"Host": "evil.example"}).status == 403


def test_launch_options_default_to_this_machine():
    defaults = {f.name: f.default for f in dataclasses.fields(LaunchOptions)}
    assert defaults["host"] == "127.0.0.1" and defaults["share"] is False
