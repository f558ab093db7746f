"""Reading clips: every container, true times, turns, colours, and choice of frames."""

import resource
import struct

import av
import numpy as np
import pytest
import torch
from media_files import (
    corner_colours,
    numbered,
    numbers,
    quadrants,
    write_frames,
    write_numbered,
    write_plane_values,
)
from PIL import Image

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.container import decoded_frames, index_video
from rays_as_pixels.media.video import probe_video, read_clip, read_image


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif"])
def test_every_container_gives_all_frames_in_order_with_their_times(tmp_path, name):
    clip = read_clip(write_numbered(tmp_path / name, 20))
    assert numbers(clip.video) == list(range(20))
    assert clip.source_frame == tuple(range(20))
    # Containers count in ticks of at most 10 ms (gif); these times are whole ticks in all of them.
    torch.testing.assert_close(clip.time_sec, torch.arange(20, dtype=torch.float64) / 10)
    assert clip.fps == pytest.approx(10)
    assert clip.video.dtype == torch.float32
    assert clip.video.min() >= 0
    assert clip.video.max() <= 1
    assert clip.notes == ()


def test_vp8_with_hidden_frames_gives_the_shown_frames(tmp_path):
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "arnr-maxframes": "5", "g": "30"}
    path = write_numbered(tmp_path / "a.webm", 60, codec="libvpx", options=options)
    clip = read_clip(path, num_frames=9)
    assert numbers(clip.video) == list(clip.source_frame) == [0, 7, 15, 22, 29, 37, 44, 52, 59]


def test_probing_describes_the_file_without_its_folder(tmp_path):
    info = probe_video(write_numbered(tmp_path / "a.mp4", 20))
    assert (info.name, info.width, info.height, info.codec) == ("a.mp4", 64, 32, "h264")
    assert (info.num_frames, info.rotation_deg) == (20, 0)
    assert info.fps == pytest.approx(10)
    assert info.duration_sec == pytest.approx(2.0)


@pytest.mark.parametrize("counterclockwise", [0, 90, 180, 270])
def test_a_turned_phone_video_is_read_upright(tmp_path, counterclockwise):
    upright = quadrants()
    stored = np.ascontiguousarray(np.rot90(upright, -counterclockwise // 90))
    path = write_frames(
        tmp_path / "a.mp4",
        [stored] * 3,
        prepare=lambda stream: stream.set_display_rotation(counterclockwise),
    )
    clip = read_clip(path)
    assert clip.video.shape[-2:] == (48, 64)
    assert corner_colours(clip.video[0]) == ["red", "green", "blue", "white"]
    assert clip.source.rotation_deg == -counterclockwise % 360
    assert (clip.source.width, clip.source.height) == (64, 48)
    assert any("rotated" in note for note in clip.notes) == (counterclockwise != 0)


def _with_track_matrix(data: bytes, rows: tuple[int, int, int, int]) -> bytes:
    """Replace a b c d in the track header (ISO 14496-12: the matrix is 40 bytes into version 0)."""
    a, b, c, d = (value * 65536 for value in rows)
    start = data.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return data[:start] + matrix + data[start + 36 :]


@pytest.mark.parametrize(
    ("rows", "corners", "rotation_deg"),
    [
        # x' = a x + c y, y' = b x + d y with y down; the stored top left is red.
        ((0, 1, -1, 0), ["blue", "red", "white", "green"], 90),  # a portrait phone: clockwise
        ((-1, 0, 0, 1), ["green", "red", "white", "blue"], 0),  # a selfie: left-right
        ((1, 0, 0, -1), ["blue", "white", "red", "green"], 180),  # left-right, then half a turn
        ((0, 1, 1, 0), ["red", "blue", "green", "white"], 270),  # transposed
    ],
)
def test_the_track_matrix_is_followed_to_the_letter(tmp_path, rows, corners, rotation_deg):
    path = write_frames(tmp_path / "a.mp4", [quadrants()] * 2)
    path.write_bytes(_with_track_matrix(path.read_bytes(), rows))
    clip = read_clip(path)
    assert corner_colours(clip.video[0]) == corners
    assert clip.source.rotation_deg == rotation_deg
    assert clip.video.shape[-2:] == ((64, 48) if rows[0] == 0 else (48, 64))


def test_a_skewed_track_matrix_is_refused(tmp_path):
    path = write_frames(tmp_path / "a.mp4", [quadrants()] * 2)
    path.write_bytes(_with_track_matrix(path.read_bytes(), (1, 1, -1, 1)))
    with pytest.raises(InputError, match="multiple of 90 degrees"):
        read_clip(path)


# A phone that slows down in the dark: 8 frames in the first 0.7 s, then one every half second.
_VARIABLE_MS = [0, 100, 200, 300, 400, 500, 600, 700, 1200, 1700, 2200, 2700, 3200]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rate_keeps_true_times(tmp_path, name):
    path = write_numbered(tmp_path / name, 13, times_ms=_VARIABLE_MS)
    clip = read_clip(path)
    assert numbers(clip.video) == list(range(13))
    expected = torch.tensor(_VARIABLE_MS, dtype=torch.float64) / 1000
    torch.testing.assert_close(clip.time_sec, expected, atol=1e-6, rtol=0)
    assert any("not evenly spaced" in note for note in clip.notes)


def test_frames_of_a_variable_rate_video_are_chosen_by_time_not_by_number(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 13, times_ms=_VARIABLE_MS)
    clip = read_clip(path, num_frames=5)
    # Nearest to 0, 0.8, 1.6, 2.4, 3.2 s; by number it would be 0, 3, 6, 9, 12.
    assert list(clip.source_frame) == numbers(clip.video) == [0, 7, 9, 10, 12]
    expected = torch.tensor([0.0, 0.7, 1.7, 2.2, 3.2], dtype=torch.float64)
    torch.testing.assert_close(clip.time_sec, expected, atol=1e-6, rtol=0)


def test_a_frame_shown_for_long_is_taken_once_and_noted(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 13, times_ms=_VARIABLE_MS)
    clip = read_clip(path, fps=5)
    assert len(set(clip.source_frame)) == len(clip)
    assert any("already taken" in note for note in clip.notes)


def test_a_start_before_a_nonzero_first_timestamp_counts_from_the_first_frame(tmp_path):
    path = write_numbered(tmp_path / "a.mkv", 10, times_ms=[5000 + 100 * k for k in range(10)])
    clip = read_clip(path, start_sec=0.3, end_sec=0.6)
    assert numbers(clip.video) == [3, 4, 5]
    assert clip.start_sec == pytest.approx(0.3)
    assert clip.time_sec[0] == 0


def test_trimming_keeps_start_and_leaves_out_end(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 20)
    clip = read_clip(path, start_sec=0.5, end_sec=1.0)
    assert list(clip.source_frame) == numbers(clip.video) == [5, 6, 7, 8, 9]
    assert clip.start_sec == pytest.approx(0.5)
    assert any(note.startswith("Trimmed") and "5 of 20" in note for note in clip.notes)


@pytest.mark.parametrize(("fps", "expected"), [(5, range(0, 20, 2)), (2.5, range(0, 20, 4))])
def test_a_lower_rate_takes_every_nth_frame(tmp_path, fps, expected):
    clip = read_clip(write_numbered(tmp_path / "a.mp4", 20), fps=fps)
    assert numbers(clip.video) == list(expected)
    assert clip.fps == fps
    assert any(f"Kept {len(expected)} of 20" in note for note in clip.notes)


def test_equal_spacing_takes_first_and_last_frame(tmp_path):
    clip = read_clip(write_numbered(tmp_path / "a.mp4", 17), num_frames=5)
    assert numbers(clip.video) == [0, 4, 8, 12, 16]
    assert clip.fps == pytest.approx(2.5)
    torch.testing.assert_close(clip.time_sec, torch.arange(5, dtype=torch.float64) * 0.4)


def test_resampling_a_clip_says_which_frames_it_kept(tmp_path):
    clip = read_clip(write_numbered(tmp_path / "a.mp4", 20), start_sec=0.2)
    fewer = clip.resampled(10)
    assert len(clip) == 18
    assert len(fewer) == 10
    assert fewer.source_frame[0] == 2
    assert fewer.source_frame[-1] == 19
    assert "Kept 10 of 18 frames" in fewer.notes[-1]
    assert numbers(fewer.video) == list(fewer.source_frame)
    assert fewer.resampled(10) is fewer
    with pytest.raises(InputError, match="1 or more; got 0"):
        clip.resampled(0)
    with pytest.raises(InputError, match="at most the 18 different frames"):
        clip.resampled(19)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_skipping_between_keyframes_gives_the_same_frames_as_decoding_all(tmp_path, name):
    options = {"g": "12", "keyint_min": "12"}
    path = write_numbered(tmp_path / name, 200, options=options)
    index = index_video(path)
    assert len(index.keyframes) > 10
    chosen = [3, 60, 61, 119, 120, 121, 199]
    sparse = np.stack(list(decoded_frames(index, chosen, height=32, width=64)))
    dense = np.stack(list(decoded_frames(index, range(200), height=32, width=64)))
    np.testing.assert_array_equal(sparse, dense[chosen])
    assert numbers(torch.from_numpy(sparse).movedim(-1, 1) / 255.0) == chosen


def test_listing_times_by_decoding_agrees_with_listing_packets(tmp_path):
    path = write_numbered(tmp_path / "a.mkv", 13, times_ms=_VARIABLE_MS)
    assert index_video(path).pts == index_video(path, by_decoding=True).pts


def test_picking_few_frames_never_holds_the_whole_video(tmp_path):
    """400 frames of 1280x720 are 550 MB as decoded; peak memory may grow by a fraction of it."""
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": "1000"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = av.VideoFrame(1280, 720, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for index in range(400):
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clip = read_clip(path, num_frames=5)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert clip.source_frame == (0, 100, 199, 299, 399)
    # The clip itself is 55 MB and the decoder keeps a few reference frames.
    assert grown_mb < 250, f"memory grew by {grown_mb:.0f} MB"


def test_data_that_a_phone_appends_to_an_mp4_does_no_harm(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 5)
    path.write_bytes(path.read_bytes() + b"\x7fSEFHabcdef" * 3)
    assert numbers(read_clip(path).video) == [0, 1, 2, 3, 4]


def test_a_name_that_looks_like_a_protocol_or_a_pattern_is_a_plain_name(tmp_path):
    path = write_numbered(tmp_path / "http:a %03d.mp4", 3)
    assert len(read_clip(path)) == 3


# Red in 8-bit Y'CbCr, worked out from Kr, Kb of each standard (ITU-R BT.601 and BT.709).
_RED_601 = (81, 90, 240)
_RED_709 = (63, 102, 240)
_RED_601_FULL = (76, 85, 255)


@pytest.mark.parametrize(
    ("yuv", "tags"),
    [
        (_RED_601, {"colorspace": 6, "color_range": 1}),
        (_RED_709, {"colorspace": 1, "color_range": 1}),
        (_RED_601_FULL, {"colorspace": 6, "color_range": 2}),
        (_RED_601, {}),  # untagged and small: standard definition
        (_RED_709, {"height": 720, "width": 64}),  # untagged and large: high definition
    ],
)
def test_colours_follow_the_tags_of_the_file(tmp_path, yuv, tags):
    clip = read_clip(write_plane_values(tmp_path / "a.mp4", yuv, **tags))
    mean = clip.video[0].mean(dim=(1, 2))
    # Two 8-bit steps: Y'CbCr rounding (1) times the largest coefficient (about 2).
    torch.testing.assert_close(mean, torch.tensor([1.0, 0.0, 0.0]), atol=2.5 / 255, rtol=0)


def test_a_folder_is_read_in_natural_order_and_says_what_it_left_out(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in (10, 9, 2, 1):
        Image.fromarray(numbered(index)).save(folder / f"frame{index}.png")
    (folder / "readme.txt").write_text("hello")
    (folder / ".hidden").write_text("hello")
    clip = read_clip(folder, fps=4)
    assert numbers(clip.video) == [1, 2, 9, 10]
    assert clip.fps == 4
    torch.testing.assert_close(clip.time_sec, torch.arange(4, dtype=torch.float64) / 4)
    assert any("Left out 1 file" in note for note in clip.notes)
    assert any("4 frames per second" in note for note in clip.notes)
    assert clip.source.codec == "png"
    assert probe_video(folder).num_frames == 4
    assert numbers(read_clip(folder, start_sec=0.1, end_sec=0.3).video) == [2, 9]


def test_one_image_is_a_clip_of_one_frame(tmp_path):
    Image.fromarray(numbered(5)).save(tmp_path / "a.png")
    clip = read_clip(tmp_path / "a.png", num_frames=1)
    assert numbers(clip.video) == [5]
    assert clip.time_sec.tolist() == [0.0]
    torch.testing.assert_close(clip.video[0], read_image(tmp_path / "a.png"), atol=0, rtol=0)


def test_large_frames_are_reduced_only_when_asked_and_noted(tmp_path):
    path = write_frames(
        tmp_path / "a.mp4", [quadrants(2160, 3840)], options={"preset": "ultrafast"}
    )
    with pytest.raises(InputError, match=r"2560x1440.*3840x2160.*downscale"):
        read_clip(path)
    clip = read_clip(path, downscale=True)
    assert clip.video.shape == (1, 3, 1440, 2560)
    assert corner_colours(clip.video[0]) == ["red", "green", "blue", "white"]
    assert "Frames reduced from 3840x2160 to 2560x1440." in clip.notes
    assert (clip.source.width, clip.source.height) == (3840, 2160)


def test_a_large_turned_video_is_reduced_upright(tmp_path):
    stored = np.ascontiguousarray(np.rot90(quadrants(2560, 1600), 1))
    path = write_frames(
        tmp_path / "a.mp4",
        [stored],
        options={"preset": "ultrafast"},
        prepare=lambda stream: stream.set_display_rotation(-90),
    )
    clip = read_clip(path, downscale=True)
    assert corner_colours(clip.video[0]) == ["red", "green", "blue", "white"]
    assert clip.video.shape == (1, 3, 2428, 1516)  # 2560x1600 times 0.9487, down to even
