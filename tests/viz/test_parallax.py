"""The preview of a path without a model: where things go, and what is not seen."""

import time

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.parallax import UNSEEN, parallax_preview

HEIGHT, WIDTH, FOCAL = 96, 128, 100.0


def path(*, centre: list[list[float]], yaw_rad: list[float] | None = None) -> Trajectory:
    """Cameras at these centres, turned right by these angles, 128 x 96 pixels, f = 100 px."""
    count = len(centre)
    turn = torch.zeros(count, 3, dtype=torch.float64)
    turn[:, 1] = torch.tensor(yaw_rad or [0.0] * count, dtype=torch.float64)
    world_from_cam = rigid(rotation_from_vector(turn), torch.tensor(centre, dtype=torch.float64))
    focal = torch.full((count, 2), FOCAL, dtype=torch.float64)
    middle = torch.tensor([[WIDTH / 2, HEIGHT / 2]], dtype=torch.float64).expand(count, 2)
    return Trajectory(Cameras(world_from_cam, focal, middle, HEIGHT, WIDTH), 10.0)


def dot_image(x: int, y: int) -> torch.Tensor:
    """Black but for a white square of 6 x 6 pixels around (x, y)."""
    image = torch.zeros(3, HEIGHT, WIDTH)
    image[:, y - 3 : y + 3, x - 3 : x + 3] = 1.0
    return image


def dot_place(frame: torch.Tensor) -> tuple[float, float]:
    """Return the middle (x, y) of what is white in a frame, in pixels."""
    white = (frame.amin(0) > 0.97).nonzero().to(torch.float64)
    y, x = (white.mean(0) + 0.5).tolist()
    return x, y


def test_the_first_frame_is_the_image_itself():
    image = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    preview = parallax_preview(path(centre=[[0, 0, 0], [0.1, 0, 0]]), image, height=HEIGHT)
    torch.testing.assert_close(preview.video[0], image, atol=1e-4, rtol=0)
    assert preview.seen_share[0] == 1.0
    assert preview.video.shape == (2, 3, HEIGHT, WIDTH)


def test_a_camera_that_moves_right_sees_a_dot_at_depth_one_move_left_by_focal_times_distance():
    """0.2 units at depth 1 with f = 100 px: 20 pixels to the left; up and down stay."""
    preview = parallax_preview(
        path(centre=[[0, 0, 0], [0.2, 0, 0]]), dot_image(80, 40), height=HEIGHT
    )
    assert dot_place(preview.video[0]) == pytest.approx((80, 40), abs=0.3)
    assert dot_place(preview.video[1]) == pytest.approx((60, 40), abs=0.3)


def test_a_path_that_begins_elsewhere_sees_the_image_from_there():
    """Two cameras 0.2 units right of the image's: its dot is 20 pixels further left in both."""
    image = path(centre=[[1, 2, 3]])
    preview = parallax_preview(
        path(centre=[[1.2, 2, 3], [1.2, 2, 3]]), dot_image(80, 40), height=HEIGHT, image_path=image
    )
    for frame in preview.video:
        assert dot_place(frame) == pytest.approx((60, 40), abs=0.3)


def test_a_camera_that_moves_down_sees_the_dot_move_up():
    preview = parallax_preview(
        path(centre=[[0, 0, 0], [0, 0.1, 0]]), dot_image(64, 40), height=HEIGHT
    )
    assert dot_place(preview.video[1]) == pytest.approx((64, 30), abs=0.3)


def test_a_camera_that_turns_right_sees_the_dot_move_left():
    """The middle, seen 0.1 rad off the axis: 100 tan 0.1 = 10.03 pixels to the left."""
    preview = parallax_preview(
        path(centre=[[0, 0, 0]] * 2, yaw_rad=[0, 0.1]), dot_image(64, 48), height=HEIGHT
    )
    assert dot_place(preview.video[1])[0] == pytest.approx(64 - 10.03, abs=0.4)


def test_a_path_that_starts_elsewhere_is_seen_from_its_own_first_camera():
    moved = path(centre=[[5, 1, -3], [5.2, 1, -3]])
    preview = parallax_preview(moved, dot_image(80, 40), height=HEIGHT)
    assert dot_place(preview.video[1]) == pytest.approx((60, 40), abs=0.3)


def test_with_depths_near_things_move_more_than_far_ones():
    """At depth 2 a camera 0.2 units to the right moves a dot by 10 pixels, at 0.5 by 40."""
    for depth, pixels in ((2.0, 10), (0.5, 40)):
        preview = parallax_preview(
            path(centre=[[0, 0, 0], [0.2, 0, 0]]),
            dot_image(80, 40),
            depth=torch.full((HEIGHT, WIDTH), depth),
            height=HEIGHT,
        )
        # points are two pixels wide and stand on whole pixels
        assert dot_place(preview.video[1])[0] == pytest.approx(80 - pixels, abs=1.0), depth


def test_with_depths_the_nearer_of_two_points_hides_the_other():
    """A white strip at depth 0.5 moves 40 pixels left, over the black ground at depth 4."""
    depth = torch.full((HEIGHT, WIDTH), 4.0)
    depth[:, 77:83] = 0.5
    image = torch.zeros(3, HEIGHT, WIDTH)
    image[:, :, 77:83] = 1.0
    preview = parallax_preview(
        path(centre=[[0, 0, 0], [0.2, 0, 0]]), image, depth=depth, height=HEIGHT
    )
    assert dot_place(preview.video[1])[0] == pytest.approx(40, abs=1.0)


def test_the_seen_share_is_what_the_first_image_still_covers():
    """Half the card's width is 0.64 units: 0.64 to the right leaves the left half of the view."""
    preview = parallax_preview(
        path(centre=[[0, 0, 0], [0.64, 0, 0]]), dot_image(80, 40), height=HEIGHT
    )
    assert preview.seen_share.tolist() == pytest.approx([1.0, 0.5], abs=0.01)


def test_what_the_image_does_not_cover_is_grey():
    away = path(centre=[[0, 0, 0], [0, 0, 0]], yaw_rad=[0, 3])
    preview = parallax_preview(away, dot_image(80, 40), height=HEIGHT)
    assert preview.seen_share.tolist() == [1.0, 0.0]
    assert (preview.video[1] == UNSEEN).all()


def test_a_camera_behind_the_card_sees_nothing_of_it():
    preview = parallax_preview(
        path(centre=[[0, 0, 0], [0, 0, 1.5]]), dot_image(80, 40), height=HEIGHT
    )
    assert preview.seen_share[1] == 0.0 and torch.isfinite(preview.video).all()


def test_without_an_image_a_chequered_card_moves_with_the_camera():
    preview = parallax_preview(path(centre=[[0, 0, 0], [0.05, 0, 0]]), height=HEIGHT)
    assert (preview.video[0] - preview.video[1]).abs().mean() > 0.01


@pytest.mark.slow
def test_seventeen_frames_take_less_than_two_seconds_of_one_core():
    centre = [[0.02 * k, 0, 0.01 * k] for k in range(17)]
    image, depth = torch.rand(3, 240, 320), torch.rand(240, 320) + 0.5
    for given in (None, depth):
        start = time.process_time()
        parallax_preview(path(centre=centre), image, depth=given)
        assert time.process_time() - start < 2.0


def test_an_image_of_another_aspect_is_refused():
    with pytest.raises(InputError, match=r"the path's aspect, 1\.333; got 100 x 100"):
        parallax_preview(path(centre=[[0, 0, 0], [0.1, 0, 0]]), torch.zeros(3, 100, 100))
