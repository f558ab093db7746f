"""Model folders: where the default one is, strict loading, and what a damaged one says."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rays_as_pixels.errors import CheckpointError

DEFAULT_MODEL = Path(__file__).resolve().parents[2] / "checkpoints" / "raxel-mini"
COMPONENTS = ("vae", "transformer", "scheduler", "ray_scheduler")
WEIGHTED = ("vae", "transformer")
_REMEDY = "Fetch the folder again, or name another with --model."


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that is not a whole pipeline, before anything is built from it.

    Raises:
        CheckpointError: The folder, a component, its config or a weight file is missing, or a
            weight file is cut short or damaged.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"model must be a folder with a pipeline in it; got {folder}, which does not exist. "
            "Train one with `python -m rays_as_pixels train`, or name another with --model."
        )
    index = folder / "model_index.json"
    if not index.is_file():
        raise CheckpointError(
            f"model folder must hold model_index.json; got {folder} without it. {_REMEDY}"
        )
    try:
        listed = json.loads(index.read_text())
    except (ValueError, OSError) as error:
        raise CheckpointError(f"model_index.json must be JSON; got {error}. {_REMEDY}") from error
    for name in COMPONENTS:
        if name not in listed or not (folder / name).is_dir():
            raise CheckpointError(
                f"model folder must hold the component {name!r}; got {sorted(listed)} in {folder}. "
                f"{_REMEDY}"
            )
    for name in WEIGHTED:
        _check_weights(folder / name)


def _check_weights(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    shard_index = sorted(folder.glob("*.safetensors.index.json"))
    if shard_index:
        wanted = set(json.loads(shard_index[0].read_text())["weight_map"].values())
        missing = wanted - {f.name for f in files}
        if missing:
            raise CheckpointError(
                f"all shards listed in {shard_index[0].name} must be there; got {sorted(missing)} "
                f"missing in {folder}. {_REMEDY}"
            )
    if not files:
        raise CheckpointError(
            f"weights must be a .safetensors file; got none in {folder}. {_REMEDY}"
        )
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"weights must be whole safetensors files; got {file.name} with: {error}. {_REMEDY}"
            ) from error


def check_weight_names(component: str, missing: list[str], unexpected: list[str]) -> None:
    """Refuse weights that do not fit the architecture exactly.

    Raises:
        CheckpointError: A weight is missing or there is one too many.
    """
    if missing or unexpected:
        raise CheckpointError(
            f"{component} weights must match its config.json exactly; got {len(missing)} missing "
            f"({', '.join(missing[:3]) or 'none'}) and {len(unexpected)} unexpected "
            f"({', '.join(unexpected[:3]) or 'none'}). {_REMEDY}"
        )


def check_component_weights(folder: Path, component: str, expected: set[str]) -> None:
    """Compare the tensor names stored for a component with those its class wants."""
    stored: set[str] = set()
    for file in sorted((folder / component).glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            stored |= set(opened.keys())
    check_weight_names(component, sorted(expected - stored), sorted(stored - expected))
