"""Real, untrained, toy-sized parts that several folders of tests share."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.model.autoencoder import new_autoencoder
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.export import build_pipeline
from rays_as_pixels.training.stages.transformer import new_transformer


def toy_pipeline(*, folded: bool = False) -> RaysAsPixelsPipeline:
    """Build the pipeline of the `tiny` configuration with random weights, the same every time.

    Args:
        folded: Four frames per latent frame, as Wan's autoencoder has it, in place of one.
    """
    config = training_config("tiny")
    size, network = config.autoencoder, config.transformer.network
    if folded:
        network = replace(network, motion_width=None)
        size = replace(size, base_dim=8, temporal_stride=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = new_autoencoder(
            base_dim=size.base_dim,
            z_dim=size.z_dim,
            temporal_stride=size.temporal_stride,
        )
        transformer = new_transformer(
            network, channels=size.z_dim, temporal_stride=size.temporal_stride
        )
        for parameter in transformer.parameters():  # its own start is the identity; this is not
            torch.nn.init.normal_(parameter, std=0.05)
        view = transformer.view_prior
        if view is not None:  # its maps are fitted to a trained codec; zeros would show nothing
            for weight in (view.pixel_weight, view.cell_weight, view.ray_weight):
                torch.nn.init.normal_(weight, std=0.1)
    statistics = {"mean": [0.0] * size.z_dim, "std": [1.0] * size.z_dim}
    pipe = build_pipeline(config, codec.eval(), transformer.eval(), statistics)
    pipe.set_progress_bar_config(disable=True)
    # What an untrained network gives would be fitted four times more, to no avail.
    pipe.register_to_config(refine_rounds=1)
    return pipe


@pytest.fixture(scope="session")
def travelling() -> EvalClip:
    """A rendered world along whose path a camera travels half a scene unit, 96 x 160 pixels."""
    (one,) = world_clips(1, num_frames=9, sizes=((96, 160),), first_seed=7)
    return one


@pytest.fixture(scope="session")
def folded_toy() -> RaysAsPixelsPipeline:
    return toy_pipeline(folded=True)


@pytest.fixture(scope="session")
def toy() -> RaysAsPixelsPipeline:
    return toy_pipeline()


@pytest.fixture(scope="session")
def toy_folder(toy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    toy.save_pretrained(folder)
    return folder
