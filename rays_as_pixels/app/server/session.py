"""What the server keeps of one open page, and what the browser keeps across reloads."""

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from rays_as_pixels.geometry.trajectory import Trajectory

_ID = re.compile(r"[0-9a-f]{32}")
_EXAMPLE = re.compile(r"example:[\w-]{1,40}/(estimate|generate|loop)")
KEPT = ("visitor", "job", "estimate", "result", "loop")


@dataclass(frozen=True, eq=False)
class Session:
    """The state of one open page.

    Results are named by references: a job's id, or "example:NAME/KIND" for one that is shipped.

    Attributes:
        visitor: Unguessable id of the visitor; jobs are theirs by it.
        lang: Language of what the server writes.
        job: Id of the job that is watched, "" for none.
        shown: Id of the job whose results were shown last.
        source: The uploaded video or image, "" if the clip on show is a result's own.
        still: Whether the source is a single image.
        plan: How `source` was read: start_sec, end_sec, num_frames, fps.
        example: Name of the example on show, "" for none.
        estimate: Reference of the estimate on show, "" for none.
        result: Reference of the generated video on show, "" for none.
        other: Reference of the result it is compared with, "" for the input.
        loop: Reference of the loop check on show, "" for none.
        main: Name in `paths` of the path that the view colours by time.
        overlay: Name in `paths` of the one drawn over it, "" for none.
        sampled: Frames of the estimated path whose pictures are kept, where these are not all.
        paths: All paths of the page: estimated, network, edited, truth, again, imagined, generated.
        edit: The editor's confirmed document, None before any edit.
        imagining: Whether the form of generated videos asks for an imagined one.
    """

    visitor: str = ""
    lang: str = "en"
    job: str = ""
    shown: str = ""
    source: str = ""
    still: bool = False
    plan: dict[str, Any] = field(default_factory=dict)
    example: str = ""
    estimate: str = ""
    result: str = ""
    other: str = ""
    loop: str = ""
    main: str = ""
    overlay: str = ""
    sampled: tuple[int, ...] = ()
    paths: dict[str, Trajectory] = field(default_factory=dict)
    edit: dict[str, Any] | None = None
    imagining: bool = False

    def with_path(self, name: str, trajectory: Trajectory) -> "Session":
        """Return a session that has this path too."""
        return replace(self, paths=self.paths | {name: trajectory})

    def without(self, *names: str) -> "Session":
        """Return a session that has these paths no more."""
        paths = {key: value for key, value in self.paths.items() if key not in names}
        overlay = "" if self.overlay in names else self.overlay
        main = "" if self.main in names else self.main
        return replace(self, paths=paths, overlay=overlay, main=main)

    def emptied(self) -> "Session":
        """Return a session of the same visitor and job without anything on show."""
        return Session(visitor=self.visitor, lang=self.lang, job=self.job, shown=self.shown)

    def browser(self) -> dict[str, str]:
        """Return the ids that let a reloaded page find its work again."""
        return {name: getattr(self, name) for name in KEPT}


class LockedSession:
    """The session of one open page, which its events change one at a time.

    Gradio runs events of a page beside each other. Each would start from the session as it found
    it, and the last to end would undo what the others did: an estimate asked for while a video is
    still being read would be lost, or be of the video before.

    Attributes:
        session: The session now; who holds the lock may put another in its place.
        unsent: Updates of components that the event which opened the page could not send.
    """

    def __init__(self, session: Session | None = None) -> None:
        """Lock a session; a page starts with an empty one."""
        self.session = session or Session()
        self.unsent: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "LockedSession":
        """Return another lock of the same session: each page gets a copy of Gradio's first."""
        return LockedSession(self.session)

    @contextmanager
    def acquire(self, *, timeout_sec: float = -1) -> Iterator[bool]:
        """Wait for the events before; gives whether the lock was had in time (-1: no limit)."""
        acquired = self._lock.acquire(timeout=timeout_sec)
        try:
            yield acquired
        finally:
            if acquired:
                self._lock.release()


def is_example(reference: str) -> bool:
    """Tell whether a reference names a shipped result."""
    return _EXAMPLE.fullmatch(reference) is not None


def session_from_browser(kept: object, *, lang: str = "en") -> Session:
    """Start a session from what the browser kept; anything malformed counts as absent."""
    values = kept if isinstance(kept, dict) else {}
    known = {
        key: value
        for key in KEPT
        if isinstance(value := values.get(key), str)
        and (_ID.fullmatch(value) or (key not in ("visitor", "job") and is_example(value)))
    }
    known.setdefault("visitor", secrets.token_hex(16))
    return Session(lang=lang, **cast(dict[str, Any], known))
