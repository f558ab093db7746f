"""Where a model is: the project's own, a folder, or `org/name[@revision]` on the Hub."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL

MODEL_VARIABLE = "RAYS_AS_PIXELS_MODEL"
MODEL_HELP = (
    "folder of a saved pipeline, or org/name[@revision] on the Hugging Face Hub (default: "
    f"${MODEL_VARIABLE}, or the model that comes with the project)"
)
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")


@dataclass(frozen=True)
class ModelLocation:
    """A model as its user names it.

    Attributes:
        text: As given.
        repository: `org/name`, or "" for a folder.
        revision: Branch, tag or commit of a repository; None for its main branch.
    """

    text: str
    repository: str = ""
    revision: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder, or None for a repository."""
        return None if self.repository else Path(self.text).expanduser()

    @property
    def label(self) -> str:
        """What to call it in messages: its name, with the revision if there is one."""
        name = self.repository or self.text
        return name if self.revision is None else f"{name}@{self.revision}"


def _ignore(_: str) -> None:
    pass


@dataclass(frozen=True)
class HubAccess:
    """How to reach the Hub; None leaves a value to huggingface_hub and its variables.

    Attributes:
        endpoint: Address of the Hub ($HF_ENDPOINT).
        token: Access token, or False for none ($HF_TOKEN, or what `hf auth login` stored).
        cache: Folder of fetched files ($HF_HUB_CACHE).
        offline: Whether to use fetched files only ($HF_HUB_OFFLINE).
        log: Called with a sentence about what happens.
    """

    endpoint: str | None = None
    token: str | bool | None = None
    cache: Path | None = None
    offline: bool | None = None
    log: Callable[[str], None] = _ignore


def locate_model(given: str | Path | None) -> ModelLocation:
    """Read a model's name: nothing, a folder, or org/name[@revision].

    A folder that exists goes before a repository of the same name; so does everything that is
    written like a path.

    Raises:
        CheckpointError: It is neither a folder nor written like a repository.
    """
    if given is None:
        given = os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL
    text = str(given)
    if isinstance(given, Path) or Path(text).expanduser().exists() or text[:1] in "./~\\":
        return ModelLocation(text)
    repository, at, revision = text.partition("@")
    if is_repository(repository) and bool(at) == bool(revision):
        return ModelLocation(text, repository, revision or None)
    raise CheckpointError(
        f"model must be a folder that exists or org/name[@revision] on the Hub; got {text!r}, "
        "which does not exist. Check the spelling, or leave --model out for the project's own."
    )


def is_repository(text: str) -> bool:
    """Tell whether a text is written like `org/name`."""
    return _REPOSITORY.fullmatch(text) is not None
