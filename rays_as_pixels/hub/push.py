"""Put a pipeline folder on the Hub, with a model card and what a generic loader needs."""

import json
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.hub.card import model_card
from rays_as_pixels.hub.errors import explain, is_hub_error, status
from rays_as_pixels.hub.location import HubAccess, is_repository
from rays_as_pixels.model.checkpoints import (
    PICKLES,
    PIPELINE_CLASS,
    TRANSFORMER,
    check_model_folder,
)
from rays_as_pixels.model.root_module import loader_module

SHIM = "joint_transformer"  # transformer/joint_transformer.py, for diffusers' generic loader


@dataclass(frozen=True)
class PushOptions:
    """How to push.

    Attributes:
        private: Whether a repository that is made anew can be seen by its owner only.
        revision: Branch to push to, made from main if need be; None for main.
        message: Of the commit.
        license_id: Licence of the weights; see `model_card`.
        base: Model that these weights were made from.
    """

    private: bool = False
    revision: str | None = None
    message: str = "Upload pipeline"
    license_id: str | None = None
    base: str | None = None


@dataclass(frozen=True)
class Pushed:
    """Where it is now: the repository's address and the commit."""

    url: str
    commit: str


def push_folder(
    folder: Path,
    repository: str,
    options: PushOptions | None = None,
    *,
    access: HubAccess | None = None,
) -> Pushed:
    """Push a saved pipeline as one commit.

    Args:
        folder: The pipeline; everything in it is pushed but hidden files, code and pickles.
        repository: `org/name`; made if it does not exist.
        options: How.
        access: How to reach the Hub.

    Raises:
        CheckpointError: The folder is no whole pipeline, or the Hub cannot be reached or refuses.
        InputError: `repository` is not written like one.
    """
    options, access = options or PushOptions(), access or HubAccess()
    check_repository(repository)
    check_model_folder(folder, remedy="Save the pipeline again, then push it.")
    files = pushed_files(folder, repository, options)
    access.log(f"pushing {len(files)} files of {folder} to {repository}")
    try:
        return _pushed(files, repository, options, access)
    except Exception as error:
        if not (is_hub_error(error) or isinstance(error, RuntimeError)):
            raise
        raise _refused(error, repository, access) from error


def check_repository(repository: str) -> None:
    """Refuse what is not org/name.

    Raises:
        InputError: It is not.
    """
    if not is_repository(repository):
        raise InputError(
            f"repository must be org/name; got {repository!r}. Name a branch with --revision."
        )


def pushed_files(folder: Path, repository: str, options: PushOptions) -> dict[str, Path | bytes]:
    """List what a push uploads: path in the repository -> file, or content that is made for it."""
    files: dict[str, Path | bytes] = {}
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        hidden = any(part.startswith((".", "_")) for part in path.split("/"))
        if file.is_file() and not hidden and not path.endswith((".py", ".pyc", *PICKLES)):
            files[path] = file
    card = model_card(folder, repository, license_id=options.license_id, base=options.base)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["_class_name"] = ["pipeline", PIPELINE_CLASS]
    index["transformer"] = [SHIM, TRANSFORMER[1]]
    files["README.md"] = card.encode()
    files["model_index.json"] = (json.dumps(index, indent=2, sort_keys=True) + "\n").encode()
    files["pipeline.py"] = loader_module("rays_as_pixels.pipeline", PIPELINE_CLASS).encode()
    files[f"transformer/{SHIM}.py"] = loader_module(*TRANSFORMER).encode()
    return files


def _pushed(
    files: dict[str, Path | bytes], repository: str, options: PushOptions, access: HubAccess
) -> Pushed:
    api = HfApi(endpoint=access.endpoint, token=access.token, library_name="rays-as-pixels")
    url = api.create_repo(repository, private=options.private or None, exist_ok=True)
    if options.revision is not None:
        api.create_branch(repository, branch=options.revision, exist_ok=True)
    operations = [
        CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
        for path, content in files.items()
    ]
    made = api.create_commit(
        repository,
        operations,
        commit_message=options.message,
        revision=options.revision,
    )
    return Pushed(str(url), str(made.oid))


def _refused(error: Exception, repository: str, access: HubAccess) -> CheckpointError:
    # the client wraps what went wrong with one of several files
    wrapped = type(error) is RuntimeError and isinstance(error.__cause__, Exception)
    cause = error.__cause__ if wrapped else error
    assert isinstance(cause, Exception)
    if status(cause) in (401, 403) or "token" in type(error).__name__.lower():
        return CheckpointError(
            f"the token must have the right to write to {repository}; got '{status(cause)}' from "
            "the Hub. Make a token with write access, then log in with `hf auth login` or set "
            "HF_TOKEN."
        )
    fetching = explain(cause, repository, access.endpoint)
    return CheckpointError(str(fetching).replace("to fetch ", "to push to "))
