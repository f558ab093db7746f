"""Extra frames: those between the frames of a clip where tracking is weak."""

import json
import re

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import write_video
from rays_as_pixels.pipeline.estimate import estimate_from_extra_frames
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.solve.inlier_ratio import is_doubtful


def moving(frames: int) -> torch.Tensor:
    """Return smooth noise that changes from frame to frame, so that no path explains it."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(frames, 3, 6, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")


def test_the_path_between_is_taken_where_it_explains_enough_and_says_what_it_saw(toy):
    longer = moving(6)
    places = (0, 1, 2, 4, 5)
    video = longer[list(places)]
    first = toy.estimate(video, fps=5.0, source_frame=(0, 4, 8, 12, 16))
    for inlier_ratio, kept in ((0.0, False), (1e9, True)):
        first.inlier_ratio = inlier_ratio
        second = estimate_from_extra_frames(
            toy,
            video,
            first,
            longer=longer,
            places=places,
            options=EstimateOptions(),
            run=RunOptions(),
        )
        assert second.frames_seen == 6
        assert second.trajectory.source_frame == (0, 4, 8, 12, 16)
        assert second.trajectory.fps == 5.0 and len(second.trajectory) == 5
        assert second.raxels.shape == first.raxels.shape
        assert (second.trajectory is first.trajectory) == kept
        if not kept:
            pose = second.trajectory.cameras.world_from_cam
            torch.testing.assert_close(pose[0], torch.eye(4, dtype=pose.dtype))
            assert second.depth.min() > 0 and second.inlier_ratio >= 0


@pytest.mark.parametrize("places", [(0, 2, 4, 6), (0, 2, 4, 6, 9), (1, 2, 4, 6, 8)])
def test_places_that_are_not_the_frames_are_refused(toy, places):
    longer = moving(9)
    video = longer[[0, 2, 4, 6, 8]]
    first = toy.estimate(video)
    with pytest.raises(InputError, match="places must name 5 of the 9 frames, the first being 0"):
        estimate_from_extra_frames(
            toy,
            video,
            first,
            longer=longer,
            places=places,
            options=EstimateOptions(),
            run=RunOptions(),
        )


@pytest.mark.parametrize("words", [[], ["--no-extra-frames"]])
def test_the_command_looks_between_and_says_so_unless_told_not_to(
    tmp_path, capsys, toy_folder, words
):
    write_video(tmp_path / "clip.mp4", moving(6), fps=10)
    clip = str(tmp_path / "clip.mp4")
    command = ["estimate", clip, "--frames", "5", "--model", str(toy_folder), *words]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    path = json.loads((tmp_path / "out" / "trajectory.json").read_text())
    assert len(path["frames"]) == 5
    looked = re.search(r"looked at 6 frames of this part", said) is not None
    assert looked == (not words)
    assert path["extra"].get("frames_seen") == (6 if looked else None)


def test_extra_frames_are_read_only_where_tracking_is_weak_and_there_is_one_run(toy):
    video, asked = moving(5), []

    def none_there() -> None:
        asked.append(True)

    weak = toy.estimate_with_extra_frames(video, none_there)
    assert is_doubtful(weak.inlier_ratio) and len(asked) == 1 and weak.frames_seen is None
    alone = toy.estimate_with_extra_frames(video, none_there, options=EstimateOptions(refine=False))
    assert alone.inlier_ratio is None and len(asked) == 1
    toy.estimate_with_extra_frames(video, none_there, options=EstimateOptions(num_flips=2))
    assert len(asked) == 1, "several runs have a standard deviation instead"
