"""Downloads: every path of the page in every format the library writes, and the videos."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.page.binding import Updates, Values
from rays_as_pixels.app.page.library import Library, Result
from rays_as_pixels.app.server.downloads import writable_formats, write_path
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats import FORMATS
from rays_as_pixels.trajectories.formats.native import read_native

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

VIDEO_KINDS = {"clip": "estimate", "video": "result", "loop_video": "loop"}


def download_updates(page: "Page", session: Session) -> Updates:
    """Return what can be downloaded now: paths and videos."""
    names = [(i18n.say(f"path_{name}", session.lang), f"path:{name}") for name in session.paths]
    names += [(words, f"shot:{number}") for number, words in _other_shots(session, page.library)]
    for what in VIDEO_KINDS:
        if _video(what, session, page.library) is not None:
            names.append((i18n.say(f"file_{what}", session.lang), f"file:{what}"))
    value = f"path:{session.main}" if session.main in session.paths else None
    return {
        page.view.download_what: gr.update(choices=names, value=value),
        page.view.download_panel: gr.update(visible=bool(names)),
        page.view.download_button: gr.update(value=_first_file(session)),
        page.view.download_notes: "",
    }


def _first_file(session: Session) -> str | None:
    path = session.paths.get(session.main)
    return None if path is None else str(write_path(path, "native")[0])


def prepare_download(page: "Page", session: Session, values: Values) -> Updates:
    """Write what was chosen and hand it to the button.

    Raises:
        InputError: No such path, file or format.
    """
    view = page.view
    known = [f"path:{name}" for name in session.paths] + [f"file:{name}" for name in VIDEO_KINDS]
    known += [f"shot:{number}" for number, _ in _other_shots(session, page.library)]
    chosen = checks.choice(i18n.say("dl_what"), values[view.download_what], tuple(known))
    group, _, name = chosen.partition(":")
    if group == "file":
        found = _video(name, session, page.library)
        if found is None:
            raise InputError("the file must be there; got none. Run the step that makes it.")
        return {
            view.download_button: gr.update(value=str(found)),
            view.download_notes: "",
            view.download_format: gr.update(interactive=False),
        }
    wanted = checks.choice(
        i18n.say("dl_format"), values[view.download_format], tuple(writable_formats())
    )
    path = session.paths[name] if group == "path" else _shot(name, session, page.library)
    file, notes = write_path(path, wanted)
    return {
        view.download_button: gr.update(value=str(file)),
        view.download_notes: " ".join([FORMATS[wanted].convention, *notes]),
        view.download_format: gr.update(interactive=True),
    }


def _other_shots(session: Session, library: Library) -> list[tuple[int, str]]:
    """Return the shots of the estimate whose path is not the one on show: number and words."""
    result = library.find(session.estimate, session.visitor)
    if result is None:
        return []
    return [
        (number, i18n.say("file_shot", session.lang, n=number, frames=shot["num_frames"]))
        for number, shot in enumerate(result.results.get("shots", []), 1)
        if number != result.results["shot"]
    ]


def _shot(number: str, session: Session, library: Library) -> Trajectory:
    result = library.find(session.estimate, session.visitor)
    assert result is not None
    return read_native(result.folder / result.results["shots"][int(number) - 1]["file"])


def _video(what: str, session: Session, library: Library) -> Path | None:
    found: Result | None = library.find(getattr(session, VIDEO_KINDS[what]), session.visitor)
    if found is None:
        return None
    return found.file(tasks.CLIP) if what == "clip" else found.video
