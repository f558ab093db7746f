"""The model that comes with the project, end to end on example clips, on a CPU."""

import json

import pytest
import torch

from rays_as_pixels.app.examples import find_examples
from rays_as_pixels.cli.main import main
from rays_as_pixels.geometry.camera_metrics import pair_errors
from rays_as_pixels.media.images import write_image
from rays_as_pixels.media.video import read_clip
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.formats.native import read_native
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.worlds import render_clips


@pytest.fixture(scope="module")
def pipe():
    pipeline = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_folder_is_small_enough_and_says_how_it_was_made():
    files = [file for file in DEFAULT_MODEL.rglob("*") if file.is_file()]
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) <= 16 * 2**20
    assert sum(sizes) <= 60 * 2**20
    assert json.loads((DEFAULT_MODEL / "training.json").read_text())["clips_seen"] > 0
    assert "median" in (DEFAULT_MODEL / "README.md").read_text()


def test_estimate_on_an_example_writes_a_path_and_a_page(pipe, tmp_path):
    clip = find_examples()[0].clip
    assert main(["estimate", str(clip), "--out", str(tmp_path / "out")]) == 0
    path = json.loads((tmp_path / "out" / "trajectory.json").read_text())
    assert path["format"] == "rays-as-pixels/trajectory"
    assert len(path["frames"]) == len(read_clip(clip)) > pipe.num_frames
    assert "plotly" in (tmp_path / "out" / "path.html").read_text()[:200_000].lower()
    assert 0.6 < path["extra"]["held_out_score"] <= 1


def test_nine_frames_of_an_example_are_estimated_by_the_network_and_their_pixels(tmp_path):
    clip = find_examples()[0].clip
    assert main(["estimate", str(clip), "--out", str(tmp_path / "out"), "--frames", "9"]) == 0
    path = json.loads((tmp_path / "out" / "trajectory.json").read_text())
    assert len(path["frames"]) == 9
    assert 0.2 < path["extra"]["inlier_ratio"] <= 1


def test_fitting_the_path_to_the_pixels_brings_an_example_nearer_to_its_truth(pipe):
    """The network's own path is right to half a degree or so; 0.1 is what pixels give."""
    example = find_examples()[0]
    clip = read_clip(example.clip, num_frames=9)
    truth = read_native(example.truth)
    true = truth.cameras[torch.tensor(clip.source_frame)].relative_to(0)
    off = {}
    for fitted in (False, True):
        found = pipe.estimate(
            clip.video,
            options=EstimateOptions(refine=fitted),
            run=RunOptions(generator=torch.Generator().manual_seed(0)),
        )
        assert (found.inlier_ratio is None) != fitted
        errors = pair_errors(found.trajectory.cameras, true)
        off[fitted] = float(errors.rotation_deg.mean())
    assert off[True] < 0.5 * off[False], off


@pytest.mark.parametrize("frames", [2, 6, 7])
def test_all_four_tasks_take_any_number_of_frames_from_two(pipe, frames):
    example = find_examples()[0]
    clip = read_clip(example.clip, num_frames=frames)
    truth = read_native(example.truth)
    true = truth.cameras[torch.tensor(clip.source_frame)].relative_to(0)
    looped = pipe.loop(
        clip.video,
        generate_options=GenerateOptions(max_upscale=1),
        run=RunOptions(generator=torch.Generator().manual_seed(0)),
    )
    assert len(looped.estimated) == len(looped.reestimated) == len(looped.video) == frames
    errors = pair_errors(looped.estimated.cameras, true)
    assert float(errors.rotation_deg.mean()) < 1.5  # half a degree at 9 frames
    assert looped.report.psnr_db > 18
    ends = clip.video[[0, -1]]
    imagined = pipe.imagine(
        list(ends),
        num_frames=frames,
        image_frames=(0, frames - 1),
        options=ImagineOptions(num_inference_steps=2, max_upscale=1),
        run=RunOptions(generator=torch.Generator().manual_seed(0)),
    )
    assert len(imagined.video) == len(imagined.trajectory) == frames


def test_loop_on_an_example_writes_all_its_files(tmp_path):
    clip = find_examples()[0].clip
    assert main(["loop", str(clip), "--out", str(tmp_path / "out"), "--steps", "4"]) == 0
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert written >= {"video.mp4", "estimated.json", "reestimated.json", "report.json"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["R_err"] >= 0
    assert read_clip(tmp_path / "out" / "video.mp4").video.shape[0] == 9


@pytest.mark.parametrize(
    ("words", "note"),
    [([], "The camera only turns"), (["--frames", "9"], "only turns, as on a tripod")],
)
def test_a_camera_on_a_tripod_is_said_to_only_turn(capsys, tmp_path, words, note):
    clip = render_clips([37], split="heldout", num_frames=9, height=96, width=160)
    for number, image in enumerate(clip.video[0]):
        write_image(tmp_path / f"{number}.png", image)
    assert main(["estimate", str(tmp_path), "--out", str(tmp_path / "out"), *words]) == 0
    assert note in capsys.readouterr().err
    found = read_native(tmp_path / "out" / "trajectory.json").cameras
    assert not found.world_from_cam[:, :3, 3].any()
    errors = pair_errors(found, clip.cameras[0].relative_to(0))
    assert float(errors.rotation_deg.mean()) < 0.2  # it turns by 14 degrees


@pytest.mark.slow
def test_the_codec_keeps_images_recognisable(pipe):
    clips = render_clips(list(range(2)), split="heldout", num_frames=9, height=64, width=64)
    with torch.no_grad():
        back = pipe.codec.decode_video(pipe.codec.encode_video(clips.video))
    mse = (back - clips.video).square().mean(dim=(1, 2, 3, 4))
    assert float(-10 * mse.log10().mean()) > 18  # 20.7 measured on 12 clips


@pytest.mark.slow
def test_the_estimate_depends_on_the_order_of_frames(pipe):
    clips = render_clips(list(range(3)), split="heldout", num_frames=9, height=64, width=64)
    order = torch.tensor([0, 5, 2, 7, 4, 1, 6, 3, 8])
    difference = []
    for index in range(3):
        generators = [torch.Generator().manual_seed(0) for _ in range(2)]
        straight, mixed = (
            pipe.estimate(
                video,
                options=EstimateOptions(refine=False),
                run=RunOptions(generator=generator),
            ).trajectory.cameras
            for video, generator in zip(
                (clips.video[index], clips.video[index][order]), generators, strict=True
            )
        )
        errors = pair_errors(mixed, straight)
        difference.append(float(errors.rotation_deg.median()))
    assert sum(difference) / 3 > 0.3  # degrees; a model blind to motion gives 0


@pytest.mark.slow
def test_images_without_cameras_tell_them_when_a_video_is_imagined(pipe):
    clips = render_clips([0, 5], split="heldout", num_frames=9, height=64, width=64)
    frames = torch.tensor([4, 0, 8, 2, 6])  # given in any order
    off, still = [], []
    for index in range(2):
        images, truth = list(clips.video[index][frames]), clips.cameras[index][frames]
        made = pipe.imagine(
            images,
            image_frames=frames.tolist(),
            options=ImagineOptions(num_inference_steps=1, video_steps=0),
        )
        off.append(pair_errors(made.trajectory.cameras[frames], truth).rotation_deg)
        still.append(pair_errors(truth[torch.ones_like(frames)], truth).rotation_deg)
    assert torch.cat(off).mean() < 0.2 * torch.cat(still).mean()


@pytest.mark.slow
def test_an_imagined_video_shows_its_own_path(pipe):
    image = render_clips([1], split="heldout", num_frames=1, height=64, width=64).video[0, 0]
    made = pipe.imagine(
        image,
        options=ImagineOptions(num_inference_steps=3, video_steps=2),
        run=RunOptions(generator=torch.Generator().manual_seed(0)),
    )
    path = made.trajectory.cameras
    again = pipe.estimate(made.video).trajectory.cameras
    off = pair_errors(again, path).rotation_deg.mean()
    still = pair_errors(path[torch.zeros(len(made.video), dtype=torch.int64)], path)
    assert still.rotation_deg.mean() > 0.3, "the camera turns"
    assert off < 0.5 * still.rotation_deg.mean()


@pytest.mark.slow
def test_generate_with_another_path_gives_another_video(pipe):
    image = render_clips([1], split="heldout", num_frames=1, height=64, width=64).video[0, 0]
    size = {"num_frames": 9, "fps": 10, "height": 64, "width": 64}
    videos = [
        pipe.generate(
            image,
            make_preset(name, **size),
            options=GenerateOptions(num_inference_steps=1),
            run=RunOptions(generator=torch.Generator().manual_seed(0)),
        ).video
        for name in ("pan-left", "pan-right")
    ]
    assert (videos[0] - videos[1]).abs().mean() > 0.002
    shown = torch.nn.functional.interpolate(image[None], size=videos[0].shape[-2:], mode="area")
    assert (videos[0][0] - shown[0]).square().mean() < 0.02  # the first frame is the given image
