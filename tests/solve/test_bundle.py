from dataclasses import replace

import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.bundle import BundleState, linearised, reversed_travel, solved

FRAMES, ANCHORS = 4, torch.tensor([0, 2, 3])
PLACE = torch.tensor([[x, y] for x in (-0.4, -0.1, 0.3) for y in (-0.3, 0.05, 0.2)]).double()


def a_scene() -> BundleState:
    """Cameras that turn, move and zoom, frame 0 at rest, and patches one to three units away."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    moves = (torch.arange(FRAMES) > 0).double()
    return BundleState(
        rotation_from_vector(0.1 * moves[:, None] * drawn(FRAMES, 3)),
        0.1 * moves[:, None] * drawn(FRAMES, 3),
        0.05 * moves * drawn(FRAMES),
        torch.tensor([0.1, 0.15], dtype=torch.float64),
        ANCHORS,
        0.5 + 0.3 * drawn(len(ANCHORS), len(PLACE)),
    )


def seen(scene: BundleState) -> torch.Tensor:
    """Where every frame shows every patch."""
    point = scene.in_frames(scene.from_anchors(PLACE, scene.log_depth))
    return scene.focal()[:, None, None] * point[..., :2] / point[..., 2:]


def none_moved() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.zeros(FRAMES, 7, dtype=torch.float64),
        torch.zeros((), dtype=torch.float64),
        torch.zeros(len(ANCHORS), len(PLACE), dtype=torch.float64),
    )


def compared(scene: BundleState, truth: torch.Tensor):
    root = torch.eye(2, dtype=torch.float64).expand(*truth.shape, 2).clone()
    root[ANCHORS, torch.arange(len(ANCHORS))] = 0  # a patch in its own frame
    return linearised(scene, PLACE, seen(scene) - truth, root)


def test_changes_of_places_are_those_of_finite_differences():
    scene, step = a_scene(), 1e-6
    here = seen(scene)
    places = compared(scene, here)
    other = torch.arange(FRAMES)[:, None] != ANCHORS

    def slope(*change: torch.Tensor) -> torch.Tensor:
        found = (seen(scene.moved(*change)) - here) / step
        return torch.where(other[..., None, None], found, 0.0)

    for frame in range(FRAMES):
        for number in range(7):
            frames, lens, depth = none_moved()
            frames[frame, number] = step
            expected = torch.zeros_like(here)
            expected[frame] += places.by_frame[frame, ..., number]
            at = (frame == ANCHORS).nonzero()[:, 0]
            expected[:, at] += places.by_anchor[:, at, ..., number]
            torch.testing.assert_close(expected, slope(frames, lens, depth), rtol=1e-4, atol=1e-4)
    frames, lens, depth = none_moved()
    torch.testing.assert_close(
        places.by_lens, slope(frames, lens + step, depth), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        places.by_depth, slope(frames, lens, depth + step), rtol=1e-4, atol=1e-4
    )


def test_exact_places_bring_cameras_and_depths_back():
    truth = a_scene()
    there = seen(truth)
    frames, lens, depth = none_moved()
    frames[1:, :6] += 0.02
    scene, off = truth.moved(frames, lens + 0.02, depth + 0.05), none_moved()
    held = torch.full((FRAMES, 7), 1e-6, dtype=torch.float64)
    held[:, 6] = 1e6  # zooms are known
    for _ in range(12):
        change = solved(compared(scene, there), ANCHORS, held, off, held_lens=1e-6, held_depth=1e-6)
        assert change[0][0].abs().max() == 0, "frame 0 is the world"
        scene = scene.moved(*change)
    torch.testing.assert_close(scene.rotation, truth.rotation, rtol=0, atol=1e-4)
    torch.testing.assert_close(scene.lens, truth.lens, rtol=0, atol=1e-3)
    unit = (scene.log_depth - truth.log_depth).mean()  # one video shows no scale
    torch.testing.assert_close(scene.center * (-unit).exp(), truth.center, rtol=0, atol=1e-3)
    torch.testing.assert_close(seen(scene), there, rtol=0, atol=1e-5)


def test_a_firmly_held_guess_stays():
    truth = a_scene()
    scene = replace(truth, center=truth.center + 0.05 * (torch.arange(FRAMES) > 0)[:, None])
    held = torch.full((FRAMES, 7), 1e12, dtype=torch.float64)
    change = solved(
        compared(scene, seen(truth)), ANCHORS, held, none_moved(), held_lens=1e12, held_depth=1e12
    )
    assert max(float(one.abs().max()) for one in change) < 1e-8


def test_reversed_travel_shows_nearly_the_same_and_is_its_own_inverse():
    scene = a_scene()
    shallow = replace(
        scene,
        center=0.3 * scene.center,
        anchors=ANCHORS[:1],
        log_depth=0.05 * torch.randn_like(scene.log_depth[:1]),
    )
    other = reversed_travel(shallow)
    moved = (seen(shallow) - PLACE).norm(dim=-1)[1:].mean()
    assert (seen(other) - seen(shallow)).norm(dim=-1).mean() < 0.12 * moved
    torch.testing.assert_close(other.center, -shallow.center)
    back = reversed_travel(other)
    torch.testing.assert_close(back.rotation, shallow.rotation)
    torch.testing.assert_close(back.log_depth, shallow.log_depth)
