"""Events of one page act one after the other, however long each takes and whichever came first."""

import copy
import threading
from dataclasses import replace

import pytest

from rays_as_pixels.app.server.session import LockedSession, Session
from rays_as_pixels.errors import InputError
from tests.app.forms import ESTIMATE, SOON


@pytest.fixture
def held(handlers):
    held = LockedSession()
    handlers.greet(held, {}, "en")
    return held


def slow(session: Session, begun: threading.Event, end: threading.Event) -> dict:
    """Stand for the reading of a long video: a handler that leaves another source on show."""
    begun.set()
    assert end.wait(SOON)
    return {"session": replace(session, source="", example="", still=True)}


def test_an_event_sees_what_the_one_before_it_left_though_both_run_at_once(handlers, held):
    begun, end, seen = threading.Event(), threading.Event(), []
    first = threading.Thread(
        target=lambda: handlers.act(held, {}, "en", lambda s: slow(s, begun, end))
    )
    second = threading.Thread(
        target=lambda: handlers.act(held, {}, "en", lambda s: seen.append(s) or {})
    )
    first.start()
    assert begun.wait(SOON)
    second.start()
    assert handlers.look(held, {}, "en") == {}  # no look at the job meanwhile, and no wait for one
    assert not seen
    end.set()
    first.join(SOON)
    second.join(SOON)
    assert seen[0].still and held.session.still


def test_an_estimate_asked_for_before_the_page_is_greeted_keeps_its_job(handlers):
    held = LockedSession()
    asked = handlers.act(held, {}, "en", lambda session: handlers.estimate(session, ESTIMATE))
    assert asked["film"].props["strip"] and asked["browser"]["job"] == held.session.job != ""
    before = held.session
    greeted = handlers.greet(held, {}, "en")
    assert held.session is before and "browser" not in greeted and "film" not in greeted
    assert greeted["stop_button"]["visible"] or handlers.tick(before)["finished"] == before.job
    handlers.manager.wait(before.job, timeout_sec=SOON)


def test_a_refused_event_leaves_the_session_and_lets_the_next_act(handlers, held):
    before = held.session
    with pytest.raises(InputError, match="Denoising steps"):
        handlers.act(held, {}, "en", lambda s: handlers.estimate(s, ESTIMATE | {"steps": 0}))
    assert held.session is before
    assert handlers.act(held, {}, "en", lambda s: handlers.go(s, "edit"))["tabs"].selected == "edit"


def test_every_page_has_a_session_of_its_own(held):
    other = copy.deepcopy(held)
    with held.turn(), other.turn(patience_sec=0) as came:
        assert came
    other.session = Session(visitor="f" * 32)
    assert held.session.visitor != other.session.visitor
