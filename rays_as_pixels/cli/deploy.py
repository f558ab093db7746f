"""`deploy --space ORG/NAME`: put the app on a Hugging Face Space, or write the folder it needs."""

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any, cast

from rays_as_pixels.cli import space_folder
from rays_as_pixels.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
REMEDY = "Check the name and the rights of your token: hf auth login"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "deploy",
        help="put the page on a Hugging Face Space",
        description="Write the folder of a Space and upload it with the token of huggingface-hub "
        "(`hf auth login`, or the variable HF_TOKEN). Files that a Space has from before and that "
        "are not in the folder are deleted there.",
    )
    parser.add_argument("--space", required=True, metavar="ORG/NAME", help="the Space")
    parser.add_argument(
        "--dry-run", type=Path, metavar="DIR", help="write the folder here and upload nothing"
    )
    parser.add_argument(
        "--model",
        metavar="DIR|ORG/NAME",
        help="folder of a saved pipeline, or a model on the Hub (default: the project's own)",
    )
    parser.add_argument(
        "--private", action="store_true", help="make a Space that others cannot see"
    )
    parser.add_argument(
        "--hardware",
        metavar="NAME",
        help="hardware to ask for when the Space is made, for instance zero-a10g, which is ZeroGPU "
        "(default: the Hub's own)",
    )


def run(args: argparse.Namespace) -> int:
    """Write or upload a Space and name it on stdout; returns exit code 0.

    Raises:
        InputError: A name is malformed, the model is none, or the Hub refuses.
    """
    if not _NAME.fullmatch(args.space):
        raise InputError(f"space must be ORG/NAME; got {args.space!r}. Write --space me/rays.")
    model = chosen_model(args.model)
    hardware = args.hardware or space_folder.HARDWARE
    if args.dry_run is not None:
        files = space_folder.write_space(args.dry_run, model, hardware=hardware)
        size = sum(path.stat().st_size for path in files)
        say(f"{args.dry_run}: {len(files)} files, {size / 1e6:.1f} MB")
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "space"
        space_folder.write_space(folder, model, hardware=hardware)
        say(upload(folder, args.space, private=args.private, hardware=args.hardware))
    return 0


def chosen_model(name: str | None) -> space_folder.SpaceModel:
    """Return the model of the Space: a folder that exists, or else a name on the Hub.

    Raises:
        InputError: It is neither.
    """
    from rays_as_pixels.model.checkpoints import DEFAULT_MODEL

    folder = DEFAULT_MODEL if name is None else Path(name)
    if name is not None and not folder.exists() and _NAME.fullmatch(name):
        return space_folder.SpaceModel(repository=name)
    space_folder.check_model_is_small(folder)
    return space_folder.SpaceModel(folder.resolve())


def upload(folder: Path, space: str, *, private: bool, hardware: str | None) -> str:
    """Make the Space if it does not exist, replace its files in one commit, return its address.

    Raises:
        InputError: The Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi(library_name="rays-as-pixels")
    try:
        made = api.create_repo(
            space,
            repo_type="space",
            space_sdk="gradio",
            space_hardware=cast(Any, hardware),
            private=private or None,
            exist_ok=True,
        )
        api.upload_folder(
            repo_id=space,
            repo_type="space",
            folder_path=folder,
            delete_patterns="*",
            commit_message="Deploy rays_as_pixels",
        )
    except LocalTokenNotFoundError as error:
        raise InputError(f"a token must be given to upload; got none. {REMEDY}.") from error
    except HfHubHTTPError as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(f"the Hub must take the Space; got '{words}'. {REMEDY}.") from error
    except OSError as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(f"the Hub must be reached; got '{words}'. Try again later.") from error
    return str(made)


def say(text: str) -> None:
    """Print a result."""
    print(text)  # noqa: T201 - the command line speaks here
