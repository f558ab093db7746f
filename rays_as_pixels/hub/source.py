"""Where a model is: the one of the project, a folder, or `org/name[@revision]` on the Hub."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL, check_model_folder

MODEL_VARIABLE = "RAYS_AS_PIXELS_MODEL"
MODEL_HELP = (
    "folder of a saved pipeline, or org/name[@revision] on the Hugging Face Hub (default: "
    f"${MODEL_VARIABLE}, or the model that comes with the project)"
)
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")


@dataclass(frozen=True)
class ModelName:
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


@dataclass(frozen=True)
class HubAccess:
    """How to reach the Hub; None leaves a value to huggingface_hub and its variables.

    Attributes:
        endpoint: Address of the Hub ($HF_ENDPOINT).
        token: Access token, or False for none ($HF_TOKEN, or what `hf auth login` stored).
        cache: Folder of fetched files ($HF_HUB_CACHE).
        offline: Whether to use fetched files only ($HF_HUB_OFFLINE).
        say: Is told in plain words what happens.
    """

    endpoint: str | None = None
    token: str | bool | None = None
    cache: Path | None = None
    offline: bool | None = None
    say: Callable[[str], None] | None = None

    def tell(self, text: str) -> None:
        """Pass a sentence on, if somebody listens."""
        if self.say is not None:
            self.say(text)


@dataclass(frozen=True)
class FoundModel:
    """A model that is on this machine, whole.

    Attributes:
        folder: With the pipeline in it.
        name: As its user named it.
        commit: Of the repository it came from; None for a folder.
    """

    folder: Path
    name: str
    commit: str | None = None


def model_name(given: str | Path | None) -> ModelName:
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
        return ModelName(text)
    repository, at, revision = text.partition("@")
    if is_repository(repository) and bool(at) == bool(revision):
        return ModelName(text, repository, revision or None)
    raise CheckpointError(
        f"model must be a folder that exists or org/name[@revision] on the Hub; got {text!r}, "
        "which does not exist. Check the spelling, or leave --model out for the project's own."
    )


def is_repository(text: str) -> bool:
    """Tell whether a text is written like `org/name`."""
    return _REPOSITORY.fullmatch(text) is not None


def find_model(
    given: str | Path | None = None,
    *,
    revision: str | None = None,
    access: HubAccess | None = None,
) -> FoundModel:
    """Return a whole pipeline folder for a name, fetching it from the Hub if need be.

    Args:
        given: A folder, `org/name[@revision]`, or None for $RAYS_AS_PIXELS_MODEL and, without that,
            the project's own model.
        revision: Branch, tag or commit, where `given` names none.
        access: How to reach the Hub.

    Raises:
        CheckpointError: It does not exist, cannot be reached, is another kind of model, is damaged,
            or does not fit on the disk.
    """
    name = model_name(given)
    if name.folder is not None:
        check_model_folder(name.folder)
        return FoundModel(name.folder, name.text)
    if revision is not None and name.revision not in (None, revision):
        raise CheckpointError(
            f"revision must be given once; got {name.text!r} and {revision!r}. Leave one out."
        )
    from rays_as_pixels.hub.fetch import Wanted, fetch  # noqa: PLC0415 - the Hub's client is slow

    wanted = Wanted(name.repository, name.revision or revision)
    folder = fetch(wanted, access or HubAccess())
    return FoundModel(folder, wanted.label, commit=folder.name)


def peek_model(
    given: str | Path | None = None, *, access: HubAccess | None = None
) -> tuple[str, Path]:
    """Return a model's name and a folder that holds at least its model_index.json and card.

    Nothing is checked and no weights are fetched: this is for saying what will be loaded. Where
    nothing can be known yet, the folder does not exist.
    """
    try:
        name = model_name(given)
    except CheckpointError:
        return str(given), Path(str(given))
    if name.folder is not None:
        return name.folder.name, name.folder
    from rays_as_pixels.hub.fetch import Wanted, peek  # noqa: PLC0415 - the Hub's client is slow

    wanted = Wanted(name.repository, name.revision)
    return wanted.label, peek(wanted, access or HubAccess())
