"""Start the app: the workspace, the model in the background, the page, the server."""

import os
import secrets
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from rays_as_pixels.errors import InputError
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.ui.layout import build_app
from rays_as_pixels.ui.model_holder import ModelHolder
from rays_as_pixels.ui.origin import LOCAL_NAMES, OriginCheck

MAX_UPLOAD = "512mb"
SYSTEM_FONTS = ("ui-sans-serif", "system-ui", "sans-serif")


@dataclass(frozen=True)
class LaunchOptions:
    """How to start the app.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; None takes the first free one from 7860.
        workspace: Folder of jobs and results; None takes the user's data folder.
        share: Whether to make a public link.
        auth: "name:password", or None for none.
        debug: Whether to print what the server does.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    workspace: Path | None = None
    share: bool = False
    auth: str | None = None
    debug: bool = False


def launch(
    options: LaunchOptions, model: ModelHolder, *, block: bool = True
) -> tuple[gr.Blocks, JobManager, str]:
    """Start the app and, unless told not to, serve until stopped.

    Args:
        options: Where and how.
        model: Gives the pipeline; loading starts once the page can be reached.
        block: Whether to serve until stopped.

    Returns:
        The page, its job manager and the address it is served at.

    Raises:
        InputError: The workspace cannot be used, the address is taken, or `auth` is malformed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    auth = _auth(options.auth)
    workspace = options.workspace or default_workspace()
    manager = JobManager(workspace / "jobs", devices=(model.facts.device,))
    app = build_app(manager, model, browser_secret=_browser_secret(workspace))
    local_only = options.host in LOCAL_NAMES and not options.share
    try:
        _, url, _ = app.queue(default_concurrency_limit=8, max_size=200).launch(
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            auth=auth,
            allowed_paths=[str(manager.files.resolve())],
            max_file_size=MAX_UPLOAD,
            run_history=False,
            ssr_mode=False,
            show_error=True,
            footer_links=[],
            app_kwargs={"middleware": [Middleware(OriginCheck, local_only=local_only)]},
            theme=theme(),
            css=files("rays_as_pixels.ui").joinpath("page.css").read_text(encoding="utf-8"),
            prevent_thread_lock=True,
            quiet=not options.debug,
        )
    except OSError as error:
        manager.close()
        raise InputError(
            f"host and port must be free; got {options.host}:{options.port or 'any'} ({error}). "
            "Stop the other program or choose another --port."
        ) from error
    model.start_loading()
    print(f"The app is at {url}", file=sys.stderr)  # noqa: T201 - this is how one finds it
    if block:
        try:
            app.block_thread()
        finally:
            manager.close()
    return app, manager, url


def theme() -> gr.themes.Base:
    """Return the page's colours and fonts; all fonts are the system's own."""
    return gr.themes.Soft(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=list(SYSTEM_FONTS),
        font_mono=["ui-monospace", "monospace"],
    ).set(
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_label_text_color="*body_text_color",
        block_label_text_color_dark="*body_text_color",
        block_label_background_fill="*background_fill_primary",
        block_label_background_fill_dark="*background_fill_primary",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        checkbox_background_color_selected="*primary_700",
        slider_color="*primary_700",
        block_border_width="1px",
        block_shadow="none",
    )


def default_workspace() -> Path:
    """Return the user's data folder for this app, by the custom of the system."""
    if os.environ.get("RAYS_AS_PIXELS_WORKSPACE"):
        return Path(os.environ["RAYS_AS_PIXELS_WORKSPACE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "rays-as-pixels"


def _auth(value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    name, colon, password = value.partition(":")
    if not (name and colon and password):
        raise InputError("auth must be name:password; got no such pair. Write --auth me:secret.")
    return name, password


def _browser_secret(workspace: Path) -> str:
    """Keep the key of what browsers store, so that they find their jobs after a restart."""
    path = workspace / "browser-key"
    if not path.is_file():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16), encoding="ascii")
    return path.read_text(encoding="ascii")
