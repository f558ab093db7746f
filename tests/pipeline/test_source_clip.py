"""A clip filmed from elsewhere: its other frames show what the first does not."""

from dataclasses import replace

import pytest
import torch

from rays_as_pixels.app.jobs.input_files import read_source_clip, source_clip_files
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video_metrics import psnr_db
from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions, RunOptions
from rays_as_pixels.pipeline.source_clip import PosedClip
from tests.conftest import toy_pipeline

SIZE = (96, 160)


def test_other_frames_show_what_the_first_does_not(toy, travelling):
    even = [0, 2, 4, 6, 8]
    height, width = toy.sizes[0]
    video = torch.nn.functional.interpolate(travelling.video, (height, width), mode="area")
    path = Trajectory(travelling.cameras, fps=10.0).resized(height=height, width=width)
    kept = Trajectory(path.cameras[torch.tensor(even)], fps=5.0)
    source_clip = PosedClip(video[even], kept, travelling.depth[0])

    def made(**options):
        found = toy.generate(
            video[0],
            path,
            image_depths=[travelling.depth[0]],
            **options,
            options=GenerateOptions(num_inference_steps=1),
            run=RunOptions(generator=torch.Generator().manual_seed(0)),
        )
        return psnr_db(found.video, video)

    alone, both = made(), made(source_clip=source_clip)
    assert both[1::2].mean() > alone[1::2].mean() + 3, "frames that the clip does not have"
    assert both[8] > 40 > alone[8], "and one that it has"


def test_what_does_not_belong_together_is_refused(toy, travelling):
    path = Trajectory(travelling.cameras, fps=10.0)
    with pytest.raises(InputError, match="a camera for each; got 8 frames and 9 cameras"):
        PosedClip(travelling.video[:8], path, travelling.depth[0])
    tall = PosedClip(travelling.video.mT, path, travelling.depth[0].mT)
    with pytest.raises(InputError, match="a source clip must have the images' aspect"):
        tall.sources(SIZE, [SIZE, SIZE[::-1]])
    with pytest.raises(InputError, match="no source clip"):
        toy_pipeline(folded=True).generate(
            travelling.video[0],
            path,
            source_clip=PosedClip(travelling.video, path, travelling.depth[0]),
        )
    found = toy.estimate(
        travelling.video, options=EstimateOptions(num_inference_steps=1, estimate_depth=False)
    )
    assert found.depth is None
    with pytest.raises(InputError, match="a source clip must have depths"):
        PosedClip.from_estimate(travelling.video, found)


def test_a_job_keeps_its_source_clip_as_two_files(tmp_path, travelling):
    assert read_source_clip(tmp_path) is None
    path = Trajectory(travelling.cameras, fps=10.0)
    for name, content in source_clip_files(
        travelling.video, path, travelling.depth[0], inlier_ratio=0.5
    ).items():
        (tmp_path / name).write_bytes(content)
    back = read_source_clip(tmp_path)
    assert back is not None and back.inlier_ratio == 0.5
    torch.testing.assert_close(back.video, travelling.video, rtol=0, atol=0.5 / 255 + 1e-6)
    torch.testing.assert_close(back.depth, travelling.depth[0], rtol=6e-4, atol=0)
    large = replace(path, cameras=path.cameras.resized(height=960, width=1600))
    files = source_clip_files(
        travelling.video.repeat_interleave(10, 2).repeat_interleave(10, 3),
        large,
        travelling.depth[0],
        inlier_ratio=None,
    )
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    small = read_source_clip(tmp_path)
    assert small is not None and small.video.shape[-1] == 720 and small.inlier_ratio == 1.0
    assert small.trajectory.cameras.width == 720
