import dataclasses
import json

import pytest
import torch
from diffusers import AutoencoderKLWan

from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.checkpoints import check_model_folder
from rays_as_pixels.pipeline.options import EstimateOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.augment import mirrored, reversed_in_time
from rays_as_pixels.training.data.pool import PoolClips, PoolSpec, build_pool, shard_paths
from rays_as_pixels.training.export import load_transformer_weights
from rays_as_pixels.training.run_context import TrainingOptions
from rays_as_pixels.training.stages.autoencoder import pooled_loss, random_window, training_cameras
from rays_as_pixels.training.stages.finetune_decoder import pose_error
from rays_as_pixels.training.stages.run import train
from rays_as_pixels.training.stages.transformer import new_transformer
from rays_as_pixels.worlds import WorldOptions, render_clips


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Train the tiny configuration for seconds: every stage, real parts."""
    folder = tmp_path_factory.mktemp("run")
    config = dataclasses.replace(training_config("tiny"), pool_clips=64)
    options = TrainingOptions(
        folder,
        folder / "pipeline",
        minutes={"autoencoder": 0.04, "pretrain": 0.04, "decoder": 0.03, "transformer": 0.04},
        check=False,
    )
    train(config, options)
    return folder


@pytest.mark.slow
def test_a_run_leaves_a_pipeline_that_loads_and_records_how_it_was_made(run_folder):
    check_model_folder(run_folder / "pipeline")
    pipe = RaysAsPixelsPipeline.from_pretrained(run_folder / "pipeline")
    assert pipe.num_frames == 5
    for part in ("vae", "transformer"):  # nothing of the machine that trained it
        assert "_name_or_path" not in (run_folder / "pipeline" / part / "config.json").read_text()
    assert (run_folder / "pipeline" / "training.json").read_text().count("clips_seen") == 1
    video = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert len(pipe.estimate(video, options=EstimateOptions(num_inference_steps=1)).trajectory) == 5


@pytest.mark.slow
def test_a_run_goes_on_where_it_stopped(run_folder):
    before = torch.load(run_folder / "transformer-state.pt", weights_only=True)["progress"]
    options = TrainingOptions(
        run_folder,
        run_folder / "pipeline",
        minutes={"transformer": 0.08},
        check=False,
        stages=("transformer",),
    )
    train(training_config("tiny"), options)
    after = torch.load(run_folder / "transformer-state.pt", weights_only=True)["progress"]
    assert after["step"] > before["step"]
    assert after["spent_sec"] > before["spent_sec"]
    assert f"resumed at step {before['step']}" in (run_folder / "log.txt").read_text()


@pytest.mark.slow
def test_a_new_run_can_start_from_a_pipelines_weights_and_refuses_another_size(
    run_folder, tmp_path
):
    stored = RaysAsPixelsPipeline.from_pretrained(run_folder / "pipeline")
    size = training_config("tiny").transformer.network
    model = new_transformer(size, channels=8, temporal_stride=1)
    load_transformer_weights(model, run_folder / "pipeline")
    assert torch.equal(model.proj_out.weight, stored.transformer.proj_out.weight)
    wider = new_transformer(dataclasses.replace(size, width=96), channels=8, temporal_stride=1)
    with pytest.raises(CheckpointError, match="must have the size of the configuration"):
        load_transformer_weights(wider, run_folder / "pipeline")


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False])
def test_an_autoencoder_is_taken_as_it_is(run_folder, tmp_path, same):
    pipeline = run_folder / "pipeline"
    config = dataclasses.replace(training_config("tiny"), pool_clips=0)
    options = TrainingOptions(
        tmp_path,
        tmp_path / "out",
        autoencoder_from=pipeline,
        init_from=pipeline if same else None,
        stages=("autoencoder", "decoder"),
    )
    train(config, options)
    stored = RaysAsPixelsPipeline.from_pretrained(pipeline)
    taken = AutoencoderKLWan.from_pretrained(tmp_path / "vae-finetuned")
    for name, value in stored.vae.state_dict().items():
        assert torch.equal(taken.state_dict()[name], value), name
    mean = json.loads((tmp_path / "raxel-statistics.json").read_text())["mean"]
    # Latents of other clips have other means; those that a network was trained on are kept.
    assert (mean == list(stored.config.raxel_latents_mean)) is same
    assert (taken.config.latents_mean == stored.vae.config.latents_mean) is same


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 5e-4])
def test_a_finished_camera_prior_is_trained_further_at_its_own_rate(run_folder, tmp_path, rate):
    start = run_folder / "pipeline"
    config = dataclasses.replace(training_config("tiny"), pool_clips=0)
    pretraining = dataclasses.replace(
        config.transformer.pretraining, camera_prior_learning_rate=rate
    )
    size = dataclasses.replace(config.transformer, pretraining=pretraining)
    options = TrainingOptions(
        tmp_path,
        tmp_path / "out",
        autoencoder_from=start,
        init_from=start,
        minutes={"pretrain": 0.03, "transformer": 0.01},
        check=False,
        stages=("autoencoder", "decoder", "transformer"),
    )
    train(dataclasses.replace(config, transformer=size), options)
    before, after = (
        RaysAsPixelsPipeline.from_pretrained(folder).transformer.camera_prior.state_dict()
        for folder in (start, tmp_path / "out")
    )
    same = [torch.equal(value, after[name]) for name, value in before.items()]
    assert all(same) is (rate == 0)


def test_a_stage_whose_input_is_missing_says_which(tmp_path):
    options = TrainingOptions(tmp_path, tmp_path / "out", stages=("transformer",), check=False)
    with pytest.raises(InputError, match="Run the stage autoencoder"):
        train(training_config("tiny"), options)


def test_a_pool_is_rendered_once_and_shards_are_whole(tmp_path):
    spec = PoolSpec(clips=64, num_frames=1, sizes=((16, 16),))
    assert list(build_pool(tmp_path, spec)) == [(1, 1)]
    path = shard_paths(tmp_path)[0]
    stamp = path.stat().st_mtime_ns
    list(build_pool(tmp_path, spec))
    assert path.stat().st_mtime_ns == stamp
    clips = PoolClips.read(path)
    direct = render_clips(list(range(4)), split="train", num_frames=1, height=16, width=16)
    torch.testing.assert_close(
        clips.video[:4].float() / 255, direct.video, rtol=0, atol=0.51 / 255 + 1e-3
    )


def world():
    return render_clips(
        [3, 5],
        split="train",
        num_frames=5,
        height=16,
        width=16,
        options=WorldOptions(supersample=1),
    )


def test_mirroring_flips_sideways_travel_and_turning_but_not_height():
    clips = world()
    video, cameras = mirrored(clips.video, clips.cameras)
    assert torch.equal(video.flip(-1), clips.video)
    before, after = clips.cameras.world_from_cam, cameras.world_from_cam
    torch.testing.assert_close(after[..., 0, 3], -before[..., 0, 3])
    torch.testing.assert_close(after[..., 1:3, 3], before[..., 1:3, 3])
    # The raxels of a mirrored camera are the mirrored raxels with x negated.
    raxels = raxels_from_cameras(clips.cameras).flip(-1) * torch.tensor([-1.0, 1, 1])[:, None, None]
    torch.testing.assert_close(raxels_from_cameras(cameras), raxels, rtol=0, atol=1e-5)


def test_reversing_makes_the_last_frame_the_reference_with_its_own_depth_as_unit():
    clips = world()
    median = clips.depth.flatten(2).median(dim=-1).values
    video, cameras = reversed_in_time(clips.video, clips.cameras, median)
    assert torch.equal(video[:, 0], clips.video[:, -1])
    pose = cameras.world_from_cam
    torch.testing.assert_close(pose[:, 0], torch.eye(4).expand(2, 4, 4), rtol=0, atol=1e-5)
    length = (clips.cameras.world_from_cam[:, -1, :3, 3]).norm(dim=-1) / median[:, -1]
    torch.testing.assert_close(pose[:, -1, :3, 3].norm(dim=-1), length, rtol=1e-4, atol=1e-6)


def test_the_pose_loss_reads_a_small_turn_travel_and_zoom_off_the_raxels():
    step = torch.tensor([[0.002, -0.001, 0.003, 0.004, 0.001, -0.002, 0.003, 0.001]])

    def camera(scale: float) -> Cameras:
        moved = step * scale
        turn = rotation_from_vector(torch.tensor([[0.1, 0.2, -0.1]]))
        pose = rigid(
            rotation_from_vector(moved[:, :3]) @ turn,
            torch.tensor([[0.1, 0.0, 0.2]]) + moved[:, 3:6],
        )
        focal = torch.tensor([[20.0, 20.0]]) * moved[:, 6:].exp()
        return Cameras(pose, focal, torch.tensor([[16.0, 16.0]]), 32, 32)

    def raster(cameras: Cameras) -> torch.Tensor:
        full = cameras.resized(height=64, width=64)
        reference = Cameras(torch.eye(4)[None], full.focal_px, full.center_px, 64, 64)
        both = Cameras(
            torch.stack([reference.world_from_cam, full.world_from_cam], 1),
            torch.stack([reference.focal_px, full.focal_px], 1),
            torch.stack([reference.center_px, full.center_px], 1),
            64,
            64,
        )
        return raxels_from_cameras(both)[:, 1]

    error = raster(camera(1.0)) - raster(camera(0.0))
    # One Gauss-Newton step: off by the square of the step, 1e-5.
    torch.testing.assert_close(pose_error(camera(0.0), error), step, rtol=0, atol=3e-5)


def test_training_cameras_fit_the_autoencoders_range():
    cameras = training_cameras(world().cameras, 16, torch.Generator().manual_seed(0))
    assert cameras.batch_shape[1] == 2
    assert 8 <= cameras.batch_shape[0] <= 16
    assert raxels_from_cameras(cameras)[:, 1].abs().max() < 2


def test_pooled_loss_sees_a_shift_in_full_and_noise_hardly():
    zeros = torch.zeros(2, 3, 1, 16, 16)
    assert float(pooled_loss(zeros + 0.1, zeros)) == pytest.approx(0.3)  # three scales
    noise = 0.1 * torch.randn(zeros.shape, generator=torch.Generator().manual_seed(0))
    assert float(pooled_loss(noise, zeros)) < 0.06


def test_windows_have_the_size_asked_for():
    video = torch.zeros(2, 9, 3, 48, 80)
    generator = torch.Generator().manual_seed(0)
    assert random_window(video, ((5, 32, 1.0),), generator).shape == (2, 5, 3, 32, 32)
    assert random_window(video, ((9, 0, 1.0),), generator).shape == (2, 9, 3, 48, 80)
