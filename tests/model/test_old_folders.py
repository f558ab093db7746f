"""Pipeline folders written before network sizes were grouped still load, to the same network."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from rays_as_pixels.model.old_folders import grouped_config
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

OLD = {
    "attention": "decoupled",
    "attention_head_dim": 24,
    "cross_attn_norm": True,
    "eps": 1e-06,
    "ffn_dim": 192,
    "freq_dim": 256,
    "in_channels": 8,
    "motion_width": 64,
    "num_attention_heads": 2,
    "num_layers": 2,
    "patch_size": [1, 2, 2],
    "ray_channels": None,
    "ray_patch_size": 1,
    "ray_prediction": "sample",
    "rope_extent": [4.0, 8.0],
    "rope_theta": 100.0,
    "share_attention": False,
    "temporal_stride": 1,
    "text_dim": None,
    "text_len": None,
}


@pytest.mark.parametrize("max_shard_size", ["1GB", "4MB"])
def test_an_old_folder_gives_the_same_pipeline(toy, tmp_path, max_shard_size):
    toy.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    folder = tmp_path / "transformer"
    config = json.loads((folder / "config.json").read_text())
    head = {name: value for name, value in config.items() if name.startswith("_")}
    (folder / "config.json").write_text(json.dumps({**head, **OLD}))
    old_name = {"camera_prior.std": "camera_prior.spread"}
    old_name["camera_prior.moment_std"] = "camera_prior.moment_spread"
    files = list(folder.glob("*.safetensors"))
    assert (len(files) > 1) is (max_shard_size == "4MB")
    for file in files:
        weights = {old_name.get(name, name): value for name, value in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
    for index in folder.glob("*.safetensors.index.json"):
        stored = json.loads(index.read_text())
        places = {old_name.get(name, name): file for name, file in stored["weight_map"].items()}
        index.write_text(json.dumps({**stored, "weight_map": places}))

    index = json.loads((tmp_path / "model_index.json").read_text())
    del index["calibration_factor"]
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "error_per_spread": 4.5}))

    pipe = RaysAsPixelsPipeline.from_pretrained(tmp_path)
    assert pipe.config["calibration_factor"] == 4.5
    loaded = pipe.transformer
    assert loaded.sizes == toy.transformer.sizes
    expected = toy.transformer.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_sizes_beside_groups_count_and_no_motion_features_mean_no_priors():
    grouped = grouped_config(
        {"block_config": {"num_layers": 8, "num_heads": 3}, "num_layers": 1, "motion_width": None}
    )
    assert grouped == {
        "block_config": {"num_layers": 1, "num_heads": 3},
        "motion_features_config": None,
        "camera_prior_config": None,
        "view_prior_config": None,
    }


def test_all_sizes_are_written_down(tmp_path):
    """Code whose defaults change must still load weights of today."""
    network = RaysAsPixelsTransformer3DModel(
        video_config={"temporal_stride": 1}, motion_features_config={}, camera_prior_config={}
    )
    network.save_config(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["camera_prior_config"]["rounds"] == len(network.camera_prior.rounds)
    assert stored["motion_features_config"]["hidden"] == 96
    assert stored["view_prior_config"] is None
