"""A real, untrained, toy-sized model on disk, for the verbs that run one."""

from pathlib import Path

import pytest
import torch

from rays_as_pixels.model.codec import new_autoencoder
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.export import build_pipeline
from rays_as_pixels.training.transformer import new_transformer


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """Save the pipeline of the `tiny` configuration with random weights."""
    config = training_config("tiny")
    size = config.codec
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = new_autoencoder(
            base_dim=size.base_dim, z_dim=size.z_dim, num_res_blocks=size.num_res_blocks
        )
        transformer = new_transformer(config.transformer, channels=size.z_dim)
    statistics = {"mean": [0.0] * size.z_dim, "std": [1.0] * size.z_dim}
    folder = tmp_path_factory.mktemp("model") / "tiny"
    build_pipeline(config, codec, transformer, statistics).save_pretrained(folder)
    return folder
