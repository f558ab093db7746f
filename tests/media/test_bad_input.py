"""Bad input: each kind is refused with a rule, the value it got and a remedy."""

import numpy as np
import pytest
import torch
from media_files import numbered, quadrants, write_frames, write_numbered
from PIL import Image

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.limits import check_memory
from rays_as_pixels.media.sampling import check_times, pick_count, pick_rate
from rays_as_pixels.media.video import (
    probe_video,
    read_clip,
    read_image,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("good") / "good.mp4", 20)


def _refused(path, *words, **keywords):
    for read in (lambda: read_clip(path, **keywords), lambda: probe_video(path)):
        with pytest.raises(InputError) as caught:
            read()
        message = str(caught.value)
        for word in words:
            assert word in message, message
        # Rule; got value. Remedy.
        assert "; got " in message
        assert message.endswith(".")
        assert ". " in message.split("; got ", 1)[1]


def test_a_missing_file_is_refused(tmp_path):
    _refused(tmp_path / "nothing.mp4", "must exist", "nothing.mp4")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.mp4").touch()
    _refused(tmp_path / "a.mp4", "empty file")


@pytest.mark.parametrize("text", ["hello\n", "grüße " * 200, "#EXTM3U\n#EXTINF:1,\n/etc/hosts\n"])
def test_text_renamed_to_mp4_is_refused(tmp_path, text):
    (tmp_path / "a.mp4").write_text(text)
    _refused(tmp_path / "a.mp4", "plain text", "renaming")


def test_random_bytes_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    _refused(tmp_path / "a.mp4", "mp4, mov, webm, mkv or gif", "Convert")


def test_an_image_renamed_to_mp4_is_refused(tmp_path):
    Image.fromarray(numbered(3)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    _refused(tmp_path / "a.mp4", "mp4, mov, webm, mkv or gif")


def test_another_container_is_refused(tmp_path):
    path = write_numbered(tmp_path / "a.avi", 5, codec="mpeg4")
    _refused(path, "mp4, mov, webm, mkv or gif", "Convert it to an H.264 mp4")


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [("a.mp4", b"avc1", b"zzz9"), ("a.mkv", b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ")],
)
def test_an_unknown_codec_is_named(tmp_path, name, known, unknown):
    path = write_numbered(tmp_path / name, 5)
    data = path.read_bytes()
    assert known in data
    path.write_bytes(data.replace(known, unknown))
    _refused(path, "codec", unknown.decode(), "H.264")


def test_sound_without_pictures_is_refused(tmp_path):
    import av  # noqa: PLC0415 - only this test writes sound

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _refused(path, "video stream", "audio")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.97])
@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.mov", "a.mkv", "a.webm", "a.gif"])
def test_a_file_cut_anywhere_is_refused(tmp_path, name, share):
    muxer = {"movflags": "faststart"} if name == "fast.mp4" else None
    path = write_numbered(tmp_path / name, 20, muxer=muxer)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    _refused(path, "must be complete", "Copy or download it again")


def test_a_video_damaged_in_the_middle_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(10)]
    path = write_frames(tmp_path / "a.mp4", frames, muxer={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(InputError, match="undamaged"):
        read_clip(path)


def _without_frames(data: bytes) -> bytes:
    """Turn the sample count of the size table (stsz) and the time table (stts) to none."""
    out = bytearray(data)
    for box, offset in ((b"stsz", 12), (b"stts", 8), (b"stsc", 8), (b"ctts", 8), (b"stco", 8)):
        at = data.find(box)
        if at >= 0:
            out[at + offset : at + offset + 4] = bytes(4)
    return bytes(out)


def test_a_video_without_frames_is_refused(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 5)
    path.write_bytes(_without_frames(path.read_bytes()))
    _refused(path, "must hold", "got no")


def test_a_one_frame_video_is_refused_when_more_frames_are_asked_for(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 1)
    assert len(read_clip(path)) == 1
    assert len(read_clip(path, fps=30)) == 1
    with pytest.raises(InputError, match=r"at most the 1 different frame there is; got 9"):
        read_clip(path, num_frames=9)


def test_times_that_repeat_are_refused(tmp_path):
    times = [0, 100, 200, 200, 300]
    path = write_numbered(tmp_path / "a.mkv", 5, times_ms=times, codec="ffv1", options={"bf": "0"})
    _refused(path, "frame times must increase", "frame 3")


def test_a_ten_minute_video_is_refused_until_it_is_trimmed(tmp_path):
    path = tmp_path / "a.mp4"
    times = [4000 * k for k in range(150)]
    write_numbered(path, 150, times_ms=times, options={"preset": "ultrafast"})
    for keywords in ({}, {"num_frames": 9}, {"fps": 0.1}, {"start_sec": 10.0}):
        with pytest.raises(InputError, match=r"at most 300 s; got .*--start-sec and --end-sec"):
            read_clip(path, **keywords)
    clip = read_clip(path, start_sec=300, end_sec=600, num_frames=9)
    assert clip.source_frame[0] == 75
    assert probe_video(path).duration_sec == pytest.approx(600)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"start_sec": 1.0, "end_sec": 1.0}, "start_sec must be before end_sec"),
        ({"start_sec": 1.5, "end_sec": 0.5}, "start_sec must be before end_sec"),
        ({"start_sec": -1.0}, "start_sec must be 0 or more"),
        ({"end_sec": float("nan")}, "end_sec must be 0 or more"),
        ({"start_sec": 2.0}, "start_sec must be before the video's end at 2.000 s"),
        ({"end_sec": 2.5}, "end_sec must be at most the video's duration, 2.000 s"),
        ({"start_sec": 0.51, "end_sec": 0.59}, "must hold a frame"),
        ({"fps": 0.0}, "fps must be positive"),
        ({"fps": -3.0}, "fps must be positive"),
        ({"fps": float("nan")}, "fps must be positive"),
        ({"fps": 25.0}, "fps must be at most the video's own 10"),
        ({"fps": 5.0, "num_frames": 9}, "only one of fps and num_frames"),
        ({"num_frames": 0}, "1 or more; got 0"),
        ({"num_frames": 21}, "at most the 20 different frames there are; got 21"),
        ({"num_frames": 9.0}, "whole number"),
        ({"num_frames": True}, "whole number"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(video, keywords, words):
    with pytest.raises(InputError) as caught:
        read_clip(video, **keywords)
    assert words in str(caught.value)


def test_a_clip_too_large_for_memory_is_refused_with_a_count_that_fits():
    check_memory(9, height=1440, width=2560)
    with pytest.raises(InputError, match=r"4 GiB.*9000 frames of 1920x1080.*at most 172 here"):
        check_memory(9000, height=1080, width=1920)


def test_times_must_be_finite():
    with pytest.raises(InputError, match="frame times must increase; got nan"):
        check_times([0.0, float("nan")])


def test_crowded_frames_still_give_different_increasing_picks():
    times = [0.0, 0.01, 0.02, 0.03, 10.0]
    assert pick_count(times, 5) == [0, 1, 2, 3, 4]
    assert pick_count([0.0, 9.97, 9.98, 9.99, 10.0], 5) == [0, 1, 2, 3, 4]
    assert pick_rate([0.0, 0.1, 0.2, 1.0, 1.1], 10)[0] == [0, 1, 2, 3, 4]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("hello")
    _refused(tmp_path / "empty", "must hold images", "1 other files")


def test_images_of_different_sizes_are_refused_by_name(tmp_path):
    Image.fromarray(quadrants(48, 64)).save(tmp_path / "a.png")
    Image.fromarray(quadrants(48, 66)).save(tmp_path / "b.png")
    _refused(tmp_path, "one size", "64x48 (a.png)", "66x48 (b.png)")


def test_a_missing_or_broken_image_is_refused(tmp_path):
    with pytest.raises(InputError, match="must exist"):
        read_image(tmp_path / "nothing.png")
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match="must be an image"):
        read_image(tmp_path / "a.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("b.png", "b.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=r"truncated|read"):
            read_image(tmp_path / name)


def test_pictures_that_would_lose_something_are_refused(tmp_path):
    half = np.full((8, 8, 4), 128, np.uint8)
    Image.fromarray(half).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="opaque"):
        read_image(tmp_path / "a.png")
    frames = [Image.fromarray(numbered(k)) for k in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="3 frames or pages"):
        read_image(tmp_path / "a.webp")
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="mode F"):
        read_image(tmp_path / "a.tiff")
    assert torch.isfinite(read_image(_opaque(tmp_path))).all()


def _opaque(folder):
    Image.fromarray(np.full((8, 8, 4), 255, np.uint8)).save(folder / "b.png")
    return folder / "b.png"
