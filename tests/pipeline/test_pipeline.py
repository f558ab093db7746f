import json
from dataclasses import replace
from threading import Event

import pytest
import torch

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.pipeline.validation import within_reach
from rays_as_pixels.trajectories.presets import make_preset
from tests.conftest import toy_pipeline


def video(frames: int = 5, height: int = 40, width: int = 60) -> torch.Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0))


def path(frames: int = 5, height: int = 40, width: int = 60) -> Trajectory:
    return make_preset("truck-right", num_frames=frames, fps=10, height=height, width=width)


def test_an_imagined_video_is_made_again_along_its_path(toy):
    def imagined(video_steps: int):
        seen = []
        made = toy.imagine(
            video()[0],
            options=ImagineOptions(num_inference_steps=1, video_steps=video_steps),
            run=RunOptions(
                generator=seeded(),
                progress=lambda stage, done, total: seen.append((stage, done, total)),
            ),
        )
        return made, seen

    (alone, before), (again, after) = imagined(0), imagined(2)
    stages = ("imagine", 1, 1), ("generate video", 2, 2)
    assert [stage in before for stage in stages] == [True, False]
    assert [stage in after for stage in stages] == [True, True]
    assert torch.equal(
        alone.trajectory.cameras.world_from_cam, again.trajectory.cameras.world_from_cam
    )
    assert not torch.equal(alone.video, again.video)


def with_depths(pipe: RaysAsPixelsPipeline, depths: list):
    return pipe.generate(
        video()[0], path(), image_depths=depths, options=GenerateOptions(num_inference_steps=1)
    )


def seeded(number: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_noise_levels_are_shifted_where_the_path_is_known_and_only_there(toy):
    pipe = RaysAsPixelsPipeline(**toy.components, **(toy.parameters | {"video_shift": 3.0}))
    pipe.set_progress_bar_config(disable=True)
    levels: list[float] = []

    def note(_pipe, _step, timestep, _tensors):
        levels.append(float(timestep) / 1000)
        return {}

    shifted = pytest.approx([1.0, 0.9, 0.75, 0.5])
    pipe.generate(
        video()[0],
        path(),
        options=GenerateOptions(num_inference_steps=4),
        run=RunOptions(callback_on_step_end=note),
    )
    assert levels == shifted
    levels.clear()
    pipe.imagine(
        video()[0],
        num_frames=5,
        options=ImagineOptions(num_inference_steps=2, video_steps=4),
        run=RunOptions(callback_on_step_end=note),
    )
    assert levels[:2] == pytest.approx([1.0, 0.5])
    assert levels[2:] == shifted
    with pytest.raises(InputError, match="video_shift must be a number above 0; got 0"):
        RaysAsPixelsPipeline(**toy.components, **(toy.parameters | {"video_shift": 0}))


def test_estimate_gives_one_camera_per_frame_in_pixels_of_the_given_video(toy):
    out = toy.estimate(
        video(),
        fps=5.0,
        source_frame=(0, 2, 4, 6, 8),
        options=EstimateOptions(num_samples=2),
        run=RunOptions(generator=seeded()),
    )
    cameras = out.trajectory.cameras
    assert (len(out.trajectory), cameras.height, cameras.width) == (5, 40, 60)
    torch.testing.assert_close(cameras.world_from_cam[0], torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(
        cameras.center_px[0], torch.tensor([30.0, 20.0]).double(), rtol=0, atol=0.5
    )
    assert out.trajectory.times_sec.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert out.trajectory.source_frame == (0, 2, 4, 6, 8)
    assert out.raxels.shape == (5, 3, 16, 16)
    assert out.pose_std.rotation_rad.shape == (5,)


def test_generate_follows_the_seed_and_the_path(toy):
    image = video()[0]
    one = toy.generate(
        image,
        path(),
        options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded(1)),
    ).video
    again = toy.generate(
        image,
        path(),
        options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded(1)),
    ).video
    other = toy.generate(
        image,
        path(),
        options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded(2)),
    ).video
    still = make_preset("dolly-in", num_frames=5, fps=10, height=40, width=60)
    elsewhere = toy.generate(
        image,
        still,
        options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded(1)),
    ).video
    assert one.shape == (5, 3, 32, 32)
    assert one.min() >= 0
    assert one.max() <= 1
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, elsewhere)


def test_generate_takes_several_images_and_each_is_seen_at_its_frame(toy):
    frames = video()
    out = toy.generate(
        [frames[4], frames[2]],
        path(),
        image_frames=(4, 2),
        options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(generator=seeded()),
    )
    small = ResizeCrop.nearest(40, 60, toy.sizes).images(frames)
    assert out.video.shape == (5, 3, 32, 32)
    for frame in (2, 4):
        torch.testing.assert_close(out.video[frame], small[frame])
    assert (out.video[3] - small[3]).abs().mean() > 0.05, "that image was not given"


def test_imagine_makes_video_and_path_together_from_noise_and_the_image(toy):
    image = video()[0]

    def imagined(seed: int):
        return toy.imagine(
            image,
            num_frames=9,
            options=ImagineOptions(num_inference_steps=2),
            run=RunOptions(generator=seeded(seed)),
        )

    out, again, other = imagined(1), imagined(1), imagined(2)
    assert out.video.shape == (9, 3, 32, 32)
    assert (len(out.trajectory), out.trajectory.cameras.height) == (9, 32)
    small = ResizeCrop.nearest(40, 60, toy.sizes).images(image[None])[0]
    torch.testing.assert_close(out.video[0], small)
    pose, same, else_ = (one.trajectory.cameras.world_from_cam for one in (out, again, other))
    assert torch.equal(pose, same) and not torch.equal(pose, else_)
    assert (out.video[1:] - other.video[1:]).abs().max() > 1e-3


def test_loop_compares_both_paths_at_the_inputs_size_and_both_videos(toy):
    out = toy.loop(
        video(),
        generate_options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded()),
    )
    assert out.estimated.cameras.width == out.reestimated.cameras.width == 60
    report = out.report.to_dict()
    assert report["R_err"] == out.report.rotation_error_rad
    assert len(out.report.psnr_db_by_frame) == 5
    assert out.report.rotation_error_rad_by_frame[0] == 0
    json.dumps(report)


def test_guidance_doubles_the_calls_and_changes_the_result(toy):
    image = video()[0]
    plain = toy.generate(
        image,
        path(),
        options=GenerateOptions(num_inference_steps=2),
        run=RunOptions(generator=seeded()),
    ).video
    guided = toy.generate(
        image,
        path(),
        options=GenerateOptions(num_inference_steps=2, guidance_scale=3.0),
        run=RunOptions(generator=seeded()),
    ).video
    assert not torch.equal(plain, guided)


def test_progress_names_stages_and_cancel_stops_within_one_step(toy):
    cancel, seen = Event(), []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))
        if stage == "generate video" and done == 1:
            cancel.set()

    with pytest.raises(Cancelled):
        toy.generate(
            video()[0],
            path(),
            options=GenerateOptions(num_inference_steps=5),
            run=RunOptions(progress=progress, cancel=cancel, generator=seeded()),
        )
    assert seen[0][0] == "encode images"
    assert seen[-1] == ("generate video", 1, 5)


def test_the_fit_of_images_that_tell_their_cameras_can_be_cancelled(toy):
    cancel, frames = Event(), video()

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "fit path to frames":
            cancel.set()

    with pytest.raises(Cancelled):
        toy.imagine(
            [frames[0], frames[4]],
            num_frames=5,
            image_frames=[0, 4],
            options=ImagineOptions(num_inference_steps=1),
            run=RunOptions(progress=progress, cancel=cancel),
        )
    assert cancel.is_set()


def test_the_step_callback_gets_the_pipeline_and_latents(toy):
    seen = []

    def callback(pipe, step, timestep, latents):
        seen.append((pipe is toy, step, sorted(latents)))
        return latents

    toy.estimate(
        video(),
        options=EstimateOptions(num_inference_steps=2),
        run=RunOptions(callback_on_step_end=callback, generator=seeded()),
    )
    assert seen == [(True, 0, ["latents", "ray_latents"]), (True, 1, ["latents", "ray_latents"])]


def test_depths_of_images_reach_the_view_prior_and_the_loop_passes_them_on(toy, monkeypatch):
    seen = []

    def look(_module, _given, options):
        seen.append(options["log_depth"])

    with toy.transformer.view_prior.register_forward_pre_hook(look, with_kwargs=True):
        for depths in (None, [None], [torch.full((3, 4), 0.3)], [None, torch.ones(2, 2)]):
            images = [video()[0]] * (1 if depths is None else len(depths))
            toy.generate(
                images,
                path(),
                image_frames=range(len(images)),
                image_depths=depths,
                options=GenerateOptions(num_inference_steps=1, num_samples=2),
                run=RunOptions(generator=[seeded(), seeded()]),
            )
    assert seen[:2] == [None, None]
    size = toy.sizes[0] if len(toy.sizes) == 1 else seen[2].shape[-2:]
    torch.testing.assert_close(seen[2], torch.full((2, 1, *size), 0.3).log())
    assert seen[3][:, 0].isnan().all() and seen[3][:, 1].abs().max() == 0

    found, given = [], []
    estimate, generate = type(toy).estimate, type(toy).generate
    monkeypatch.setattr(
        type(toy), "estimate", lambda *a, **k: found.append(estimate(*a, **k)) or found[-1]
    )
    monkeypatch.setattr(type(toy), "generate", lambda *a, **k: given.append(k) or generate(*a, **k))
    toy.loop(
        video(),
        estimate_options=EstimateOptions(num_inference_steps=1),
        generate_options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(generator=seeded()),
    )
    assert found[0].depth is not None and found[0].depth.min() > 0
    assert given[0]["image_depths"] == [found[0].depth]


def test_what_an_image_shows_is_taken_from_it_as_large_as_it_is(toy):
    height, width = toy.sizes[0]
    image = torch.rand(3, 5 * height, 5 * width, generator=seeded(1))
    moving = path(height=height, width=width)
    still = replace(moving, cameras=moving.cameras[torch.zeros(5, dtype=torch.int64)])

    def made(**options):
        return toy.generate(
            image,
            still,
            options=GenerateOptions(num_inference_steps=1, **options),
            run=RunOptions(generator=seeded()),
        )

    large = made()
    assert large.video.shape == (5, 3, 4 * height, 4 * width)
    assert large.trajectory.cameras.width == 4 * width
    resize_crop = ResizeCrop(5 * height, 5 * width, 4 * height, 4 * width)
    torch.testing.assert_close(large.video, resize_crop.images(image[None]).expand(5, -1, -1, -1))
    own = made(max_upscale=1)
    assert own.video.shape == (5, 3, height, width)


def test_imagined_and_looped_videos_show_their_image_too(toy):
    height, width = toy.sizes[0]
    frames = torch.rand(5, 3, 2 * height, 2 * width, generator=seeded(1))
    imagined = toy.imagine(
        frames[0],
        num_frames=5,
        options=ImagineOptions(num_inference_steps=1, video_steps=1, num_samples=2),
        run=RunOptions(generator=[seeded(), seeded(4)]),
    )
    assert imagined.videos.shape == (2, 5, 3, 2 * height, 2 * width)
    torch.testing.assert_close(imagined.videos[:, 0], frames[:1].expand(2, -1, -1, -1))
    assert imagined.trajectory.cameras.height == 2 * height
    looped = toy.loop(
        frames,
        estimate_options=EstimateOptions(num_inference_steps=1),
        generate_options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(generator=seeded()),
    )
    assert looped.video.shape == frames.shape
    assert looped.reestimated.cameras.width == looped.estimated.cameras.width == 2 * width
    assert len(looped.report.psnr_db_by_frame) == 5


def test_a_path_too_long_for_raxels_is_scaled_down_with_its_depths_where_all_are_known(toy):
    far = path().scaled(99)
    known = torch.full((4, 6), 50.0)
    made = toy.generate(
        video()[0], far, image_depths=[known], options=GenerateOptions(num_inference_steps=1)
    )
    torch.testing.assert_close(
        made.trajectory.cameras.world_from_cam, far.reanchored().cameras.world_from_cam
    )
    cameras = path().reanchored().cameras
    same, depth = within_reach(cameras, known.log()[None])
    assert same is cameras and torch.equal(depth, known.log()[None])
    near, depth = within_reach(cameras.scaled(99), known.log()[None])
    factor = near.world_from_cam[-1, :3, 3].norm() / (99 * cameras.world_from_cam[-1, :3, 3].norm())
    torch.testing.assert_close(depth.exp(), (factor * known[None]).float())
    hole = known.log()[None].clone()
    hole[0, 0, 0] = torch.nan
    assert within_reach(cameras.scaled(99), hole)[0].world_from_cam[-1, :3, 3].norm() > 2


def test_a_model_without_a_view_prior_takes_no_depths_and_still_loops():
    folded = toy_pipeline(folded=True)
    with pytest.raises(InputError, match="takes no depths"):
        with_depths(folded, [torch.ones(2, 3)])
    folded.loop(
        video(),
        estimate_options=EstimateOptions(num_inference_steps=1),
        generate_options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(generator=seeded()),
    )
