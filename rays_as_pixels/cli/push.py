"""`push FOLDER ORG/NAME`: a pipeline on the Hugging Face Hub, with a model card."""

import argparse
from pathlib import Path

from rays_as_pixels.cli.progress import ProgressLine


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "push",
        help="put a pipeline folder on the Hugging Face Hub",
        description="Upload a pipeline folder as one commit, with a model card made from its "
        "README.md, training.json and evaluation.json. Log in first with `hf auth login`, or set "
        "HF_TOKEN. Prints the address and the commit.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of a saved pipeline")
    parser.add_argument("repository", metavar="ORG/NAME", help="repository; made if need be")
    parser.add_argument("--private", action="store_true", help="make it visible to you only")
    parser.add_argument("--revision", metavar="BRANCH", help="branch to push to (default: main)")
    parser.add_argument("--message", default="Upload pipeline", help="of the commit")
    parser.add_argument(
        "--license", metavar="ID", help="licence of the weights (default: the card's, apache-2.0)"
    )
    parser.add_argument("--base", metavar="ORG/NAME", help="model that the weights were made from")
    parser.add_argument(
        "--dry-run", action="store_true", help="only list what would be pushed, and show the card"
    )


def run(args: argparse.Namespace) -> int:
    """Push and print the address; returns exit code 0.

    Raises:
        InputError: The folder is no whole pipeline, or the Hub refuses or cannot be reached.
    """
    from rays_as_pixels.hub.location import HubAccess
    from rays_as_pixels.hub.push import PushOptions, check_repository, push_folder, pushed_files
    from rays_as_pixels.model.checkpoints import check_model_folder

    options = PushOptions(
        private=args.private,
        revision=args.revision,
        message=args.message,
        license_id=args.license,
        base=args.base,
    )
    if args.dry_run:
        check_repository(args.repository)
        check_model_folder(args.folder)
        files = pushed_files(args.folder, args.repository, options)
        card = files["README.md"]
        assert isinstance(card, bytes)
        print("\n".join(files), card.decode(), sep="\n\n", end="")  # noqa: T201 - the answer
        return 0
    progress = ProgressLine()
    done = push_folder(args.folder, args.repository, options, access=HubAccess(log=progress.say))
    print(done.url, done.commit, sep="\n")  # noqa: T201 - the answer
    return 0
