"""Images fitted into the model's sizes, and cameras and maps back out of them."""

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.resize_crop import Framing


def test_framing_loses_least_and_undoes_itself_for_cameras():
    sizes = [(64, 64), (48, 80), (80, 48)]
    assert Framing.nearest(1080, 1920, sizes) == Framing(1080, 1920, 48, 80)
    assert Framing.nearest(854, 480, sizes) == Framing(854, 480, 80, 48)
    framing = Framing.nearest(370, 1226, sizes)
    assert (framing.model_height, framing.model_width) == (48, 80)
    cameras = Cameras(
        torch.eye(4).double()[None], torch.tensor([[707.0, 707.0]]).double(),
        torch.tensor([[601.9, 183.1]]).double(), 370, 1226,
    )  # fmt: skip
    there = framing.cameras(cameras)
    assert (there.height, there.width) == (48, 80)
    back = framing.restored(there)
    torch.testing.assert_close(back.focal_px, cameras.focal_px)
    torch.testing.assert_close(back.center_px, cameras.center_px)
    # 1226 x 370 becomes 159 x 48; the middle 80 columns stay.
    assert there.focal_px[0, 0] == pytest.approx(707 * 159 / 1226)
    assert there.center_px[0, 0] == pytest.approx(601.9 * 159 / 1226 - 39)
    assert framing.kept_share == pytest.approx(80 / 159)


@pytest.mark.parametrize("height", [20, 200])
def test_a_map_is_cropped_with_its_image_and_comes_back(height):
    """Of an image that loses its sides, or its top and bottom."""
    framing = Framing.nearest(height, 60, [(32, 32)])
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, 60)
    x = ((torch.arange(60) + 0.5) / 60).expand(height, 60)
    for values in (y, x):
        shown = framing.images(values.expand(1, 3, -1, -1))[0, 0]
        torch.testing.assert_close(framing.map(values), shown, rtol=0, atol=0.02)
        seen = framing.map(values)
        back = framing.restored_map(seen)
        torch.testing.assert_close(framing.map(back), seen, rtol=0, atol=0.02)
        assert back.min() == pytest.approx(float(seen.min()), abs=0.02)
    assert framing.restored_map(torch.ones(8, 8)).shape == ((8, 24) if height == 20 else (27, 8))


def test_a_finer_framing_shows_the_same_with_twice_the_pixels_if_they_are_there():
    framing = Framing.nearest(370, 1226, [(48, 80)])
    finer = framing.finer()
    assert (finer.model_height, finer.model_width) == (96, 160)
    images = torch.rand(1, 3, 370, 1226, generator=torch.Generator().manual_seed(0))
    halved = torch.nn.functional.avg_pool2d(finer.images(images), 2)
    assert float((halved - framing.images(images)).abs().mean()) < 0.02
    small = Framing.nearest(60, 100, [(48, 80)])
    assert small.finer() == small


def test_the_sharpest_framing_has_whole_multiples_of_the_models_pixels():
    framing = Framing.nearest(370, 1226, [(48, 80)])
    sharpest = framing.sharpest(4)
    assert (sharpest.model_height, sharpest.model_width) == (4 * 48, 4 * 80)
    assert framing.sharpest(99).model_height == 7 * 48, "370 rows hold that much"
    assert Framing.nearest(60, 100, [(48, 80)]).sharpest(4).model_height == 48
    halves = framing.sharpest(2)
    images = torch.rand(1, 3, 370, 1226, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.avg_pool2d(halves.images(images), 2)
    assert float((pooled - framing.images(images)).abs().mean()) < 0.02


def test_a_framed_image_shows_the_middle():
    image = torch.zeros(1, 3, 32, 96)
    image[..., 32:64] = 1.0
    framed = Framing.nearest(32, 96, [(32, 32)]).images(image)
    assert framed.mean() == pytest.approx(1.0, abs=1e-3)
