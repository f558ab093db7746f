"""Start the app: the workspace, the model in the background, the page, the server."""

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from rays_as_pixels.app import i18n
from rays_as_pixels.app.examples import EXAMPLES_DIR
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.quota import Quota
from rays_as_pixels.app.page.layout import build_app
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.app.server.origin import LOCAL_NAMES, OriginCheck
from rays_as_pixels.app.server.upload_guard import UploadGuard, UploadLimits
from rays_as_pixels.app.server.workspace import (
    UPLOADS,
    browser_key,
    default_workspace,
    keep_uploads_in,
)
from rays_as_pixels.errors import InputError

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
        max_upload_mb: Largest upload.
        workspace_mb: What finished jobs may keep in all, and again what uploads may.
        root_path: Path under which a proxy serves the app; "" for none.
        mcp: Whether to serve the API as tools for language models, too.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    workspace: Path | None = None
    share: bool = False
    auth: str | None = None
    debug: bool = False
    max_upload_mb: int = 512
    workspace_mb: int = 4096
    root_path: str = ""
    mcp: bool = False


def launch(
    options: LaunchOptions, model: ModelHolder, *, block: bool = True
) -> tuple[gr.Blocks, JobManager, str]:
    """Start the app and, if `block`, serve until stopped.

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
    _check_mcp(options)
    if find_spec("pycolmap") is not None:
        import_module("rays_as_pixels.geometry.colmap")  # here, since jobs run in other threads
    workspace = options.workspace or default_workspace()
    keep_uploads_in(workspace)
    total = options.workspace_mb << 20
    manager = JobManager(
        workspace / "jobs",
        job_kinds(model.get),
        devices=(model.facts.device,),
        quota=Quota(total_bytes=total, owner_bytes=min(total // 4, 1 << 30)),
    )
    app = build_app(manager, model, browser_secret=browser_key(workspace))
    try:
        url = _serve(app, options, workspace, manager.files, auth)
    except OSError as error:
        manager.close()
        raise InputError(
            f"host and port must be free; got {options.host}:{options.port or 'any'} ({error}). "
            "Stop the other program or choose another --port."
        ) from error
    model.start_loading()
    manager.resume()
    print(f"The app is at {url}", file=sys.stderr)  # noqa: T201 - this is how one finds it
    if block:
        try:
            app.block_thread()
        finally:
            manager.close()
    return app, manager, url


def _serve(
    app: gr.Blocks,
    options: LaunchOptions,
    workspace: Path,
    files_folder: Path,
    auth: tuple[str, str] | None,
) -> str:
    """Start the server in threads of its own and return the page's address."""
    limits = _upload_limits(options)
    local_only = options.host in LOCAL_NAMES and not options.share
    _, url, _ = app.queue(default_concurrency_limit=8, max_size=200).launch(
        server_name=options.host,
        server_port=options.port,
        share=options.share,
        auth=auth,
        allowed_paths=[str(files_folder.resolve()), str(EXAMPLES_DIR)],
        max_file_size=limits.request_bytes,
        root_path=options.root_path or None,
        mcp_server=options.mcp,
        run_history=False,
        ssr_mode=False,
        show_error=True,
        footer_links=[],
        app_kwargs={
            "middleware": [
                Middleware(OriginCheck, local_only=local_only),
                Middleware(UploadGuard, folder=workspace / UPLOADS, limits=limits),
            ]
        },
        i18n=i18n.i18n(),
        theme=theme(),
        css=files("rays_as_pixels.app.page").joinpath("page.css").read_text(encoding="utf-8"),
        prevent_thread_lock=True,
        quiet=not options.debug,
    )
    return url


def _check_mcp(options: LaunchOptions) -> None:
    """Refuse --mcp together with a password, or without its package."""
    if options.mcp and options.auth is not None:  # Gradio's endpoint of tools has no log-in
        raise InputError(
            "mcp must be off where auth is set; got both. Let a proxy ask for the password instead."
        )
    if options.mcp and find_spec("mcp") is None:
        raise InputError(
            "mcp must be installed for --mcp; it is not. Run 'pip install \"gradio[mcp]\"'."
        )


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


def _upload_limits(options: LaunchOptions) -> UploadLimits:
    total = options.workspace_mb << 20
    return UploadLimits(
        request_bytes=options.max_upload_mb << 20, client_bytes=total // 2, total_bytes=total
    )


def _auth(value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    name, colon, password = value.partition(":")
    if not (name and colon and password):
        raise InputError("auth must be name:password; got no such pair. Write --auth me:secret.")
    return name, password
