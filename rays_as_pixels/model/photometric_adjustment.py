"""Cameras and depths that explain the pixels of a clip, by Gauss and Newton around a first guess.

Not in the paper. Photometric bundle adjustment (Alismail et al. 2016, 1608.02026): small patches of
frame 0 are looked for where the guess shows them in the other frames, from coarse to fine, and
cameras, lens and depths move together towards where they fit (Lucas and Kanade 1981). The network
says where to start, to a degree or so; from there pixels say more than its latents of 8x8 cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.model.track_adjustment import (
    Linearised,
    TrackedScene,
    Trust,
    linearised,
    solved,
)

_PATCHES = 240  # about; one in the middle of each cell of a grid over frame 0
_LEVEL_SIDES = (31.0, 62.0, 124.0, 248.0)  # roots of the areas of the pictures worked on, pixels
_HALF_WINDOWS = (3, 4, 4, 4)  # pixels from a patch's middle to its sides, per level
_STEPS = (8, 8, 8, 6)  # per level
_NEAREST = 0.05  # scene units
_DAMPING = 1e-4  # squared gradient per pixel, of pictures in [0, 1]
_STEP_LIMIT = 1.5  # pixels that a patch moves at a time
_LEAST_SHOWN = 0.6  # of a patch, to count at all
_LEAST_LIKENESS, _LIKENESS_SPREAD = 0.6, 0.08  # correlation at which a patch counts half
_LIKE = 0.05  # root mean square difference at which a patch counts half
_NOISE = 0.05  # of a patch's pixels, for what its gradients are worth
_INDEPENDENT = 2000.0  # how many such patches a frame's are taken for
_OFF_LIMIT = 2.0  # deviations; a patch that is so far off counts half
_ROTATION, _CENTER, _LENS, _DEPTH = 0.1, 0.5, 0.2, 1.0  # deviations of the guess: rad, units, logs
_ZOOM, _ZOOM_SHARE = 0.01, 0.5  # of the guessed zoom, plus this share of it
_FIXED = 1e-6  # deviation of a zoom that is known
_LIMITS = (0.1,) * 3 + (0.2,) * 3 + (0.1,)  # of one step
_LENS_LIMIT, _DEPTH_LIMIT = 0.1, 0.3
_LEAST_EXPLAINED = 0.02  # share of the patches below which the guess stays
_DEPTHS = (-1.6, 1.6, 17)  # logarithms that are tried where none are told: from, to, how many
_DEPTH_PENALTY, _HIDDEN_COST = 0.02, 0.6


@dataclass(frozen=True)
class PhotometricFit:
    """What became of a guess.

    Attributes:
        cameras: (F,) in frame 0's axes and scene units, float64 on the CPU.
        log_depth: (rows, columns) logarithm of the patches' depths, scene units.
        explained: Share of patches, over frames, that look as in frame 0 where they are shown.
    """

    cameras: Cameras
    log_depth: Float[Tensor, "rows columns"]
    explained: float


@torch.no_grad()
def adjusted_to_frames(
    frames: Float[Tensor, "f 3 height width"],
    cameras: Cameras,
    log_depth: Float[Tensor, "rows columns"] | None = None,
    *,
    shared_focal: bool = False,
) -> PhotometricFit:
    """Move cameras until patches of frame 0 fit the other frames.

    Args:
        frames: In [0, 1], two or more, of the cameras' aspect ratio; may be larger than they say.
        cameras: (F,) in frame 0's axes and scene units, principal point in the middle, right to a
            few degrees.
        log_depth: Logarithm of what frame 0 shows, on a grid over it; None to try depths.
        shared_focal: One focal length for all frames (the lens does not zoom).

    Returns:
        The cameras moved, or as they were where too little of the clip is explained.
    """
    frames = frames.detach().to("cpu", torch.float32)
    patches = Patches.on(frames)
    guess = _scene_of(cameras, len(patches.place))
    if log_depth is None:
        depth = _tried_depths(list(_pyramid(frames))[:2], guess, patches)
    else:
        told = log_depth.detach().to("cpu", torch.float32)[None, None]
        depth = torch.nn.functional.interpolate(told, patches.grid, mode="bilinear").flatten()
    guess = replace(guess, log_depth=depth.double()[None])
    scene, share = moved_scene(frames, guess, patches, shared_focal=shared_focal)
    explained = float(share)
    scene = scene.in_scene_units()
    moved = _cameras_of(scene, cameras)
    fine = bool(moved.world_from_cam.isfinite().all() and moved.focal_px.isfinite().all())
    if not fine or explained < _LEAST_EXPLAINED:
        return PhotometricFit(cameras, guess.log_depth.view(patches.grid), explained)
    return PhotometricFit(moved, scene.log_depth.view(patches.grid), explained)


def moved_scene(
    frames: Float[Tensor, "f 3 height width"],
    guess: TrackedScene,
    patches: "Patches",
    *,
    shared_focal: bool,
) -> tuple[TrackedScene, Tensor]:
    """Move a scene of one clip in float64, and say which share of the patches it explains."""
    trust = _trust_in(guess, shared_focal=shared_focal)
    scene, off, explained = guess, _none_off(guess), frames.new_zeros(())
    for picture, half, steps in zip(_pyramid(frames), _HALF_WINDOWS, _STEPS, strict=False):
        level = _Level(picture, patches, half)
        for _ in range(steps):
            linear, explained = level.look(scene)
            change = solved(linear, torch.ones_like(linear.error[..., :1]), off, trust)
            limit = change[0].new_tensor(_LIMITS)
            step = (
                change[0].clamp(-limit, limit),
                change[1].clamp(-_LENS_LIMIT, _LENS_LIMIT),
                change[2].clamp(-_DEPTH_LIMIT, _DEPTH_LIMIT),
            )
            scene = scene.moved(*step)
            off = off[0] + step[0], off[1] + step[1], off[2] + step[2]
    return scene, explained


@dataclass(frozen=True)
class Patches:
    """Middles of a grid of cells over frame 0, in roots of the image's area.

    Attributes:
        place: (N, 2) from the image's centre, (x, y).
        grid: (rows, columns).
        half: (2,) half the image's sides.
    """

    place: Float[Tensor, "n 2"]
    grid: tuple[int, int]
    half: Float[Tensor, "2"]

    @classmethod
    def on(cls, frames: Float[Tensor, "f 3 height width"]) -> "Patches":
        """Lay a grid over frames."""
        aspect = frames.shape[-1] / frames.shape[-2]
        columns = max(2, round((_PATCHES * aspect) ** 0.5))
        rows = max(2, round((_PATCHES / aspect) ** 0.5))
        half = frames.new_tensor([aspect**0.5, aspect**-0.5]) / 2
        sides = (torch.arange(n, device=frames.device) for n in (rows, columns))
        y, x = torch.meshgrid(*(2 * (side + 0.5) / len(side) - 1 for side in sides), indexing="ij")
        return cls(torch.stack([x.flatten(), y.flatten()], -1) * half, (rows, columns), half)


def _pyramid(frames: Tensor) -> Iterator[Tensor]:
    """Yield the frames smaller, coarsest first, up to their own size."""
    own = (frames.shape[-2] * frames.shape[-1]) ** 0.5
    for side in _LEVEL_SIDES:
        if side > 1.1 * own:
            return
        scale = min(1.0, side / own)
        size = tuple(max(4, round(n * scale)) for n in frames.shape[-2:])
        yield frames if scale == 1.0 else torch.nn.functional.interpolate(frames, size, mode="area")


class _Level:
    """Pictures of one size, and the patches of frame 0 cut from them."""

    def __init__(self, pictures: Float[Tensor, "f 3 h w"], patches: Patches, half: int) -> None:
        self.patches, self.half_image = patches, patches.half
        self.side = (pictures.shape[-2] * pictures.shape[-1]) ** 0.5
        padded = torch.nn.functional.pad(pictures, (1, 1, 1, 1), "replicate")
        across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
        down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
        self.others = torch.cat([pictures, across, down], 1)[1:]
        steps = torch.arange(-half, half + 1, device=pictures.device, dtype=torch.float32)
        window = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
        self.weight = torch.exp(-window.square().sum(-1) / (2 * (0.6 * half + 0.5) ** 2))
        self.count = len(window)
        self.pixels = (patches.place[:, None] + window / self.side).reshape(-1, 2)
        shown = self._read(pictures[:1], self.pixels[None])
        self.template = shown.view(3, -1, self.count)
        self.inside = self._is_inside(self.pixels).view(-1, self.count)

    def _read(self, pictures: Tensor, at: Float[Tensor, "f m 2"]) -> Float[Tensor, "f c m"]:
        grid = (at / self.half_image)[:, None]
        return torch.nn.functional.grid_sample(
            pictures, grid, padding_mode="border", align_corners=False
        )[:, :, 0]

    def _is_inside(self, at: Tensor) -> Tensor:
        return (at.abs() < self.half_image).all(-1)

    def shown(self, scene: TrackedScene) -> tuple[Tensor, Tensor]:
        """Read the other frames where a scene shows the patches' pixels.

        Returns:
            (F, 9, N, K) colours and their slopes along x and y, and (F, N, K) whether there is one.
        """
        wide = replace(scene, log_depth=scene.log_depth.repeat_interleave(self.count, 1))
        point = wide.points(self.pixels.double())[0].float()
        focal = (scene.lens[:, None] + scene.zoom[..., None]).exp()[0, :, None].float()
        at = focal * point[..., :2] / point[..., 2:].clamp_min(_NEAREST)
        seen = self._is_inside(at) & (point[..., 2] > _NEAREST)
        shape = (len(at), -1, self.count)
        read = self._read(self.others, at).unflatten(2, shape[1:])
        return read, seen.view(shape) & self.inside

    def look(self, scene: TrackedScene) -> tuple[Linearised, Tensor]:
        """Compare the patches; errors are in deviations, so that all weigh the same.

        Returns:
            Errors, and the share of patches that look alike.
        """
        read, seen = self.shown(scene)
        weight = self.weight * seen
        covered = weight.sum(-1) / self.weight.sum()
        weight = (weight / weight.sum(-1, keepdim=True).clamp_min(1e-6))[:, None]

        def mean(value: Tensor) -> Tensor:
            return (weight * value).sum((1, 3))

        here = self.template - (weight * self.template).sum(-1, keepdim=True)
        colour, x, y = read.split(3, dim=1)
        there = colour - (weight * colour).sum(-1, keepdim=True)
        left = there - here
        like = mean(here * there) / (mean(here**2) * mean(there**2)).clamp_min(1e-12).sqrt()
        xx, yy, xy = mean(x * x), mean(y * y), mean(x * y)
        steps = _flow_step((xx, yy, xy), mean(x * left), mean(y * left))
        good = torch.sigmoid((like - _LEAST_LIKENESS) / _LIKENESS_SPREAD)
        good = good * (covered > _LEAST_SHOWN) / (1 + mean(left**2) / _LIKE**2)
        place = self.patches.place.double()
        seen_at = scene.seen(place) + steps.double()[None] / self.side
        linear = linearised(scene, place, seen_at)
        worth = good * (self.side / _NOISE) ** 2 * _INDEPENDENT / len(place)
        root = _root_of_gradients(xx, yy, xy).double() * worth.double().sqrt()[..., None, None]
        return _in_deviations(linear, root[None], count=len(place)), good.mean()


def _flow_step(
    gradient: tuple[Tensor, Tensor, Tensor], x: Tensor, y: Tensor
) -> Float[Tensor, "f n 2"]:
    """Return how far patches want to move, in pixels: the step of Lucas and Kanade."""
    xx, yy, xy = gradient[0] + _DAMPING, gradient[1] + _DAMPING, gradient[2]
    step = -torch.stack([yy * x - xy * y, xx * y - xy * x], -1) / (xx * yy - xy**2)[..., None]
    return step * (_STEP_LIMIT / step.norm(dim=-1, keepdim=True).clamp_min(_STEP_LIMIT))


def _root_of_gradients(xx: Tensor, yy: Tensor, xy: Tensor) -> Float[Tensor, "f n 2 2"]:
    """Return S with S^T S = [[xx, xy], [xy, yy]]."""
    first = (xx + 1e-9).sqrt()
    cross = xy / first
    second = (yy - cross**2).clamp_min(1e-12).sqrt()
    rows = [torch.stack([first, cross], -1), torch.stack([torch.zeros_like(second), second], -1)]
    return torch.stack(rows, -2)


def _in_deviations(linear: Linearised, root: Tensor, *, count: int) -> Linearised:
    """Weigh places by what their gradients are worth, those far off less."""
    error = (root @ linear.error[..., None])[..., 0]
    limit = _OFF_LIMIT**2 * _INDEPENDENT / count
    root = root * (1 + error.square().sum(-1) / limit).rsqrt()[..., None, None]
    return Linearised(
        (root @ linear.error[..., None])[..., 0],
        root @ linear.by_frame,
        (root @ linear.by_lens[..., None])[..., 0],
        (root @ linear.by_depth[..., None])[..., 0],
    )


def _tried_depths(pyramid: list[Tensor], guess: TrackedScene, patches: Patches) -> Tensor:
    """Find (N,) logarithms of depths at which the guessed cameras show patches most alike."""
    tried = torch.linspace(*_DEPTHS)
    cost = torch.zeros(len(tried), len(patches.place))
    for picture, half in zip(pyramid, _HALF_WINDOWS, strict=False):
        level = _Level(picture, patches, half - 1)
        here = level.template - level.template.mean(-1, keepdim=True)
        for number, depth in enumerate(tried.tolist()):
            read, seen = level.shown(replace(guess, log_depth=guess.log_depth * 0 + depth))
            colour = read[:, :3]
            off = (colour - colour.mean(-1, keepdim=True) - here).square().mean((1, 3))
            whole = seen.all(-1)
            cost[number] += torch.where(whole, off / (off + _LIKE**2), _HIDDEN_COST).mean(0)
    cost = cost + _DEPTH_PENALTY * tried[:, None] ** 2
    images = torch.nn.functional.pad(cost.view(1, -1, *patches.grid), (1, 1, 1, 1), "replicate")
    around = torch.nn.functional.avg_pool2d(images, 3, 1).view(len(tried), -1)
    return tried[(cost + around).argmin(0)]


def _trust_in(guess: TrackedScene, *, shared_focal: bool) -> Trust:
    deviation = guess.center.new_tensor((_ROTATION,) * 3 + (_CENTER,) * 3 + (_FIXED,))
    frames = deviation.expand(*guess.zoom.shape, 7).clone()
    if not shared_focal:
        frames[..., 6] = _ZOOM + _ZOOM_SHARE * guess.zoom.abs()
    return Trust(
        frames**-2,
        torch.full_like(guess.lens[:, 0], _LENS**-2),
        torch.full_like(guess.log_depth, _DEPTH**-2),
    )


def _none_off(guess: TrackedScene) -> tuple[Tensor, Tensor, Tensor]:
    frames = guess.center.new_zeros(*guess.zoom.shape, 7)
    return frames, torch.zeros_like(guess.lens[:, 0]), torch.zeros_like(guess.log_depth)


def _scene_of(cameras: Cameras, count: int) -> TrackedScene:
    """Take over cameras, all depths 1."""
    cameras = cameras.to(dtype=torch.float64)
    log_focal = (cameras.focal_px / (cameras.height * cameras.width) ** 0.5).log()
    pose = cameras.world_from_cam[None, 1:].cpu()
    return TrackedScene(
        nearest_rotation(pose[..., :3, :3]),
        pose[..., :3, 3],
        (log_focal[1:] - log_focal[0]).mean(-1)[None].cpu(),
        log_focal[:1].cpu(),
        torch.zeros(1, count, dtype=torch.float64),
    )


def _cameras_of(scene: TrackedScene, like: Cameras) -> Cameras:
    pose = rigid(scene.rotation[0], scene.center[0])
    first = torch.eye(4, dtype=pose.dtype)[None]
    zoom = torch.nn.functional.pad(scene.zoom[0], (1, 0))
    focal = (scene.lens + zoom[:, None]).exp() * (like.height * like.width) ** 0.5
    return Cameras(
        torch.cat([first, pose]), focal, like.center_px.to(pose), like.height, like.width
    )
