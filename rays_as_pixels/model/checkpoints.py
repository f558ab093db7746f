"""Model folders: where the default one is, strict loading, and messages about damaged ones."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.old_folders import current_weight_name, with_current_settings

DEFAULT_MODEL = Path(__file__).resolve().parents[2] / "checkpoints" / "raxel-mini"
PIPELINE_CLASS = "RaysAsPixelsPipeline"
TRANSFORMER = (
    "rays_as_pixels.model.transformer.joint_transformer",
    "RaysAsPixelsTransformer3DModel",
)
COMPONENTS = ("vae", "transformer", "scheduler", "ray_scheduler")
WEIGHTED = ("vae", "transformer")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
REMEDY = "Fetch the folder again, or name another with --model."


def check_model_folder(folder: Path, *, remedy: str = REMEDY) -> None:
    """Refuse a folder that is not a whole pipeline, before anything is built from it.

    Args:
        folder: Folder of a saved pipeline.
        remedy: What the reader should do where the folder is damaged.

    Raises:
        CheckpointError: The folder, a component, its config or a weight file is missing, it is
            another kind of pipeline, or a weight file is cut short, damaged or no safetensors file.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"model must be a folder with a pipeline in it; got {folder}, which does not exist. "
            "Train one with `python -m rays_as_pixels train`, or name another with --model."
        )
    listed = check_model_index(folder, name=str(folder), remedy=remedy)
    for name in COMPONENTS:
        if name not in listed or not (folder / name).is_dir():
            raise CheckpointError(
                f"model folder must hold the component {name!r}; got {sorted(listed)} in {folder}. "
                f"{remedy}"
            )
    for name in weighted_components(listed, folder):
        _check_weights(folder / name, remedy)


def check_model_index(folder: Path, *, name: str, remedy: str = REMEDY) -> dict[str, Any]:
    """Read model_index.json and refuse another kind of pipeline.

    Args:
        folder: Folder with the file in it.
        name: What to call the model in the message.
        remedy: What to do about a damaged file.

    Returns:
        The index, with this package's class names in it.

    Raises:
        CheckpointError: The file is missing, no JSON, or of another pipeline.
    """
    if not (folder / "model_index.json").is_file():
        raise CheckpointError(
            f"model folder must hold model_index.json; got {name} without it. {remedy}"
        )
    listed = read_json(folder / "model_index.json", remedy)
    class_name = listed.get("_class_name")
    if isinstance(class_name, list):
        class_name = class_name[-1] if class_name else None
    if class_name != PIPELINE_CLASS:
        raise CheckpointError(
            f"model must be a {PIPELINE_CLASS}; got a {class_name} in {name}. Name another with "
            "--model; Wan 2.1 text-to-video models can be turned into one with "
            "`python -m rays_as_pixels convert-wan`."
        )
    return with_own_classes(listed)


def with_own_classes(config: Any) -> Any:
    """Make the names in a model_index mean this package's classes, never code in a repository.

    Settings with names of the past get those of today.

    Repositories that we push name small files of their own, for diffusers' generic loader. Here the
    package itself stands in for them, so that loading never runs code from a repository.

    Args:
        config: What `load_config` returns: the index, or a tuple that starts with it.
    """
    if isinstance(config, tuple):
        return (with_own_classes(config[0]), *config[1:])
    if not isinstance(config.get("_class_name"), list) and "transformer" not in config:
        return config
    own = with_current_settings(config)
    if isinstance(own.get("_class_name"), list):
        own["_class_name"] = own["_class_name"][-1]
    listed = own.get("transformer")
    if isinstance(listed, list) and listed[-1:] == [TRANSFORMER[1]]:
        own["transformer"] = list(TRANSFORMER)
    return own


def weighted_components(listed: dict[str, Any], folder: Path) -> list[str]:
    """Name the components that must have weights: the two networks, and a text encoder if any."""
    extra = [
        name
        for name, entry in listed.items()
        if name not in WEIGHTED and isinstance(entry, list) and _has_weights(folder / name)
    ]
    return [*WEIGHTED, *extra]


def _has_weights(folder: Path) -> bool:
    endings = (".safetensors", ".safetensors.index.json", *PICKLES)
    return folder.is_dir() and any(file.name.endswith(endings) for file in folder.iterdir())


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        file: The file.
        remedy: Last sentence of the message where it is none.

    Raises:
        CheckpointError: It is missing, no JSON, or JSON of another kind.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{file.name} must be JSON; got {file} with: {error}. {remedy}"
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{file.name} must be a JSON object; got {file}. {remedy}")
    return value


def _check_weights(folder: Path, remedy: str) -> None:
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"every network must have its config.json; got {folder} without it. {remedy}"
        )
    read_json(folder / "config.json", remedy)
    files = sorted(folder.glob("*.safetensors"))
    shard_index = sorted(folder.glob("*.safetensors.index.json"))
    if shard_index:
        wanted = set(read_json(shard_index[0], remedy).get("weight_map", {}).values())
        missing = wanted - {f.name for f in files}
        if missing:
            raise CheckpointError(
                f"all shards listed in {shard_index[0].name} must be there; got {sorted(missing)} "
                f"missing in {folder}. {remedy}"
            )
    if not files:
        refuse_pickles(folder.name, [file.name for file in folder.iterdir()])
        raise CheckpointError(
            f"weights must be a .safetensors file; got none in {folder}. {remedy}"
        )
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"weights must be whole safetensors files; got {file.name} with: {error}. {remedy}"
            ) from error


def refuse_pickles(component: str, names: list[str]) -> None:
    """Refuse a component whose weights are in pickle files only; these are never opened.

    Raises:
        CheckpointError: There are pickle files and no safetensors file among the names.
    """
    pickles = [name for name in names if name.endswith(PICKLES)]
    if pickles and not any(name.endswith(".safetensors") for name in names):
        raise CheckpointError(
            f"weights must be safetensors files; got only {', '.join(pickles[:3])} for "
            f"{component!r}, which could run code when opened. Ask its author for safetensors "
            "files, or name another model with --model."
        )


def check_weight_names(component: str, missing: list[str], unexpected: list[str]) -> None:
    """Refuse weights that do not fit the architecture exactly.

    Raises:
        CheckpointError: A weight is missing or there is one too many.
    """
    if missing or unexpected:
        raise CheckpointError(
            f"{component} weights must match its config.json exactly; got {len(missing)} missing "
            f"({', '.join(missing[:3]) or 'none'}) and {len(unexpected)} unexpected "
            f"({', '.join(unexpected[:3]) or 'none'}). {REMEDY}"
        )


def check_component_weights(folder: Path, component: str, expected: set[str]) -> None:
    """Compare the tensor names stored for a component with those its class wants."""
    stored: set[str] = set()
    for file in sorted((folder / component).glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            stored |= {current_weight_name(name) for name in opened.keys()}  # noqa: SIM118 - no dict
    check_weight_names(component, sorted(expected - stored), sorted(stored - expected))
