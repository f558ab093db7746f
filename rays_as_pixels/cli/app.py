"""`app`: serve the page, by default to this machine only."""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.cli import loading, options
from rays_as_pixels.cli.progress import ProgressLine

if TYPE_CHECKING:
    from rays_as_pixels.app.server.model_holder import ModelFacts

CARD = "README.md"
TRAINED_ON = "trained on:"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "app",
        help="open the page in a browser",
        description="Start the app and print its address. It listens on this machine only, "
        "unless --host or --share says otherwise.",
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the app to any parser."""
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT")
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=options.whole, default=port, help="port (default: the first free from 7860)"
    )
    loading.add_loading_options(parser)
    parser.add_argument(
        "--workspace-dir", type=Path, metavar="DIR", help="folder of jobs and results"
    )
    parser.add_argument(
        "--max-upload-mb",
        type=options.whole,
        default=512,
        metavar="MB",
        help="largest file a visitor may upload (default: %(default)s)",
    )
    parser.add_argument(
        "--workspace-mb",
        type=options.whole,
        default=4096,
        metavar="MB",
        help="what results may keep on the disk, and again what uploads may (default: %(default)s)",
    )
    parser.add_argument(
        "--root-path",
        default=os.environ.get("GRADIO_ROOT_PATH", ""),
        metavar="PATH",
        help="path under which a proxy serves the app",
    )
    parser.add_argument("--share", action="store_true", help="make a public link")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask for this name and password")
    parser.add_argument(
        "--mcp", action="store_true", help="serve the API as tools for language models, too"
    )


def run(args: argparse.Namespace) -> int:
    """Serve the page until stopped; returns exit code 0.

    Raises:
        InputError: The device or workspace cannot be used, the port is taken, or `--auth` is
            malformed. A missing model is no error: the page says what to do.
    """
    from rays_as_pixels.app.jobs.zero_gpu import import_spaces_first, on_zero_gpu
    from rays_as_pixels.app.server.workspace import default_workspace, keep_uploads_in

    workspace = args.workspace_dir or default_workspace()
    keep_uploads_in(workspace)
    import_spaces_first()
    from rays_as_pixels.app.page.launch import LaunchOptions, launch
    from rays_as_pixels.app.server.model_holder import ModelHolder
    from rays_as_pixels.hub.fetch import peek_model

    device = loading.choose_device(args.device)
    name, folder = peek_model(args.model)

    def load():
        return loading.load(args, ProgressLine().say)

    launch_options = LaunchOptions(
        host=args.host,
        port=args.port,
        workspace=workspace,
        share=args.share,
        auth=args.auth,
        debug=args.debug,
        max_upload_mb=args.max_upload_mb,
        workspace_mb=args.workspace_mb,
        root_path=args.root_path,
        mcp=args.mcp,
    )
    model = ModelHolder(load, model_facts(folder, str(device), name=name))
    if on_zero_gpu():  # processes with a GPU are forked from this one, with what is loaded now
        from rays_as_pixels.app.jobs.verbs import prepare_zero_gpu

        prepare_zero_gpu(model.get())
    launch(launch_options, model)
    return 0


def model_facts(folder: Path, device: str, *, name: str = "") -> "ModelFacts":
    """Describe a model folder without loading it: its name, its card's line 'Trained on: ...'.

    A folder that is missing or damaged is described by its name alone; loading it says why.
    """
    from rays_as_pixels.app.server.model_holder import ModelFacts
    from rays_as_pixels.model.clip_lengths import stored_temporal_stride
    from rays_as_pixels.model.old_folders import grouped_config

    facts = ModelFacts(name or folder.name, device)
    try:
        card = (folder / CARD).read_text(encoding="utf-8")
        found = [line.strip("*- ") for line in card.splitlines()]
        words = next((line for line in found if line.lower().startswith(TRAINED_ON)), "")
        facts = replace(facts, trained_on=words[len(TRAINED_ON) :].strip("* ").rstrip("."))
    except (OSError, ValueError):  # no card: the status line leaves it out
        pass
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        counts = int(index["num_frames"]), int(index["max_frames"])
        facts = replace(
            facts,
            num_frames=counts[0],
            max_frames=counts[1],
            temporal_stride=stored_temporal_stride(folder),
        )
        network = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
        has_prior = grouped_config(network).get("camera_prior_config") is not None
        return replace(facts, camera_prior=has_prior)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return facts  # loading it says why
