"""Pipeline folders written before sizes were grouped, and two buffers and a setting renamed.

All that is different in them is translated here, once, as they are loaded.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

_GROUP_AND_NAME = {
    "in_channels": ("video_config", "channels"),
    "patch_size": ("video_config", "patch_size"),
    "temporal_stride": ("video_config", "temporal_stride"),
    "ray_channels": ("ray_config", "channels"),
    "ray_patch_size": ("ray_config", "patch_size"),
    "ray_prediction": ("ray_config", "prediction"),
    "num_layers": ("block_config", "num_layers"),
    "num_attention_heads": ("block_config", "num_heads"),
    "attention_head_dim": ("block_config", "head_dim"),
    "ffn_dim": ("block_config", "ffn_dim"),
    "cross_attn_norm": ("block_config", "cross_attn_norm"),
    "eps": ("block_config", "eps"),
    "share_attention": ("block_config", "share_attention"),
    "attention": ("block_config", "attention"),
    "rope_theta": ("rope_config", "theta"),
    "rope_extent": ("rope_config", "extent"),
    "freq_dim": ("conditioning_config", "freq_dim"),
    "text_dim": ("conditioning_config", "text_dim"),
    "text_len": ("conditioning_config", "text_len"),
}
_MOTION_WIDTH = "motion_width"  # None also stood for no priors
_MOTION_GROUPS = ("motion_features_config", "camera_prior_config", "view_prior_config")
_SETTING_NAMES = {"error_per_spread": "calibration_factor"}  # of model_index.json
_WEIGHT_NAMES = {
    "camera_prior.spread": "camera_prior.std",
    "camera_prior.moment_spread": "camera_prior.moment_std",
}


def grouped_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its sizes in groups, as `config.NetworkConfig` has them.

    Args:
        config: Of either layout, or groups with single sizes beside them, which then count. Other
            names stay as they are.
    """
    result = {name: value for name, value in config.items() if name not in _GROUP_AND_NAME}
    for name, (group, new_name) in _GROUP_AND_NAME.items():
        if name in config:
            result[group] = {**(result.get(group) or {}), new_name: config[name]}
    if _MOTION_WIDTH in result:
        width = result.pop(_MOTION_WIDTH)
        result |= dict.fromkeys(
            ("motion_features_config", "camera_prior_config", "view_prior_config")
        )
        if width is not None:
            result["motion_features_config"] = {"width": width}
            rays = result.get("ray_config") or {}
            channels = rays.get("channels"), (result.get("video_config") or {}).get("channels")
            if rays.get("prediction", "sample") == "sample" and channels[0] in (None, channels[1]):
                result |= {"camera_prior_config": {}, "view_prior_config": {}}
    return result


def with_current_settings(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model_index.json's values by the names that its settings have today."""
    return {_SETTING_NAMES.get(name, name): value for name, value in index.items()}


def current_weight_name(name: str) -> str:
    """Return the name that a stored weight has today."""
    return _WEIGHT_NAMES.get(name, name)


@contextmanager
def with_current_weight_names(folder: Path) -> Iterator[Path]:
    """Yield a network's folder; a temporary copy of it where weights have old names."""
    files = sorted(folder.glob("*.safetensors"))
    if not any(_WEIGHT_NAMES.keys() & _names(file) for file in files):
        yield folder
        return
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - loads torch

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as copy:
        for file in files:
            weights = {current_weight_name(k): value for k, value in load_file(file).items()}
            save_file(weights, Path(copy) / file.name, metadata={"format": "pt"})
        for file in folder.glob("*.json"):
            shutil.copyfile(file, Path(copy) / file.name)
        for index in Path(copy).glob("*.safetensors.index.json"):
            stored = json.loads(index.read_text(encoding="utf-8"))
            names = stored["weight_map"]
            stored["weight_map"] = {current_weight_name(name): names[name] for name in names}
            index.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
        yield Path(copy)


def _names(file: Path) -> set[str]:
    with safe_open(file, framework="pt") as opened:
        return set(opened.keys())
