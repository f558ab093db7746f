"""What the server keeps of one open page, and what the browser keeps across reloads."""

import re
import secrets
from dataclasses import dataclass, field, replace

from rays_as_pixels.geometry.trajectory import Trajectory

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class Session:
    """The state of one open page.

    Attributes:
        visitor: Unguessable id of the visitor; jobs are theirs by it.
        job: Id of the job that is watched, "" for none.
        shown: Id of the job whose results were shown last.
        estimate: Id of the estimate that is shown, "" for none.
        main: Name in `paths` of the path that the plot colours by time.
        overlay: Name in `paths` of the one drawn over it, "" for none.
        frames_job: Id of the job whose frames are shown on the main path's frusta.
        paths: All paths of the page: estimated, edited, truth, again, imagined, generated.
    """

    visitor: str = ""
    job: str = ""
    shown: str = ""
    estimate: str = ""
    main: str = ""
    overlay: str = ""
    frames_job: str = ""
    paths: dict[str, Trajectory] = field(default_factory=dict)

    def with_path(self, name: str, trajectory: Trajectory) -> "Session":
        """Return a session that has this path too."""
        return replace(self, paths=self.paths | {name: trajectory})

    def without(self, *names: str) -> "Session":
        """Return a session that has these paths no more."""
        paths = {key: value for key, value in self.paths.items() if key not in names}
        overlay = "" if self.overlay in names else self.overlay
        return replace(self, paths=paths, overlay=overlay)

    def browser(self) -> dict[str, str]:
        """Return the ids that let a reloaded page find its work again."""
        return {"visitor": self.visitor, "job": self.job, "estimate": self.estimate}


def session_from_browser(kept: object) -> Session:
    """Start a session from what the browser kept; anything malformed counts as absent."""
    values = kept if isinstance(kept, dict) else {}
    known = {
        key: value
        for key in ("visitor", "job", "estimate")
        if isinstance(value := values.get(key), str) and _ID.fullmatch(value)
    }
    return Session(
        visitor=known.get("visitor") or secrets.token_hex(16),
        job=known.get("job", ""),
        estimate=known.get("estimate", ""),
    )
