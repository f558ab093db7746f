"""A known image is seen from the other cameras of a clip as geometry says."""

import itertools

import pytest
import torch

from rays_as_pixels.model.camera_prior.camera_params import raxels_from_camera_params
from rays_as_pixels.model.config import ViewPriorConfig
from rays_as_pixels.model.joint_state import CLIP, LatentImages
from rays_as_pixels.model.view_prior.view_prior import CELL, View, ViewPrior

HEIGHT, WIDTH = 6, 8  # cells
SIZE = 3 * CELL**2


@pytest.fixture
def view() -> ViewPrior:
    """One whose latents are the pixels themselves, and whose ray latents are raxels at cells."""
    torch.manual_seed(0)
    prior = ViewPrior(SIZE, 3, ViewPriorConfig())
    prior.initialise_from_scratch()
    for weight in (prior.pixel_weight, prior.cell_weight):
        weight.copy_(torch.eye(SIZE))
    prior.ray_weight.copy_(torch.eye(3))
    return prior


def picture(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    rough = torch.rand(count, 3, HEIGHT + 2, WIDTH + 2, generator=generator)
    return torch.nn.functional.interpolate(
        rough, size=(CELL * HEIGHT, CELL * WIDTH), mode="bicubic"
    ).clamp(0, 1)


def latents_of(pictures: torch.Tensor) -> torch.Tensor:
    """(B, N, 3, H, W) to (B, C, N, h, w)."""
    cells = torch.nn.functional.pixel_unshuffle(pictures.flatten(0, 1), CELL)
    return cells.unflatten(0, pictures.shape[:2]).transpose(1, 2)


def rays_of(numbers: torch.Tensor) -> torch.Tensor:
    raxels = raxels_from_camera_params(numbers, (HEIGHT // 2, WIDTH // 2))
    middle = torch.nn.functional.avg_pool2d(raxels.flatten(0, 1)[..., 3:, 3:], 2, CELL)
    return middle.unflatten(0, numbers.shape[:2]).transpose(1, 2)


def images(latents, sigma, ray_latents, ray_sigma) -> tuple[LatentImages, LatentImages]:
    """A clip without reference images, frame by frame."""
    frame = torch.arange(sigma.shape[1]).float().expand(len(sigma), -1)
    kind = torch.full_like(frame, CLIP, dtype=torch.int64)
    return (
        LatentImages(latents, sigma, frame, kind),
        LatentImages(ray_latents, ray_sigma, frame, kind),
    )


def rendered_from(
    view: ViewPrior,
    numbers: torch.Tensor,
    *,
    ray_level: float = 0.0,
    log_depth: torch.Tensor | None = None,
) -> tuple[View, torch.Tensor]:
    """Frame 0 is known, the others are noise; returns the pictures expected too."""
    count, frames = numbers.shape[:2]
    video = latents_of(picture(count)[:, None].expand(-1, frames, -1, -1, -1))
    sigma = (torch.arange(frames) > 0).float().expand(count, -1)
    video = torch.where(sigma[:, None, :, None, None] > 0, torch.randn_like(video), video)
    levels = torch.full((count, frames), ray_level)
    with torch.no_grad():
        output = view(*images(video, sigma, rays_of(numbers), levels), log_depth=log_depth)
        rendered = view.pixels(output.latents.transpose(1, 2).flatten(0, 1))
    return output, rendered.unflatten(0, (count, frames))


def test_a_camera_that_pans_sees_the_image_shifted(view):
    numbers = torch.zeros(1, 2, 8)
    root = (CELL * CELL * HEIGHT * WIDTH) ** 0.5
    numbers[..., 6:] = 1.0  # a narrow lens, so that a turn is nearly a shift
    turn = 5.0 / (root * torch.tensor(1.0).exp())  # 5 pixels
    numbers[0, 1, 1] = turn  # about y, which points down: to the right
    output, rendered = rendered_from(view, numbers)
    image = picture(1)[0]
    inner = slice(8, -8)
    expected = image[:, inner, 13:-3]  # what lies right of a place comes to it
    assert (rendered[0, 1][:, inner, inner] - expected).abs().mean() < 0.02
    still = (image[:, inner, inner] - expected).abs().mean()
    assert still > 0.05
    assert output.seen[0, 0, 1, :, -1].max() < 1  # the right edge has left the image
    assert output.seen[0, 0, 1, 1:-1, 1:-1].min() == 1


def test_a_camera_that_comes_nearer_by_half_the_depth_sees_twice_as_large(view):
    numbers = torch.zeros(1, 2, 8)
    numbers[0, 1, 5] = 0.5  # half way to depth 1
    with torch.no_grad():
        _, rendered = rendered_from(view, numbers)
    image = picture(1)
    middle = image[:, :, 12:36, 16:48]
    expected = torch.nn.functional.interpolate(middle, scale_factor=2.0, mode="bilinear")
    # Depth 1 is that from frame 0, so the point is half a unit from the nearer camera.
    assert (rendered[0, 1] - expected[0])[:, 4:-4, 4:-4].abs().mean() < 0.02


def test_given_depths_are_used_and_the_others_are_predicted(view):
    numbers = torch.zeros(1, 2, 8)
    numbers[0, 1, 5] = 0.5
    left, right = torch.full((1, 1, 48, 64), 1.5).log(), torch.full((1, 1, 48, 64), torch.nan)
    half = torch.cat([left[..., :32], right[..., 32:]], -1)
    rendered = {}
    with torch.no_grad():
        for name, depth in {"none": None, "nan": right, "all": left, "half": half}.items():
            rendered[name] = rendered_from(view, numbers, log_depth=depth)[1][0, 1]
    assert torch.equal(rendered["nan"], rendered["none"])
    # From half a unit nearer, what was one and a half away is one: half as large again.
    middle = picture(1)[:, :, 8:40, 11:53]
    expected = torch.nn.functional.interpolate(middle, size=(48, 63), mode="bilinear")[0]
    inner = rendered["all"][:, 4:-4, 4:-5]
    assert (inner - expected[:, 4:-4, 4:-4]).abs().mean() < 0.02
    assert (rendered["none"][:, 4:-4, 4:-5] - expected[:, 4:-4, 4:-4]).abs().mean() > 0.04
    torch.testing.assert_close(rendered["half"][..., :16], rendered["all"][..., :16])
    torch.testing.assert_close(rendered["half"][..., -16:], rendered["none"][..., -16:])


def test_unknown_rays_leave_the_image_where_it_is_and_nothing_known_says_nothing(view):
    numbers = 0.3 * torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(3))
    numbers[:, 0, :6] = 0
    output, rendered = rendered_from(view, numbers, ray_level=1.0)
    unmoved = picture(2)[:, None].expand(-1, 3, -1, -1, -1)
    torch.testing.assert_close(rendered[:, 1:], unmoved[:, 1:], rtol=0, atol=1e-4)
    assert output.share[:, 1:].min() == 1
    assert output.share[:, 0].max() == 0  # an image does not come from itself
    latents = torch.randn(2, SIZE, 3, HEIGHT, WIDTH)
    noise = torch.ones(2, 3)
    blind = view(*images(latents, noise, rays_of(numbers), torch.zeros(2, 3)))
    assert blind.share.max() == 0
    said = torch.randn_like(latents)
    assert torch.equal(blind.velocity(latents, noise, said), said)


def test_following_the_velocity_from_noise_ends_near_the_predicted_view():
    generator = torch.Generator().manual_seed(4)
    expected = torch.randn(4, 5, 2, 3, 3, generator=generator)
    output = View(
        expected,
        torch.full((4, 5, 2, 1, 1), 0.3),
        torch.ones(4, 2),
        torch.ones(4, 1, 2, 3, 3),
        torch.zeros(4, 1, 2, 3, 3),
    )
    current = torch.randn(expected.shape, generator=generator)
    levels = torch.linspace(1, 0, 41)
    said = torch.full_like(expected, 2.0)
    for high, low in itertools.pairwise(levels):
        velocity = output.velocity(current, torch.full((4, 2), float(high)), said)
        current = current + (low - high) * velocity
    off = current - expected - said
    assert off.mean().abs() < 0.05
    assert 0.2 < off.std() < 0.4


def test_nothing_is_added_to_what_an_image_shows_from_known_cameras():
    generator = torch.Generator().manual_seed(5)
    expected = torch.randn(1, 5, 2, 3, 4, generator=generator)
    settled = torch.zeros(1, 1, 2, 3, 4)
    settled[..., :2] = 1
    output = View(
        expected,
        torch.full((1, 5, 2, 1, 1), 0.1),
        torch.ones(1, 2),
        torch.ones(1, 1, 2, 3, 4),
        settled,
    )
    noise = torch.randn(expected.shape, generator=generator)
    level = torch.full((1, 2), 0.8)
    plain, added = (output.velocity(noise, level, x) for x in (0 * noise, 0 * noise + 2.0))
    assert torch.equal(plain[..., :2], added[..., :2])
    assert (plain[..., 2:] - added[..., 2:]).abs().min() > 0.1


def test_where_cameras_are_unknown_the_network_decides(view):
    numbers = torch.zeros(1, 2, 8)
    known, unknown = (rendered_from(view, numbers, ray_level=level)[0] for level in (0.0, 1.0))
    assert known.settled[:, :, 1].min() == 1
    assert unknown.settled.max() == 0
    assert unknown.seen[:, :, 1].min() == 1


def test_near_things_hide_far_ones_and_what_they_hid_is_filled_from_around(view):
    numbers = torch.zeros(1, 2, 8)
    root = (CELL * CELL * HEIGHT * WIDTH) ** 0.5
    numbers[0, 1, 3] = 12 / root  # to the right: near things move by 12 pixels, far ones by 3
    image = torch.full((1, 3, CELL * HEIGHT, CELL * WIDTH), 0.2)
    near = torch.zeros_like(image[:, :1])
    near[..., 16:32, 28:44] = 1
    image = torch.where(near > 0, 0.9, image)
    depth = torch.where(near > 0, 1.0, 4.0).log()
    sigma = torch.tensor([[0.0, 1.0]])
    video = latents_of(torch.stack([image, torch.rand_like(image)], 1))
    with torch.no_grad():
        output = view(*images(video, sigma, rays_of(numbers), torch.zeros(1, 2)), log_depth=depth)
        rendered = view.pixels(output.latents[:, :, 1])[0, 0]
    bright = rendered > 0.55
    assert bright[17:31, 17:31].all(), "the near thing is where it is seen from the right"
    assert bright.sum() < 1.15 * 16 * 16, "and nowhere else"
    assert rendered[17:31, 34:44].mean() < 0.35, "what it hid looks like what is around"
    assert output.seen[0, 0, 1, 2:4, 4].max() < 0.5, "and is not taken for seen"
    assert output.seen[0, 0, 1, 2:4, 2].min() > 0.8
    assert output.seen[0, 0, 1, :, 6].min() > 0.95
