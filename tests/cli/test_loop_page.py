"""The loop's page holds everything it shows."""

import base64
import re

import pytest
import torch

from rays_as_pixels.cli.loop_page import write_loop_page
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.presets import make_preset

REPORT = {
    "rotation_error_rad": 0.0123,
    "translation_error": 0.0456,
    "translation_error_fixed_scale": 0.0789,
    "psnr_db": 21.5,
    "per_frame": {"rotation_error_rad": [0.0, 0.02]},
}


@pytest.fixture
def page(tmp_path) -> str:
    generator = torch.Generator().manual_seed(0)
    for name in ("input.mp4", "video.mp4"):
        write_video(tmp_path / name, torch.rand(9, 3, 32, 48, generator=generator), fps=10)
    paths = [
        make_preset(name, num_frames=9, fps=10.0, height=32, width=48)
        for name in ("dolly-in", "arc-left")
    ]
    write_loop_page(tmp_path, *paths, REPORT)
    return (tmp_path / "loop.html").read_text(encoding="utf-8")


def test_both_videos_are_inside_the_page(page, tmp_path):
    videos = re.findall(r'src="data:video/mp4;base64,([^"]+)"', page)
    assert [base64.b64decode(video) for video in videos] == [
        (tmp_path / name).read_bytes() for name in ("input.mp4", "video.mp4")
    ]


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.findall(r"<(?:script|link|img|video|iframe)[^>]+(?:src|href)=\"(?!data:)", page)


def test_the_numbers_are_shown_with_their_units(page):
    for number, unit in (("0.0123", "rad"), ("0.0456", "reach"), ("21.50", "dB")):
        assert re.search(rf"{unit}[^<]*\)</td><td>{re.escape(number)}", page), number


def test_both_paths_are_drawn(page):
    for meta in ("other-path", "path"):
        assert re.search(rf'"meta"\s*:\s*"{meta}"', page)
