"""Real data on the training entry: the same batches as rendered worlds, and a run end to end."""

import pytest
import torch

from rays_as_pixels.datasets.clips import WindowRule, clip_batches, open_dataset
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.real import real_batches
from tests.datasets.layouts import make_room, write_colmap

pytestmark = pytest.mark.filterwarnings("ignore:.torch_dtype. is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_colmap(folder / "room", make_room(), binary=True)
    return f"colmap:{folder}"


def test_real_clips_become_training_batches_with_unknown_motion(toy, spec):
    config = training_config("tiny")
    said = []
    batches = real_batches(
        config, toy.codec, [spec], seed=0, device=torch.device("cpu"), log=said.append
    )
    batch = next(batches)
    assert said == [f"data: 1 sequences in {spec}"]
    rule = WindowRule(config.num_frames, tuple(config.sizes))
    size = config.transformer.batch_size
    video, _ = next(clip_batches(open_dataset([spec]), rule, size, seed=0))
    torch.testing.assert_close(batch.latents, toy.codec.encode_video(video), atol=1e-4, rtol=1e-4)
    assert bool(batch.motion[:, :, 1:].isnan().all()), "nobody knows the depth of real clips"
    assert bool(batch.pose.isfinite().all())
    assert batch.still_frame.shape[0] == len(batch.latents)
    assert next(batches).latents.shape[1:2] == batch.latents.shape[1:2], "it goes on for ever"
