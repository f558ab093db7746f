"""Writing videos and images: exact enough, rightly tagged."""

import math

import av
import numpy as np
import pytest
import torch
from media_files import corner_colours, numbered, quadrants
from PIL import Image, ImageOps

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.orientation import Orientation
from rays_as_pixels.media.video import read_clip, read_image, write_image, write_video
from rays_as_pixels.media.writing import yuv420p_planes


def _scene(num_frames: int = 9, height: int = 96, width: int = 128) -> torch.Tensor:
    """Draw smooth moving colours, as a camera would see them."""
    t, y, x = torch.meshgrid(
        torch.arange(num_frames) / 10,
        torch.linspace(0, 1, height),
        torch.linspace(0, 1, width),
        indexing="ij",
    )
    waves = [torch.sin(6 * x + 4 * y * (k + 1) + t * 2 + k) for k in range(3)]
    return torch.stack(waves, dim=1) * 0.4 + 0.5


def _psnr_db(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * math.log10((a - b).square().mean().item())


@pytest.mark.parametrize("fps", [10.0, 29.97, 30000 / 1001, 0.5])
def test_a_written_video_reads_back_nearly_the_same(tmp_path, fps):
    video = _scene()
    write_video(tmp_path / "a.mp4", video, fps=fps)
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.video.shape == video.shape
    assert clip.fps == pytest.approx(fps, rel=1e-5)
    # Measured 44.0 to 46.7 dB (the encoder spends less on faster videos); chroma half a pixel off
    # gives 40, a wrong matrix or range below 30.
    assert _psnr_db(clip.video, video) > 43
    # A bias of half an 8-bit step would be a shifted range.
    assert (clip.video - video).mean(dim=(0, 2, 3)).abs().max() < 0.5 / 255


def test_a_written_video_is_h264_bt709_limited_range(tmp_path):
    red = torch.zeros(2, 3, 32, 32)
    red[:, 0] = 1
    write_video(tmp_path / "a.mp4", red, fps=10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        stream = container.streams.video[0]
        assert (stream.codec_context.name, frame.format.name) == ("h264", "yuv420p")
        tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        assert tuple(int(tag) for tag in tags) == (1, 1, 1, 1)
        values = [int(np.frombuffer(plane, np.uint8)[0]) for plane in frame.planes]
    # Red by BT.709 in limited range, worked out by hand; one step for the encoder.
    assert np.abs(np.array(values) - (63, 102, 240)).max() <= 1


def test_chroma_belongs_to_the_left_pixel_of_each_pair():
    """A ramp from grey to red: by BT.709 Cr at column x is 128 + 224 * 0.5 * x / 16."""
    picture = torch.full((3, 4, 16), 0.0)
    picture[0] = torch.arange(16) / 16
    _, _, red_chroma = yuv420p_planes(picture)
    expected = [round(128 + 7 * x) for x in range(0, 16, 2)]
    assert red_chroma[0, 1:].tolist() == expected[1:]  # the first has no pixel to its left
    assert red_chroma.shape == (2, 8)


def test_a_written_video_is_not_turned_or_mirrored(tmp_path):
    image = torch.from_numpy(quadrants()).movedim(-1, 0) / 255.0
    write_video(tmp_path / "a.mp4", image[None], fps=10)
    assert corner_colours(read_clip(tmp_path / "a.mp4").video[0]) == corner_colours(image)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[..., :-1], "even"),
        (lambda v: v[..., :-1, :], "even"),
        (lambda v: v[:0], "1 or more frames"),
        (lambda v: v[0], "F 3 H W"),
        (lambda v: v.movedim(1, -1), "F 3 H W"),
        (lambda v: v * 255, "must lie in"),
        (lambda v: v - 0.5, "must lie in"),
        (lambda v: (v * 255).to(torch.uint8), "must hold floats"),
        (lambda v: torch.where(v > 0.7, torch.nan, v), "NaN or infinity in frame 0"),
        (lambda v: torch.where(v > 0.7, torch.inf, v), "NaN or infinity"),
    ],
)
def test_a_video_that_breaks_a_rule_is_refused_and_the_old_file_stays(tmp_path, change, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=words):
        write_video(path, change(_scene()), fps=10)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf, 1e9])
def test_a_rate_that_is_not_one_is_refused(tmp_path, fps):
    with pytest.raises(InputError, match="fps must be positive"):
        write_video(tmp_path / "a.mp4", _scene(), fps=fps)


def test_a_wrong_name_or_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"end in \.mp4"):
        write_video(tmp_path / "a.avi", _scene(), fps=10)
    with pytest.raises(InputError, match="Create the folder first"):
        write_video(tmp_path / "none" / "a.mp4", _scene(), fps=10)
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(InputError, match="must be a file; got the folder"):
        write_video(tmp_path / "b.mp4", _scene(), fps=10)
    with pytest.raises(InputError, match=r"end in \.png or \.jpg"):
        write_image(tmp_path / "a.gif", _scene()[0])
    with pytest.raises(InputError, match="3 H W"):
        write_image(tmp_path / "a.png", _scene())
    with pytest.raises(InputError, match="finite"):
        write_image(tmp_path / "a.png", _scene()[0] * torch.nan)


def test_writing_does_not_change_the_video(tmp_path):
    video = _scene()
    before = video.clone()
    write_video(tmp_path / "a.mp4", video, fps=10)
    assert torch.equal(video, before)


def test_a_png_reads_back_to_half_an_8_bit_step(tmp_path):
    image = _scene()[0]
    write_image(tmp_path / "a.png", image)
    assert (read_image(tmp_path / "a.png") - image).abs().max() <= 0.5 / 255 + 1e-6
    write_image(tmp_path / "a.jpg", image)
    assert _psnr_db(read_image(tmp_path / "a.jpg"), image) > 38


@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_is_honoured_as_the_image_library_does(tmp_path, tag):
    exif = Image.Exif()
    exif[274] = tag
    path = tmp_path / "a.png"
    Image.fromarray(quadrants()).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    actual = (read_image(path) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    np.testing.assert_array_equal(actual, expected)
    clip = read_clip(path)
    np.testing.assert_array_equal((clip.video[0] * 255).round().movedim(0, -1), expected)
    assert bool(clip.notes) == (tag != 1)


def test_every_orientation_is_its_mirroring_and_then_its_turn():
    image = numbered(37, height=8, width=16)
    image[0, 0] = 99
    for swap in (False, True):
        for flip_x in (False, True):
            for flip_y in (False, True):
                turn = Orientation(swap=swap, flip_x=flip_x, flip_y=flip_y)
                mirrored = image[:, ::-1] if turn.mirrored else image
                expected = np.rot90(mirrored, -turn.rotation_deg // 90)
                np.testing.assert_array_equal(turn.apply(image), expected)
                assert turn.size(height=8, width=16) == expected.shape[:2]


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    grey = np.full((4, 4), 32768, np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    torch.testing.assert_close(
        read_image(tmp_path / "a.png"), torch.full((3, 4, 4), 0.5), atol=0.6 / 255, rtol=0
    )


def test_large_images_of_a_folder_are_reduced_only_when_asked(tmp_path):
    Image.fromarray(quadrants(1600, 2560)).save(tmp_path / "a.png", compress_level=1)
    with pytest.raises(InputError, match="downscale"):
        read_clip(tmp_path)
    clip = read_clip(tmp_path, downscale=True)
    assert clip.video.shape == (1, 3, 1516, 2428)
    assert corner_colours(clip.video[0]) == ["red", "green", "blue", "white"]
