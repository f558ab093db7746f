"""The path view as one page that opens without a network: Plotly, pictures and numbers inside."""

import base64
import html
import json
from importlib.resources import files
from pathlib import Path

import plotly

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes
from rays_as_pixels.viz.words import LANGUAGES, Words, read_words

SCRIPTS = (
    "parts.js",
    "scene.js",
    "errors.js",
    "strip.js",
    "sketch.js",
    "player.js",
    "skeleton.js",
    "export.js",
    "view.js",
)


def plotly_script() -> Path:
    """Return the file of Plotly's JavaScript in the installed package: no network needed."""
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def view_source() -> str:
    """Return the view's own script: it defines `pathView` and what that needs."""
    return "\n".join(_read(name) for name in SCRIPTS)


def view_words() -> Words:
    """Return the texts of the view by key, each by language."""
    return read_words("rays_as_pixels.viz.path_view")


def view_settings() -> dict[str, object]:
    """Return what every view is started with: its words and its style."""
    return {"words": view_words(), "css": _read("view.css"), "language": "auto"}


def page_template() -> str:
    """Return the page with `@@NAME@@` where its pieces go."""
    return _read("page.html")


def path_page(
    value: str,
    *,
    title: str = "Camera path",
    video: bytes | None = None,
    language: str = "en",
) -> str:
    """Return the page as text.

    Args:
        value: What `path_view_value` made.
        title: Heading and title.
        video: An H.264 file of the frames, which the page plays in step with the path.
        language: One of `words.LANGUAGES`.

    Raises:
        InputError: Another language.
    """
    if language not in LANGUAGES:
        raise InputError(f"language must be one of {', '.join(LANGUAGES)}; got {language!r}.")
    element = ""
    if video is not None:
        data = base64.b64encode(video).decode("ascii")
        label = html.escape(view_words()["video"][language])
        element = (
            f'<video id="clip" controls muted loop playsinline aria-label="{label}" '
            f'src="data:video/mp4;base64,{data}"></video>'
        )
    pieces = {
        "TITLE": html.escape(title),
        "LANGUAGE": language,
        "PLOTLY": plotly_script().read_text(encoding="utf-8"),
        "SOURCE": view_source(),
        "VALUE": value,
        "SETTINGS": _json(view_settings() | {"language": language}),
        "VIDEO": element,
    }
    first, *rest = page_template().split("@@")
    return first + "".join(pieces[part] if k % 2 == 0 else part for k, part in enumerate(rest))


def write_path_page(
    value: str,
    path: "str | Path",
    *,
    title: str = "Camera path",
    video: bytes | None = None,
    language: str = "en",
) -> int:
    """Write the page (see `path_page`) atomically, and return its size in bytes.

    Raises:
        InputError: The folder does not exist or cannot be written, or another language.
    """
    path = Path(path)
    data = path_page(value, title=title, video=video, language=language).encode()
    write_bytes(path, data)
    return len(data)


def _read(name: str) -> str:
    return files("rays_as_pixels.viz.path_view").joinpath(name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """Return JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
