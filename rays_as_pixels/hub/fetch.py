"""Fetch a pipeline from the Hub: look before fetching, go on where it stopped, check what arrived.

Only configs, tokenizers and safetensors files are fetched, never code and never pickles.
"""

import hashlib
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.hub.failures import explained, is_network, not_fetched, status
from rays_as_pixels.hub.source import HubAccess
from rays_as_pixels.model.checkpoints import (
    check_model_folder,
    check_model_index,
    refuse_pickles,
)

ENDINGS = ("json", "safetensors", "model", "txt")  # of the files that are fetched
BESIDE = ("README.md", "LICENSE*", "*.json")
PARALLEL_FILES = 4
LIBRARY = "rays-as-pixels"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """A repository and its revision; None is the main branch."""

    repository: str
    revision: str | None = None

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository: size in bytes, and its SHA-256 where the Hub keeps one."""

    path: str
    size: int
    sha256: str | None


def fetch(wanted: Wanted, access: HubAccess) -> Path:
    """Return the folder of a repository's pipeline, whole and checked.

    Raises:
        CheckpointError: See `find_model`.
    """
    try:
        return _fetched(wanted, access)
    except CheckpointError:
        raise
    except Exception as error:
        if not (is_network(error) or isinstance(error, OSError | ValueError)):
            raise
        raise explained(error, wanted.label, endpoint=access.endpoint) from error


def peek(wanted: Wanted, access: HubAccess) -> Path:
    """Fetch a repository's model_index.json and card alone; a folder that is not there if refused.

    What is wrong is said by `fetch`, when the model is really wanted.
    """
    found = Path(wanted.repository)
    for name in ("README.md", "model_index.json"):
        try:
            found = _one_file(wanted, wanted.revision, name, access).parent
        except Exception as error:
            if not (is_network(error) or isinstance(error, OSError | ValueError)):
                raise
    return found


def fetch_configs(wanted: Wanted, access: HubAccess) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Fetch a repository's configs, and of its text encoder's weights their shapes.

    Returns:
        Folder with the configs, and shape by name; no weight is fetched, only headers.

    Raises:
        CheckpointError: It is no pipeline of ours or cannot be reached.
    """
    try:
        api = HfApi(endpoint=access.endpoint, token=access.token, library_name=LIBRARY)
        info = api.model_info(wanted.repository, revision=wanted.revision)
        paths = [sibling.rfilename for sibling in info.siblings or []]
        _check_listing(wanted, [RemoteFile(path, 0, None) for path in paths])
        check_model_index(
            _one_file(wanted, info.sha, "model_index.json", access).parent, name=wanted.label
        )
        configs = [path for path in paths if path.endswith("/config.json")]
        folders = [_one_file(wanted, info.sha, path, access).parents[1] for path in configs]
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            if path.startswith("text_encoder/") and path.endswith(".safetensors"):
                header = api.parse_safetensors_file_metadata(
                    wanted.repository, path, revision=info.sha
                )
                shapes |= {name: tuple(found.shape) for name, found in header.tensors.items()}
        return folders[0], shapes
    except (HfHubHTTPError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise explained(error, wanted.label, endpoint=access.endpoint) from error
    except Exception as error:
        if not is_network(error):
            raise
        raise explained(error, wanted.label, endpoint=access.endpoint) from error


def _fetched(wanted: Wanted, access: HubAccess) -> Path:
    offline = constants.HF_HUB_OFFLINE if access.offline is None else access.offline
    if offline:
        folder = _cached(wanted, access)
        if folder is None:
            raise not_fetched(wanted.label)
        check_model_folder(folder, remedy=_remedy(folder, "Delete {} and fetch it again online."))
        return folder
    if wanted.revision is not None and _COMMIT.fullmatch(wanted.revision):
        folder = _whole(wanted, access)  # a commit never changes: nothing to ask
        if folder is not None:
            return folder
    try:
        return _from_hub(wanted, access)
    except Exception as error:
        down = is_network(error) or (status(error) or 0) >= 500
        folder = _whole(wanted, access) if down else None
        if folder is None:
            raise
        access.tell(f"the Hub cannot be reached; using {wanted.label} as fetched before")
        return folder


def patterns(listed: dict[str, Any]) -> list[str]:
    """List what to fetch of a repository: its components' configs and weights, never code.

    Args:
        listed: Its model_index.
    """
    components = [name for name in listed if isinstance(listed[name], list) and name[:1] != "_"]
    inside = [f"{name}/*.{ending}" for name in components for ending in ENDINGS]
    return [*BESIDE, *inside]


def _cached(wanted: Wanted, access: HubAccess) -> Path | None:
    where = {"revision": wanted.revision, "cache_dir": access.cache, "local_files_only": True}
    try:
        index = Path(hf_hub_download(wanted.repository, "model_index.json", **where))
        listed = check_model_index(index.parent, name=wanted.label)
        folder = snapshot_download(wanted.repository, allow_patterns=patterns(listed), **where)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        return None
    return Path(folder)


def _whole(wanted: Wanted, access: HubAccess) -> Path | None:
    folder = _cached(wanted, access)
    if folder is None:
        return None
    try:
        check_model_folder(folder)
    except CheckpointError:
        return None
    return folder


def _remedy(folder: Path, text: str) -> str:
    return text.format(folder.parents[1])


def _from_hub(wanted: Wanted, access: HubAccess) -> Path:
    api = HfApi(endpoint=access.endpoint, token=access.token, library_name=LIBRARY)
    info = api.model_info(wanted.repository, revision=wanted.revision, files_metadata=True)
    commit = str(info.sha)
    files = [_remote(sibling) for sibling in info.siblings or []]
    _check_listing(wanted, files)
    index = _one_file(wanted, commit, "model_index.json", access)
    listed = check_model_index(index.parent, name=wanted.label)
    for name in (name for name in listed if isinstance(listed[name], list)):
        refuse_pickles(name, [f.path for f in files if f.path.startswith(f"{name}/")])
    allowed = patterns(listed)
    needed = [f for f in files if any(fnmatchcase(f.path, pattern) for pattern in allowed)]
    storage = _storage(wanted, access)
    _drop_damaged(storage / "snapshots" / commit, needed)
    missing = [f for f in needed if not (storage / "snapshots" / commit / f.path).exists()]
    _check_space(storage, missing, wanted)
    _fetch_large(wanted, commit, missing, access)
    folder = Path(
        snapshot_download(
            wanted.repository,
            revision=wanted.revision,
            cache_dir=access.cache,
            endpoint=access.endpoint,
            token=access.token,
            library_name=LIBRARY,
            allow_patterns=allowed,
        )
    )
    check_model_folder(folder, remedy=_remedy(folder, "Delete {} and run the same command again."))
    return folder


def _remote(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    return RemoteFile(sibling.rfilename, int(sibling.size or 0), lfs.sha256 if lfs else None)


def _check_listing(wanted: Wanted, files: list[RemoteFile]) -> None:
    """Refuse a repository that can be no pipeline of ours, before anything is fetched."""
    paths = {file.path for file in files}
    if "model_index.json" not in paths:
        raise CheckpointError(
            f"model must be a pipeline with a model_index.json; got {wanted.label}, which has "
            f"{len(paths)} files and none of that name. Name another repository with --model."
        )


def _one_file(wanted: Wanted, commit: str | None, path: str, access: HubAccess) -> Path:
    return Path(
        hf_hub_download(
            wanted.repository,
            path,
            revision=commit,
            cache_dir=access.cache,
            endpoint=access.endpoint,
            token=access.token,
            local_files_only=bool(access.offline),
            library_name=LIBRARY,
        )
    )


def _storage(wanted: Wanted, access: HubAccess) -> Path:
    cache = Path(access.cache or constants.HF_HUB_CACHE).expanduser()
    return cache / repo_folder_name(repo_id=wanted.repository, repo_type="model")


def _drop_damaged(snapshot: Path, files: list[RemoteFile]) -> None:
    """Forget fetched files whose size is not what the Hub says, so that they are fetched again."""
    for file in files:
        held = snapshot / file.path
        if held.exists() and held.stat().st_size != file.size:
            held.resolve().unlink(missing_ok=True)
            held.unlink(missing_ok=True)


def _check_space(storage: Path, missing: list[RemoteFile], wanted: Wanted) -> None:
    needed = sum(file.size for file in missing) - sum(
        part.stat().st_size for part in (storage / "blobs").glob("*.part")
    )
    place = next(folder for folder in (storage, *storage.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise CheckpointError(
            f"the disk must have room for the model; got {needed / 1e9:.1f} GB to fetch for "
            f"{wanted.label} and {free / 1e9:.1f} GB free in {place}. Free some space, or put the "
            "cache on another disk with HF_HOME."
        )


def _fetch_large(wanted: Wanted, commit: str, missing: list[RemoteFile], access: HubAccess) -> None:
    """Fetch the files that have a checksum, several at once, each from where it stopped."""
    large = [file for file in missing if file.sha256 is not None]
    if not large:
        return
    size = sum(file.size for file in large)
    access.tell(f"fetching {wanted.label}: {len(large)} files of weights, {size / 1e6:.1f} MB")
    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        list(pool.map(lambda file: _fetch_one(wanted, commit, file, access), large))


def _fetch_one(wanted: Wanted, commit: str, file: RemoteFile, access: HubAccess) -> None:
    """Fetch one file into the cache's blobs; a part that is there is gone on with."""
    assert file.sha256 is not None
    storage = _storage(wanted, access)
    blob = storage / "blobs" / file.sha256
    part = blob.with_name(f"{file.sha256}.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock = storage.parent / ".locks" / storage.name / f"{file.sha256}.part.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            return
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        url = hf_hub_url(wanted.repository, file.path, revision=commit, endpoint=access.endpoint)
        with part.open("ab") as out:
            http_get(
                url,
                out,
                resume_size=out.tell(),
                headers=build_hf_headers(token=access.token, library_name=LIBRARY),
                expected_size=file.size,
                displayed_filename=file.path,
            )
        arrived = _sha256(part)
        if arrived != file.sha256:
            part.unlink()
            raise CheckpointError(
                f"{file.path} must arrive as the Hub has it; got SHA-256 {arrived[:12]} instead of "
                f"{file.sha256[:12]} for {wanted.label}. It was deleted: run the same command "
                "again to fetch it anew."
            )
        part.replace(blob)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
