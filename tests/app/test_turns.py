"""Events of one page act one after the other, however long each takes and whichever came first."""

import copy
import threading
from dataclasses import replace

import pytest

from rays_as_pixels.app.page.binding import run_event
from rays_as_pixels.app.page.job_events import poll_job
from rays_as_pixels.app.page.opening import on_page_load
from rays_as_pixels.app.page.page import Page
from rays_as_pixels.app.page.step_video import open_path_step
from rays_as_pixels.app.server.session import LockedSession, Session
from rays_as_pixels.errors import InputError
from tests.app.driver import SOON


@pytest.fixture
def held(page):
    held = LockedSession()
    on_page_load(page, held, {}, "en")
    return held


def slow(page: Page, session: Session, begun: threading.Event, end: threading.Event) -> dict:
    """Stand for the reading of a long video: a handler that leaves another source on show."""
    begun.set()
    assert end.wait(SOON)
    return {page.session: replace(session, source="", example="", still=True)}


def test_an_event_sees_what_the_one_before_it_left_though_both_run_at_once(page, held):
    begun, end, seen = threading.Event(), threading.Event(), []
    first = threading.Thread(
        target=lambda: run_event(page, held, lambda s: slow(page, s, begun, end), outputs=())
    )
    second = threading.Thread(
        target=lambda: run_event(page, held, lambda s: seen.append(s) or {}, outputs=())
    )
    first.start()
    assert begun.wait(SOON)
    second.start()
    assert poll_job(page, held) == {}  # no look at the job meanwhile, and no wait for one
    assert not seen
    end.set()
    first.join(SOON)
    second.join(SOON)
    assert seen[0].still and held.session.still


def test_an_estimate_asked_for_before_the_page_has_loaded_keeps_its_job(page, driver):
    held = LockedSession()
    asked = run_event(page, held, driver.estimate, outputs=[*page.job_outputs, page.path.seed])
    assert asked[page.browser]["job"] == held.session.job != ""
    assert page.video.film not in asked and asked[page.refresh], "it is no output of that event"
    before = held.session
    loaded = on_page_load(page, held, {}, "en")
    assert held.session is before and page.browser not in loaded
    assert loaded[page.video.film].props["strip"], "what the first event could not send"
    busy = loaded[page.header.stop_button]["visible"]
    assert busy or driver.poll(before)[page.finished] == before.job
    driver.manager.wait(before.job, timeout_sec=SOON)


def test_a_refused_event_leaves_the_session_and_lets_the_next_act(page, driver, held):
    before = held.session
    with pytest.raises(InputError, match="Denoising steps"):
        run_event(page, held, lambda s: driver.estimate(s, steps=0), outputs=page.job_outputs)
    assert held.session is before
    sent = run_event(page, held, lambda s: open_path_step(page, s, {}), outputs=[page.tabs])
    assert sent[page.tabs].selected == "path"


def test_a_handler_that_changes_what_its_event_does_not_send_is_a_fault(page, held):
    with pytest.raises(AssertionError, match="not among its outputs"):
        run_event(page, held, lambda _: {page.path.facts: "x"}, outputs=[page.tabs])


def test_every_page_has_a_session_of_its_own(held):
    other = copy.deepcopy(held)
    with held.acquire(), other.acquire(timeout_sec=0) as acquired:
        assert acquired
    other.session = Session(visitor="f" * 32)
    assert held.session.visitor != other.session.visitor
