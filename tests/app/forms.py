"""What the page's forms send as they stand, at sizes a test can afford, and what comes of it."""

from rays_as_pixels.app.page.handlers import Handlers

from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.server.session import Session

SOON = 60.0  # seconds within which a job of these sizes must end
PLAN = {"start": "", "end": "", "by": "count", "frames": 5, "rate": 10.0}
ESTIMATE = {
    "steps": 1,
    "runs": 1,
    "shared_focal": False,
    "seed": 7,
    "locked": True,
    "between": False,
}
GENERATE = {
    "along": "edited",
    "images": "first",
    "chosen": [],
    "own": None,
    "frames": 5,
    "fps": 10.0,
    "steps": 2,
    "guidance": 1.0,
    "seed": 7,
    "locked": True,
}
LOOP = {
    "path": "estimated",
    "rounds": 1,
    "steps": 2,
    "estimate_steps": 1,
    "seed": 7,
    "locked": True,
}


def finished(handlers: Handlers, updates: dict) -> tuple[Session, dict]:
    """Wait for the submitted job and return the session and updates that show its results."""
    session = updates["session"]
    record = handlers.manager.wait(session.job, timeout_sec=SOON)
    assert record.state is JobState.DONE, record.message
    assert handlers.tick(session)["finished"] == record.id
    shown = handlers.finish(session, record.id)
    return shown["session"], shown
