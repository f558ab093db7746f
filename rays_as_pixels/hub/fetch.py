"""Find a model, fetching it from the Hub if need be: configs, tokenizers and safetensors files.

`huggingface_hub` downloads and caches. Checked here are what it leaves open: that a repository is a
pipeline of this package and fits on the disk before anything large is fetched, that nothing is code
or a pickle, and that what arrived is complete.
"""

import re
import shutil
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfApi,
    constants,
    hf_hub_download,
    snapshot_download,
    try_to_load_from_cache,
)

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.hub.errors import hub_errors_explained, is_unreachable
from rays_as_pixels.hub.location import HubAccess, ModelLocation, locate_model
from rays_as_pixels.model.checkpoints import (
    check_model_folder,
    check_model_index,
    refuse_pickles,
)

ENDINGS = ("json", "safetensors", "model", "txt")  # of the files of a component
ROOT_FILES = ("README.md", "LICENSE*", "*.json")
LIBRARY = "rays-as-pixels"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class FoundModel:
    """A complete model on this machine.

    Attributes:
        folder: With the pipeline in it.
        name: As its user named it.
        commit: Of the repository it came from; None for a folder.
    """

    folder: Path
    name: str
    commit: str | None = None


def find_model(
    given: str | Path | None = None,
    *,
    revision: str | None = None,
    access: HubAccess | None = None,
) -> FoundModel:
    """Return a complete pipeline folder for a name, fetching it from the Hub if need be.

    Args:
        given: A folder, `org/name[@revision]`, or None for $RAYS_AS_PIXELS_MODEL and, without that,
            the project's own model.
        revision: Branch, tag or commit, where `given` names none.
        access: How to reach the Hub.

    Raises:
        CheckpointError: It does not exist, cannot be reached, is another kind of model, is damaged,
            or does not fit on the disk.
    """
    where, access = locate_model(given), access or HubAccess()
    if where.folder is not None:
        check_model_folder(where.folder)
        return FoundModel(where.folder, where.text)
    if revision is not None and where.revision not in (None, revision):
        raise CheckpointError(
            f"revision must be given once; got {where.text!r} and {revision!r}. Leave one out."
        )
    where = replace(where, revision=where.revision or revision)
    with hub_errors_explained(where.label, access.endpoint):
        folder = _fetch(where, access)
    remedy = f"Delete {folder.parents[1]} and run the same command again, online."
    check_model_folder(folder, remedy=remedy)
    return FoundModel(folder, where.label, commit=folder.name)


def peek_model(
    given: str | Path | None = None, *, access: HubAccess | None = None
) -> tuple[str, Path]:
    """Return a model's name and a folder with its model_index.json and card, without weights.

    Nothing is checked: this is for saying what will be loaded. Where that cannot be found out yet,
    the folder does not exist.
    """
    try:
        where = locate_model(given)
        if where.folder is not None:
            return where.folder.name, where.folder
        with hub_errors_explained(where.label, None):
            return where.label, download(where, ROOT_FILES, access or HubAccess())
    except CheckpointError:
        return str(given), Path(str(given))


def fetch_configs(
    where: ModelLocation, access: HubAccess
) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Fetch a repository's configs, and of its text encoder's weights their shapes.

    Returns:
        Folder with the configs, and shape by name; no weight is fetched, only headers.

    Raises:
        CheckpointError: It is no pipeline of ours or cannot be reached.
    """
    with hub_errors_explained(where.label, access.endpoint):
        paths = list(_file_sizes(where, access))
        folder = download(where, ("model_index.json", "*/config.json"), access)
        check_model_index(folder, name=where.label)
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            if fnmatchcase(path, "text_encoder/*.safetensors"):
                header = _api(access).parse_safetensors_file_metadata(
                    where.repository, path, revision=folder.name
                )
                shapes |= {name: tuple(info.shape) for name, info in header.tensors.items()}
        return folder, shapes


def download(where: ModelLocation, patterns: tuple[str, ...], access: HubAccess) -> Path:
    """Return the cached snapshot of a repository with the files that fit any of the patterns.

    Raises:
        Exception: Whatever `huggingface_hub` raises; see `hub_errors_explained`.
    """
    options = {"allow_patterns": list(patterns), **_options(where, access)}
    return Path(snapshot_download(where.repository, **options))


def _fetch(where: ModelLocation, access: HubAccess) -> Path:
    sizes: dict[str, int] = {}
    try:
        if not _needs_no_question(where, access):
            sizes = _file_sizes(where, access)
    except Exception as error:
        if not is_unreachable(error):
            raise
        access.log(f"the Hub cannot be reached; using {where.label} as fetched before, if it was")
    found = hf_hub_download(where.repository, "model_index.json", **_options(where, access))
    index = check_model_index(Path(found).parent, name=where.label)
    components = [name for name in index if isinstance(index[name], list) and name[:1] != "_"]
    inside = (f"{name}/*.{ending}" for name in components for ending in ENDINGS)
    patterns = (*ROOT_FILES, *inside)  # never code
    for name in components:
        refuse_pickles(name, [path for path in sizes if path.startswith(f"{name}/")])
    commit = Path(found).parent.name
    wanted = {
        path: size
        for path, size in sizes.items()
        if any(fnmatchcase(path, pattern) for pattern in patterns)
        and not isinstance(
            try_to_load_from_cache(where.repository, path, access.cache, commit), str
        )
    }
    if wanted:
        _check_disk(where, access, sum(wanted.values()))
        size_mb = sum(wanted.values()) / 1e6
        access.log(f"fetching {where.label}: {len(wanted)} files, {size_mb:.1f} MB")
    return download(where, patterns, access)


def _needs_no_question(where: ModelLocation, access: HubAccess) -> bool:
    """Tell whether the Hub is not to be asked, or has nothing new to say about a commit."""
    if constants.HF_HUB_OFFLINE if access.offline is None else access.offline:
        return True
    if where.revision is None or not _COMMIT.fullmatch(where.revision):
        return False
    file = (where.repository, "model_index.json", access.cache, where.revision)
    return isinstance(try_to_load_from_cache(*file), str)


def _options(where: ModelLocation, access: HubAccess) -> dict[str, Any]:
    return {
        "revision": where.revision,
        "cache_dir": access.cache,
        "endpoint": access.endpoint,
        "token": access.token,
        "local_files_only": bool(access.offline),
        "library_name": LIBRARY,
    }


def _api(access: HubAccess) -> HfApi:
    return HfApi(endpoint=access.endpoint, token=access.token, library_name=LIBRARY)


def _file_sizes(where: ModelLocation, access: HubAccess) -> dict[str, int]:
    """Return the sizes of a repository's files in bytes; one without an index is refused."""
    info = _api(access).model_info(where.repository, revision=where.revision, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    if "model_index.json" not in sizes:
        raise CheckpointError(
            f"model must be a pipeline with a model_index.json; got {where.label}, which has "
            f"{len(sizes)} files and none of that name. Name another repository with --model."
        )
    return sizes


def _check_disk(where: ModelLocation, access: HubAccess, needed: int) -> None:
    cache = Path(access.cache or constants.HF_HUB_CACHE).expanduser()
    disk = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise CheckpointError(
            f"the disk must have room for the model; got {needed / 1e9:.1f} GB to fetch for "
            f"{where.label} and {free / 1e9:.1f} GB free in {disk}. Free some space, or put the "
            "cache on another disk with HF_HOME."
        )
