"""The frames between those of a clip: all of them, or evenly so many, its own among them."""

import pytest
from media_files import numbers, write_numbered

from rays_as_pixels.media.extra_frames import MOST_FRAMES, frames_between
from rays_as_pixels.media.video import read_clip


@pytest.mark.parametrize(
    ("there", "asked", "part"),
    [(31, 9, {}), (20, 5, {}), (80, 9, {}), (60, 9, {"start_sec": 1.0, "end_sec": 4.0})],
)
def test_the_clips_own_frames_are_among_them(tmp_path, there, asked, part):
    path = write_numbered(tmp_path / "a.mp4", there)
    clip = read_clip(path, num_frames=asked, **part)
    longer, places = frames_between(path, clip, end_sec=part.get("end_sec"))
    first, last = clip.source_frame[0], clip.source_frame[-1]
    assert len(clip) < len(longer) <= MOST_FRAMES
    assert len(longer) == min(last - first + 1, MOST_FRAMES)
    assert [longer.source_frame[k] for k in places] == list(clip.source_frame)
    assert [numbers(longer.video)[k] for k in places] == numbers(clip.video)
    assert places[0] == 0 and places[-1] == len(longer) - 1
    assert float(longer.time_sec[0]) == 0 and longer.start_sec == pytest.approx(clip.start_sec)


@pytest.mark.parametrize(("there", "asked"), [(9, 9), (10, 9), (80, 33)])
def test_there_are_none_where_a_clip_has_nearly_all_or_so_many_already(tmp_path, there, asked):
    path = write_numbered(tmp_path / "a.mp4", there)
    assert frames_between(path, read_clip(path, num_frames=asked)) is None


def test_frames_that_do_not_fit_in_memory_are_not_read(tmp_path, monkeypatch):
    path = write_numbered(tmp_path / "a.mp4", 20)
    clip = read_clip(path, num_frames=5)
    monkeypatch.setattr("rays_as_pixels.media.limits.MAX_CLIP_BYTES", 10 * clip.video[0].nbytes)
    assert frames_between(path, clip) is None
