"""Images fitted into the model's sizes, and cameras and maps back out of them."""

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop


def test_framing_loses_least_and_undoes_itself_for_cameras():
    sizes = [(64, 64), (48, 80), (80, 48)]
    assert ResizeCrop.nearest(1080, 1920, sizes) == ResizeCrop(1080, 1920, 48, 80)
    assert ResizeCrop.nearest(854, 480, sizes) == ResizeCrop(854, 480, 80, 48)
    resize_crop = ResizeCrop.nearest(370, 1226, sizes)
    assert (resize_crop.model_height, resize_crop.model_width) == (48, 80)
    cameras = Cameras(
        torch.eye(4).double()[None],
        torch.tensor([[707.0, 707.0]]).double(),
        torch.tensor([[601.9, 183.1]]).double(),
        370,
        1226,
    )
    there = resize_crop.cameras(cameras)
    assert (there.height, there.width) == (48, 80)
    back = resize_crop.restored(there)
    torch.testing.assert_close(back.focal_px, cameras.focal_px)
    torch.testing.assert_close(back.center_px, cameras.center_px)
    # 1226 x 370 becomes 159 x 48; the middle 80 columns stay.
    assert there.focal_px[0, 0] == pytest.approx(707 * 159 / 1226)
    assert there.center_px[0, 0] == pytest.approx(601.9 * 159 / 1226 - 39)


@pytest.mark.parametrize("height", [20, 200])
def test_a_map_is_cropped_with_its_image_and_comes_back(height):
    """Of an image that loses its sides, or its top and bottom."""
    resize_crop = ResizeCrop.nearest(height, 60, [(32, 32)])
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, 60)
    x = ((torch.arange(60) + 0.5) / 60).expand(height, 60)
    for values in (y, x):
        shown = resize_crop.images(values.expand(1, 3, -1, -1))[0, 0]
        torch.testing.assert_close(resize_crop.map(values), shown, rtol=0, atol=0.02)
        seen = resize_crop.map(values)
        back = resize_crop.restored_map(seen)
        torch.testing.assert_close(resize_crop.map(back), seen, rtol=0, atol=0.02)
        assert back.min() == pytest.approx(float(seen.min()), abs=0.02)
    assert resize_crop.restored_map(torch.ones(8, 8)).shape == (
        (8, 24) if height == 20 else (27, 8)
    )


def test_a_finer_framing_shows_the_same_with_twice_the_pixels_if_they_are_there():
    resize_crop = ResizeCrop.nearest(370, 1226, [(48, 80)])
    finer = resize_crop.finer()
    assert (finer.model_height, finer.model_width) == (96, 160)
    images = torch.rand(1, 3, 370, 1226, generator=torch.Generator().manual_seed(0))
    halved = torch.nn.functional.avg_pool2d(finer.images(images), 2)
    assert float((halved - resize_crop.images(images)).abs().mean()) < 0.02
    small = ResizeCrop.nearest(60, 100, [(48, 80)])
    assert small.finer() == small


def test_an_upscaled_crop_has_whole_multiples_of_the_models_pixels():
    resize_crop = ResizeCrop.nearest(370, 1226, [(48, 80)])
    upscaled = resize_crop.upscaled(4)
    assert (upscaled.model_height, upscaled.model_width) == (4 * 48, 4 * 80)
    assert resize_crop.upscaled(99).model_height == 7 * 48, "370 rows hold that much"
    assert ResizeCrop.nearest(60, 100, [(48, 80)]).upscaled(4).model_height == 48
    halves = resize_crop.upscaled(2)
    images = torch.rand(1, 3, 370, 1226, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.avg_pool2d(halves.images(images), 2)
    assert float((pooled - resize_crop.images(images)).abs().mean()) < 0.02


def test_a_framed_image_shows_the_middle():
    image = torch.zeros(1, 3, 32, 96)
    image[..., 32:64] = 1.0
    framed = ResizeCrop.nearest(32, 96, [(32, 32)]).images(image)
    assert framed.mean() == pytest.approx(1.0, abs=1e-3)
