import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.worlds import WorldOptions, render_clips
from rays_as_pixels.worlds.degrade import jpeg_like
from rays_as_pixels.worlds.render import render, trace
from rays_as_pixels.worlds.scenes import BOX, CYLINDER, SPHERE, Scene
from rays_as_pixels.worlds.seeded_random import SeededRandom
from rays_as_pixels.worlds.textures import SIZE, TextureBank, sample_texture, texture_bank


def one_thing(shape: int, *, center=(0.0, 0.0, 5.0), half=(1.0, 1.0, 1.0), relief=0.0) -> Scene:
    """A big empty shell with one primitive in it."""
    eye = torch.eye(3)
    shell = torch.tensor([20.0, 20.0, 20.0])
    half_extent = torch.stack([shell, torch.tensor(half)])
    return Scene(
        shape=torch.tensor([BOX, shape]),
        local_from_world=torch.stack([torch.diag(1 / size) @ eye for size in half_extent])[None],
        center=torch.stack([torch.zeros(3), torch.tensor(center)])[None],
        velocity=torch.zeros(1, 2, 3),
        present=torch.ones(1, 2, dtype=torch.bool),
        texture=torch.zeros(1, 2, dtype=torch.int64),
        texels_per_unit=torch.full((1, 2), 4.0),
        texture_offset=torch.zeros(1, 2, 2),
        half_extent=half_extent[None],
        tint=torch.ones(1, 2, 3),
        saturation=torch.ones(1, 2),
        permutation=torch.arange(3).expand(1, 2, 3),
        relief=torch.tensor([[relief, 2.0]]),
        sun=torch.tensor([[0.0, -1.0, 0.0]]),
        ambient=torch.tensor([0.5]),
        outdoor=torch.tensor([relief > 0]),
    )


def ahead(*, height: int = 9, width: int = 9, focal: float = 20.0) -> Cameras:
    return Cameras(
        torch.eye(4)[None, None],
        torch.full((1, 1, 2), focal),
        torch.tensor([[[width / 2, height / 2]]]),
        height,
        width,
    )


@pytest.mark.parametrize("shape", [BOX, SPHERE, CYLINDER])
def test_the_middle_ray_meets_each_shape_at_its_front(shape):
    depth, which, _ = trace(one_thing(shape), ahead(focal=10.0))
    middle = 9 * 9 // 2
    # Box and cylinder side face the camera at z = 4; so does the sphere's pole.
    assert depth[0, 0, middle] == pytest.approx(4.0, abs=1e-4)
    assert which[0, 0, middle] == 1
    assert depth[0, 0, 0] == pytest.approx(20.0, abs=1e-4)  # past it, the shell's back wall
    assert which[0, 0, 0] == 0


def test_a_slanted_ray_meets_a_sphere_where_geometry_says():
    depth, _, ray = trace(one_thing(SPHERE), ahead(height=1, width=9, focal=60.0))
    x = (6 + 0.5 - 4.5) / 60  # slope of the ray of pixel 6
    # |t (x, 0, 1) - (0, 0, 5)| = 1
    a, b, c = x * x + 1, -5.0, 24.0
    expected = (-b - math.sqrt(b * b - a * c)) / a
    assert ray[0, 0, 6, 0] == pytest.approx(x)
    assert depth[0, 0, 6] == pytest.approx(expected, abs=1e-4)


def test_nothing_behind_the_camera_is_seen():
    depth, which, _ = trace(one_thing(SPHERE, center=(0.0, 0.0, -5.0)), ahead())
    assert (which == 0).all()
    assert (depth > 0).all()


def test_ground_waves_are_hit_where_they_are():
    scene = one_thing(BOX, center=(0.0, 0.0, -15.0), relief=0.2)
    camera = ahead(height=5, width=5, focal=4.0)
    camera = Cameras(camera.world_from_cam.clone(), camera.focal_px, camera.center_px, 5, 5)
    camera.world_from_cam[..., 1, 3] = 18.0  # two units above the floor at y = 20
    depth, _, ray = trace(scene, camera)
    point = camera.world_from_cam[..., None, :3, 3] + depth[..., None] * ray
    down = (ray[..., 1] > 0.3)[0, 0]
    x, y, z = point[0, 0][down].unbind(-1)
    wave = 2 * math.pi / 2.0
    surface = 20.0 - 0.2 + 0.2 * torch.sin(wave * x) * torch.sin(0.8 * wave * z + 1.0)
    assert down.sum() >= 5
    torch.testing.assert_close(y, surface, rtol=0, atol=2e-2)  # a tenth of the waves' height
    assert (y - 20.0).abs().max() > 0.05


def clips(split: str = "train", count: int = 6, **changes):
    size = {"num_frames": 5, "height": 32, "width": 32, **changes}
    return render_clips(list(range(count)), split=split, **size)


def test_a_clip_depends_on_its_seed_alone_not_on_its_batch():
    batch = clips(count=3)
    alone = render_clips([2], split="train", num_frames=5, height=32, width=32)
    torch.testing.assert_close(batch.video[2:], alone.video, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        batch.cameras.world_from_cam[2:], alone.cameras.world_from_cam, rtol=0, atol=1e-5
    )


def test_frame_0_is_the_identity_and_its_median_depth_is_1():
    made = clips()
    pose = made.cameras.world_from_cam[:, 0]
    torch.testing.assert_close(pose, torch.eye(4).expand_as(pose), rtol=0, atol=1e-5)
    median = made.depth[:, 0].flatten(1).median(dim=-1).values
    torch.testing.assert_close(median, torch.ones(6), rtol=0, atol=1e-4)


def share_explained(camera: Cameras, depth: torch.Tensor, *, backwards: bool) -> torch.Tensor:
    """Whether points of frame 0, moved into the last frame, lie at the depth it has there."""
    pixels = (
        torch.stack(torch.meshgrid(torch.arange(48), torch.arange(48), indexing="xy"), -1) + 0.5
    )
    xy = (pixels - camera.center_px[0]) / camera.focal_px[0]
    point = torch.cat([xy, torch.ones(48, 48, 1)], -1) * depth[0][..., None]
    first, last = camera.world_from_cam[0], camera.world_from_cam[-1]
    last_from_first = invert_rigid(last) @ first
    if backwards:
        last_from_first = invert_rigid(last_from_first)
    moved = point @ last_from_first[:3, :3].T + last_from_first[:3, 3]
    grid = (moved[..., :2] / moved[..., 2:] * camera.focal_px[-1] + camera.center_px[-1]) / 24 - 1
    seen = torch.nn.functional.grid_sample(depth[-1][None, None], grid[None], align_corners=False)
    inside = (grid.abs() < 0.95).all(-1) & (moved[..., 2] > 0)
    return ((seen[0, 0] / moved[..., 2] - 1).abs() < 0.03)[inside]


def test_depth_and_cameras_explain_each_other_between_frames():
    made = clips(count=16, height=48, width=48, options=WorldOptions(degraded=False))
    still = (~made.moving).nonzero().squeeze(-1).tolist()
    assert len(still) >= 8
    shares = [
        torch.cat([share_explained(made.cameras[i], made.depth[i], backwards=b) for i in still])
        .float()
        .mean()
        for b in (False, True)
    ]
    # Edges and points hidden in one of the frames are the rest.
    assert shares[0] > 0.75
    assert shares[1] < shares[0] - 0.2


def test_motion_varies_and_every_clip_keeps_its_overlap():
    made = clips(count=48, height=16, width=16, options=WorldOptions(supersample=1))
    last = made.cameras.world_from_cam[:, -1]
    turn = torch.rad2deg(rotation_angle_rad(last[:, :3, :3]))
    travel = last[:, :3, 3].norm(dim=-1)
    assert turn.max() > 10
    assert travel.max() > 0.2
    assert ((turn > 0.5) | (travel > 0.02)).float().mean() > 0.75  # few stand still
    assert len(set(made.motion_type.tolist())) >= 6
    assert made.moving.any()
    assert not made.moving.all()


def test_fields_of_view_held_out_never_occur_in_training():
    def degrees(split: str) -> torch.Tensor:
        options = WorldOptions(supersample=1)
        made = clips(split, count=64, options=options, height=8, width=8, num_frames=1)
        return torch.rad2deg(made.cameras.hfov_rad[:, 0])

    train, heldout = degrees("train"), degrees("heldout")
    assert not ((train > 52.01) & (train < 59.99)).any()
    assert ((heldout > 52) & (heldout < 60)).any()
    assert train.min() > 13.9, (
        "through a tele in object-centric worlds, see `worlds.object_centric`"
    )
    assert train.max() < 95.1


def test_splits_share_neither_worlds_nor_textures():
    assert not torch.equal(clips(count=1).video, clips("heldout", count=1).video)
    train, heldout = texture_bank("train", count=16), texture_bank("heldout", count=16)
    first = train.texels[: 16 * SIZE * SIZE].reshape(16, -1).float()
    second = heldout.texels[: 16 * SIZE * SIZE].reshape(16, -1).float()
    assert torch.cdist(first, second).min() > 1000  # of at most 255 * sqrt(49152) = 56,500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "test"}, "split must be one of"),
        ({"height": 30}, "multiples of 8"),
        ({"num_frames": 0}, "num_frames 1 or more"),
    ],
)
def test_bad_requests_are_refused(changes, message):
    request = {"split": "train", "num_frames": 5, "height": 32, "width": 32, **changes}
    with pytest.raises(InputError, match=message):
        render_clips([0], **request)
    with pytest.raises(InputError, match="seeds must be"):
        render_clips([-1], split="train", num_frames=5, height=32, width=32)


def test_draws_are_uniform_and_independent():
    rng = SeededRandom(range(64))
    x, y = rng.uniform(0.0, 1.0, 200), rng.uniform(0.0, 1.0, 200)
    assert x.mean() == pytest.approx(0.5, abs=0.01)  # 12,800 rng: deviation 0.0026
    assert x.var() == pytest.approx(1 / 12, abs=0.005)
    assert torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].abs() < 0.03
    assert torch.corrcoef(x[:2])[0, 1].abs() < 0.25  # 200 pairs: deviation 0.07
    normal = rng.normal(200)
    assert normal.std() == pytest.approx(1.0, abs=0.03)


def test_textures_repeat_and_blur_with_distance():
    bank = texture_bank("train", count=8)
    uv = torch.tensor([[3.7, 90.2]])
    zero, index = torch.zeros(1), torch.tensor([2])
    here = sample_texture(bank, index, uv, zero)
    torch.testing.assert_close(here, sample_texture(bank, index, uv + SIZE, zero))
    board = ((torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2 * 255).to(torch.uint8)
    level0 = board.reshape(-1, 1).expand(-1, 3)
    level1 = torch.full((SIZE * SIZE // 4, 3), 128, dtype=torch.uint8)
    own = TextureBank(torch.cat([level0, level1]), torch.tensor([0, SIZE * SIZE]), 1, ())
    at_texel = torch.tensor([[0.5, 0.5], [1.5, 0.5], [1.0, 0.5]])
    first = torch.zeros(3, dtype=torch.int64)
    assert sample_texture(own, first, at_texel, torch.zeros(3))[:, 0].tolist() == [0.0, 1.0, 0.5]
    far = sample_texture(own, first, at_texel, torch.ones(3))[:, 0]
    torch.testing.assert_close(far, torch.full((3,), 128 / 255))


def test_supersampling_agrees_with_the_plain_image_away_from_edges():
    scene, bank = one_thing(BOX), texture_bank("train", count=8)
    camera = ahead(height=16, width=16)
    plain, depth = render(scene, bank, camera, supersample=1)
    fine, fine_depth = render(scene, bank, camera, supersample=2)
    assert (plain - fine).abs().mean() < 0.05
    assert (depth - fine_depth).abs().median() < 1e-3


def test_jpeg_like_blocks_keep_flat_images_and_lose_detail_with_coarseness():
    flat = torch.full((1, 1, 3, 16, 16), 0.5)
    fine_step = torch.tensor([0.01])
    torch.testing.assert_close(jpeg_like(flat, fine_step), flat, rtol=0, atol=1e-3)
    noise = torch.rand(1, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    small = (jpeg_like(noise, torch.tensor([0.05])) - noise).abs().mean()
    large = (jpeg_like(noise, torch.tensor([1.0])) - noise).abs().mean()
    assert small < 0.02 < large
