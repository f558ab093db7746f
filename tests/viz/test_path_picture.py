"""The small picture of a path that is being solved."""

import io

import numpy as np
from PIL import Image

from rays_as_pixels.viz.path_picture import SIZE_PX, path_picture


def bright(centers: np.ndarray, num_frames: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(path_picture(centers, num_frames)))
    assert picture.size == SIZE_PX
    return np.asarray(picture.convert("L")).astype(int) > 70


def test_a_way_ahead_is_drawn_upwards_and_one_to_the_right_to_the_right():
    ahead = np.stack([np.zeros(20), np.zeros(20), np.linspace(0, 5, 20)], axis=1)
    rows, columns = np.nonzero(bright(ahead, 20))
    assert np.ptp(rows) > 80 and np.ptp(columns) < 15
    assert rows[columns == int(np.median(columns))].min() < 15
    right = ahead[:, [2, 1, 0]]
    rows, columns = np.nonzero(bright(right, 20))
    assert np.ptp(columns) > 180 and np.ptp(rows) < 15


def test_a_camera_that_stands_still_is_a_dot_in_the_middle():
    rows, columns = np.nonzero(bright(np.zeros((3, 3)), 3))
    assert 0 < len(rows) < 80
    assert abs(rows.mean() - SIZE_PX[1] / 2) < 2 and abs(columns.mean() - SIZE_PX[0] / 2) < 2
