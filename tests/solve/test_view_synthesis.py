"""What images show from elsewhere: exact for a wall, hidden where something is before it."""

import torch

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.solve.view_synthesis import render_views

HEIGHT, WIDTH, FOCAL = 32, 48, 40.0


def cameras(*centers: tuple[float, float, float]) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64).repeat(len(centers), 1, 1)
    pose[:, :3, 3] = torch.tensor(centers, dtype=torch.float64)
    focal = torch.full((len(centers), 2), FOCAL, dtype=torch.float64)
    middle = torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64).expand(len(centers), 2)
    return Cameras(pose, focal, middle, HEIGHT, WIDTH)


def picture(seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def test_a_wall_is_shifted_by_whole_pixels_and_ends_where_the_image_does():
    image = picture(0)
    path = cameras((0, 0, 0), (0.5, 0, 0))  # five pixels for a wall at depth 4
    shown = render_views(image, torch.full((1, 4, 6), 4.0).log(), path[:1], path)
    torch.testing.assert_close(shown.pictures[0], image[0])
    assert shown.share[0].min() == 1
    torch.testing.assert_close(
        shown.pictures[1, :, :, : WIDTH - 14], image[0, :, :, 5:-9], rtol=0, atol=1e-4
    )
    assert shown.share[1, 0, 1:-1, : WIDTH - 14].min() == 1
    assert shown.share[1, 0, :, WIDTH - 5 :].max() == 0
    edge = shown.share[1, 0, 16, WIDTH - 14 : WIDTH - 5]
    assert (edge.diff() <= 0).all() and 0 < edge[-2] < 1, "fades out"
    black = shown.composite_over(torch.zeros(2, 3, HEIGHT, WIDTH))
    torch.testing.assert_close(black, shown.pictures)


def test_what_something_hides_is_not_shown_and_another_image_shows_it():
    depth = torch.full((HEIGHT, WIDTH), 4.0)
    depth[8:24, 16:28] = 2.0
    first, last = picture(1), picture(2)
    path = cameras((0, 0, 0), (0.8, 0, 0), (1.6, 0, 0))
    alone = render_views(first, depth.log()[None], path[:1], path)
    hidden = alone.share[1, 0, 10:22, 13:19]  # 16 pixels nearer things move by, 8 those behind
    assert hidden.max() == 0
    assert alone.share[1, 0, 10:22, 1:8].min() == 1, "the near thing, moved"
    wall = torch.full((HEIGHT, WIDTH), 4.0)
    both = render_views(torch.cat([first, last]), torch.stack([depth, wall]).log(), path[::2], path)
    assert both.share[1, 0, 10:22, 13:19].min() == 1
    torch.testing.assert_close(
        both.pictures[1, :, 12:20, 14:18], last[0, :, 12:20, 6:10], rtol=0, atol=1e-3
    )
    torch.testing.assert_close(both.pictures[2], last[0], rtol=0, atol=1e-4)


def test_of_two_images_of_the_same_wall_the_nearer_counts_more_by_the_inverse_cube():
    black_and_white = torch.stack([torch.zeros(3, HEIGHT, WIDTH), torch.ones(3, HEIGHT, WIDTH)])
    wall = torch.full((2, HEIGHT, WIDTH), 4.0).log()
    path = cameras((0, 0, 0), (0.2, 0, 0), (0.1, 0, 0), (0.05, 0, 0))
    shown = render_views(black_and_white, wall, path[:2], path)
    middle = shown.pictures[:, 0, 16, 24]
    quarter = 1.55**-3 / (0.55**-3 + 1.55**-3)  # distances over their mean, and 0.05
    expected = torch.tensor([0.0, 1.0, 0.5, quarter])
    torch.testing.assert_close(middle, expected, rtol=0, atol=2e-3)


def test_a_larger_image_gives_a_larger_video_and_the_rest_is_enlarged():
    image = picture(3, (2 * HEIGHT, 2 * WIDTH))
    shown = render_views(
        image, torch.zeros(1, 4, 6), cameras((0, 0, 0)), cameras((0, 0, 0), (9, 0, 0))
    )
    video = torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(4))
    made = shown.composite_over(video)
    torch.testing.assert_close(made[0], image[0])
    assert shown.share[1].max() == 0
    small = torch.nn.functional.interpolate(made[1:], (HEIGHT, WIDTH), mode="area")
    assert (small[0] - video[1]).abs().mean() < 0.1, "noise, the hardest to enlarge"
    two = shown.composite_over(video.expand(3, -1, -1, -1, -1))
    torch.testing.assert_close(two[2], made)


def test_what_moves_is_shown_where_it_is_at_the_time_of_the_frame():
    """A camera that stands still films a square that walks; all frames are given."""
    wall, frames = picture(5)[0], []
    for place in range(5):
        frame = wall.clone()
        frame[:, 10:22, 4 + 8 * place : 12 + 8 * place] = place / 4
        frames.append(frame)
    images, path = torch.stack(frames), cameras(*[(0, 0, 0)] * 5)
    depth, clock = torch.zeros(5, 4, 6), torch.linspace(0, 1, 5)
    shown = render_views(images, depth, path, path, times=(clock, clock))
    torch.testing.assert_close(shown.pictures, images, rtol=0, atol=0.02)
    ghosts = render_views(images, depth, path, path)
    assert (ghosts.pictures - images).abs().amax() > 0.3, "without times all shine through"


def test_between_two_images_of_something_that_moves_the_earlier_is_taken():
    still, moved = picture(6)[0], picture(7)[0]
    path, depth = cameras((0, 0, 0)), torch.zeros(2, 4, 6)
    for times, expected in (((0.0, 1.0), still), ((0.2, 0.6), moved), ((1.0, 0.0), still)):
        shown = render_views(
            torch.stack([still, moved]),
            depth,
            cameras((0, 0, 0), (0, 0, 0)),
            path,
            times=(torch.tensor(times), torch.tensor([0.5])),
        )
        torch.testing.assert_close(shown.pictures[0], expected, rtol=0, atol=0.02)


def test_where_nothing_moves_the_time_of_an_image_does_not_matter():
    image = picture(8)
    path = cameras((0, 0, 0), (0.5, 0, 0))
    wall = torch.full((2, 4, 6), 4.0).log()
    both = torch.cat([image, render_views(image, wall[:1], path[:1], path).pictures[1:]])
    clock = torch.tensor([0.0, 1.0])
    plain = render_views(both, wall, path, path)
    turned = render_views(both, wall, path, path, times=(clock, 1 - clock))
    inside = (..., slice(2, -2), slice(2, WIDTH - 16))
    torch.testing.assert_close(turned.pictures[inside], plain.pictures[inside], rtol=0, atol=1e-5)
