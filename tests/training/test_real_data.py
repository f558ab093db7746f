"""Real data on the training entry: the same batches as rendered worlds, and a run end to end."""

import json

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.datasets.clips import WindowRule, clip_batches, open_dataset
from rays_as_pixels.media.video import write_video
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.real import real_batches
from rays_as_pixels.trajectories.formats import load
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
    assert batch.reference_frame.shape[0] == len(batch.latents)
    assert next(batches).latents.shape[1:2] == batch.latents.shape[1:2], "it goes on for ever"


@pytest.mark.slow
@pytest.mark.timeout(600)  # seconds on an idle machine
def test_training_on_real_data_leaves_a_pipeline_that_estimate_loads(spec, tmp_path, capsys):
    run = tmp_path / "run"
    minutes = [
        word
        for part in ("autoencoder", "decoder", "pretrain", "transformer")
        for word in (f"--{part}-minutes", "0.03")
    ]
    words = ["train", "--config", "tiny", "--data", spec, "--run", str(run), "--no-check"]
    assert main([*words, *minutes]) == 0
    pipeline = capsys.readouterr().out.strip()
    assert pipeline == str(run / "pipeline")
    log = (run / "log.txt").read_text()
    assert f"data: 1 sequences in {spec}" in log
    assert log.count("run started") == 1
    assert not (run / "pool").exists(), "no worlds are kept beside real data"
    steps = json.loads((run / "pipeline" / "training.json").read_text())["steps"]
    assert steps > 0
    clip = tmp_path / "clip.mp4"
    write_video(clip, torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)), fps=10)
    words = ["estimate", str(clip), "--model", pipeline, "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "path")]) == 0
    assert len(load(tmp_path / "path" / "trajectory.json")) == 5
