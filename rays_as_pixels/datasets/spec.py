"""What a user writes to name data: `[KIND:]PATH[,key=value...]`, and what it stands for.

    re10k:/data/RealEstate10K,frames=/data/frames
    dl3dv:/data/DL3DV,images=images_4
    colmap:/data/scenes,unit=points,weight=2
    shards:/data/packed/train-{000000..000099}.tar

Keys: `frames` (re10k), `images` (dl3dv, colmap), `unit` (see `scale.py`), `weight` (how often
against other data, default 1) and `report` (a file from `dataset check`: what it refused is left
out without looking again).
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.datasets import colmap_folder, dl3dv, realestate10k, webdataset_shards
from rays_as_pixels.datasets.frames import files_under
from rays_as_pixels.datasets.scale import check_rule
from rays_as_pixels.datasets.sequences import SequenceRef
from rays_as_pixels.errors import InputError

KINDS = ("re10k", "dl3dv", "colmap", "shards")
_KEYS = {
    "re10k": ("frames",),
    "dl3dv": ("images",),
    "colmap": ("images",),
    "shards": (),
}
_COMMON = ("unit", "weight", "report")
_OPTION = re.compile(r",([a-z]+)=([^,{}]*)$")


@dataclass(frozen=True)
class DataSpec:
    """One SPEC, taken apart.

    Attributes:
        text: As it was written.
        kind: One of KINDS.
        path: Folder, or a pattern for shards.
        options: The keys of the kind: `frames`, `images`.
        unit: Rule for the unit, see `scale.py`.
        weight: How often clips are drawn from it, against other data.
        report: File of a finished check, or None.
    """

    text: str
    kind: str
    path: str
    options: dict[str, str]
    unit: str = "auto"
    weight: float = 1.0
    report: Path | None = None


@dataclass(frozen=True)
class DataSource:
    """The sequences that one SPEC names; none has been read.

    Attributes:
        spec: The SPEC.
        refs: Its sequences, in order of name.
    """

    spec: DataSpec
    refs: tuple[SequenceRef, ...]


def parse_spec(text: str) -> DataSpec:
    """Take a SPEC apart.

    Raises:
        InputError: An unknown kind or key, or a value out of range.
    """
    head, options = text, {}
    while match := _OPTION.search(head):
        options[match[1]] = match[2]
        head = head[: match.start()]
    kind, colon, path = head.partition(":")
    if not colon or kind not in KINDS:
        if colon and re.fullmatch(r"[a-z0-9]{2,12}", kind):
            raise InputError(
                f"data must be of kind {', '.join(KINDS)}; got {kind!r} in {text!r}. Write "
                "KIND:PATH."
            )
        kind, path = guess_kind(head), head
    unknown = set(options) - set(_KEYS[kind]) - set(_COMMON)
    if unknown or not path:
        raise InputError(
            f"data must be written KIND:PATH with keys {', '.join((*_KEYS[kind], *_COMMON))}; got "
            f"{text!r}. Leave out {', '.join(sorted(unknown)) or 'the colon'}."
        )
    unit = options.pop("unit", "auto")
    check_rule(unit)
    weight = _weight(options.pop("weight", "1"))
    report = options.pop("report", None)
    return DataSpec(text, kind, path, options, unit, weight, Path(report) if report else None)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < 1e6:
        raise InputError(f"weight must be a positive number; got {text!r}. Use 1.")
    return weight


def guess_kind(path: str) -> str:
    """Tell the kind of a path by what lies there.

    Raises:
        InputError: Nothing there is of a known kind.
    """
    if path.endswith(".tar"):
        return "shards"
    folder = Path(path)
    if folder.is_dir():
        signs = (
            ("*.tar", "shards"),
            ("transforms.json", "dl3dv"),
            ("images.bin", "colmap"),
            ("images.txt", "colmap"),
        )
        for sign, kind in signs:
            if next(files_under(folder, sign), None) is not None:
                return kind
        if next(realestate10k.find(folder), None) is not None:
            return "re10k"
    raise InputError(
        f"data must be a folder of {', '.join(KINDS)}; got {path!r}, which holds none that is "
        "known. Check the path, or write KIND:PATH."
    )


def open_source(spec: DataSpec) -> DataSource:
    """Find the sequences of a SPEC, less those that its report refused.

    Raises:
        InputError: The path is missing, holds no sequence, or the report is not one.
    """
    root = Path(spec.path)
    if spec.kind != "shards" and not root.is_dir():
        raise InputError(f"data must be a folder; got {spec.path}. Check the path.")
    finders: dict[str, Callable[[], Sequence[SequenceRef]]] = {
        "re10k": lambda: tuple(realestate10k.find(root, frames=_path(spec.options.get("frames")))),
        "dl3dv": lambda: tuple(dl3dv.find(root, images=spec.options.get("images"))),
        "colmap": lambda: tuple(
            colmap_folder.find(root, images=spec.options.get("images", "images"))
        ),
        "shards": lambda: tuple(webdataset_shards.find(spec.path)),
    }
    refs = finders[spec.kind]()
    if not refs:
        raise InputError(
            f"data must hold a sequence of kind {spec.kind}; got none in {spec.path}. Check the "
            "path and the kind."
        )
    refused = _refused(spec.report) if spec.report is not None else set()
    kept = tuple(ref for ref in refs if ref.name not in refused)
    if not kept:
        raise InputError(
            f"data must keep a sequence; got {len(refs)} in {spec.path}, all refused in "
            f"{spec.report}. Repair the data and check it again."
        )
    return DataSource(spec, kept)


def _path(text: str | None) -> Path | None:
    if text is None:
        return None
    if not Path(text).is_dir():
        raise InputError(f"frames must be a folder; got {text}. Check the path.")
    return Path(text)


def _refused(report: Path) -> set[str]:
    try:
        return {entry["name"] for entry in json.loads(report.read_text("utf-8"))["refused"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"report must be a file written by 'dataset check --report'; got {report} "
            f"({error}). Run the check again."
        ) from None
