"""Raxels to colours, and contact sheets."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.viz.images import contact_sheet, images_from_raxels


def test_a_raxel_of_zero_is_grey_and_two_units_are_full_scale():
    value = torch.tensor([-2.0, 0.0, 1.0, 2.0, 9.0]).expand(3, 1, 5)
    image = images_from_raxels(value)
    torch.testing.assert_close(image[0, 0], torch.tensor([0.0, 0.5, 0.75, 1.0, 1.0]))


def test_raxels_that_are_not_finite_or_not_three_channels_are_refused():
    with pytest.raises(InputError, match="finite"):
        images_from_raxels(torch.full((3, 2, 2), float("nan")))
    with pytest.raises(InputError, match="shape"):
        images_from_raxels(torch.zeros(2, 4, 4))


def test_a_sheet_has_one_column_per_frame_and_one_row_per_video():
    red, green = torch.zeros(3, 3, 8, 16), torch.zeros(3, 3, 4, 8)
    red[:, 0], green[:, 1] = 1.0, 1.0
    sheet = contact_sheet([red, green], cell_height=10, gap=2)
    assert sheet.shape == (3, 2 * 12 + 2, 3 * 22 + 2)
    torch.testing.assert_close(sheet[:, 5, 5], torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(sheet[:, 20, 60], torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(sheet[:, 0, 0], torch.ones(3))


def test_a_long_video_continues_in_further_rows_in_order():
    video = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 3, 4, 4)
    sheet = contact_sheet([video], cell_height=4, gap=0, columns=3)
    assert sheet.shape == (3, 8, 12)
    torch.testing.assert_close(sheet[0, 2, [2, 6, 10]], torch.tensor([0.0, 0.25, 0.5]))
    torch.testing.assert_close(sheet[0, 6, [2, 6, 10]], torch.tensor([0.75, 1.0, 1.0]))


def test_videos_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="equally many frames"):
        contact_sheet([torch.zeros(3, 3, 4, 4), torch.zeros(2, 3, 4, 4)])
