"""Patches of some frames of a clip, and how well others show them where a scene says.

Not in the paper. A patch is so small that a frame shows it as an affine picture of itself; sums
over its pixels are products of matrices, several times faster than one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.solve.bundle import NEAREST, BundleState, Places, linearised

_PATCHES = 120  # of a frame, about; one in the middle of each cell of a grid
_LEVEL_SIDES = (31.0, 62.0, 124.0, 248.0)  # roots of the areas of the pictures worked on, pixels
_DAMPING = 1e-4  # squared gradient per pixel, of pictures in [0, 1]
_STEP_LIMIT = 1.5  # pixels that a patch moves at a time
_LEAST_SHOWN = 0.6  # of a patch, to count at all
_LEAST_LIKENESS, _LIKENESS_SPREAD = 0.6, 0.08  # correlation at which a patch counts half
_LEAST_CONTRAST = 1e-5  # mean square about a patch's mean, of pictures in [0, 1]
LIKE = 0.05  # root mean square difference at which a patch counts half
_NOISE = 0.05  # of a patch's pixels, for what its gradients are worth
_INDEPENDENT = 400.0  # how many such patches a pair of frames is taken for
_OFF_LIMIT = 4.5  # deviations of one of these; a patch that is so far off counts half
_FLATTEST = 0.05  # least area of a patch's picture over its own
_STRETCH_LIMIT = 4.0


@dataclass(frozen=True)
class Patches:
    """Middles of a grid of cells over a frame, in roots of the image's area.

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


def pyramid(frames: Tensor) -> Iterator[Tensor]:
    """Yield the frames smaller, coarsest first, up to their own size."""
    own = (frames.shape[-2] * frames.shape[-1]) ** 0.5
    for side in _LEVEL_SIDES:
        if side > 1.1 * own:
            return
        scale = min(1.0, side / own)
        size = tuple(max(4, round(n * scale)) for n in frames.shape[-2:])
        yield frames if scale == 1.0 else torch.nn.functional.interpolate(frames, size, mode="area")


@dataclass(frozen=True)
class Shown:
    """What frames show where a scene has the patches.

    Attributes:
        colour: (A * N, F, 3, K).
        weight: (A * N, F, K) of each pixel, 0 where it is outside.
        affine: (F, A, N, 2, 2) from a patch's pixels to a frame's.
    """

    colour: Float[Tensor, "an f 3 k"]
    weight: Float[Tensor, "an f k"]
    affine: Float[Tensor, "f a n 2 2"]


class Level:
    """Pictures of one size, and the patches of the anchors cut from them.

    Args:
        pictures: Of all frames, in [0, 1].
        patches: Where.
        anchors: (A,) frames that patches are cut from.
        half: Pixels from a patch's middle to its sides.
    """

    def __init__(
        self, pictures: Float[Tensor, "f 3 h w"], patches: Patches, anchors: Tensor, half: int
    ) -> None:
        self.pictures, self.patches = pictures, patches
        self.side = (pictures.shape[-2] * pictures.shape[-1]) ** 0.5
        cut = pictures[anchors]
        padded = torch.nn.functional.pad(cut, (1, 1, 1, 1), "replicate")
        across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
        down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
        steps = torch.arange(-half, half + 1, device=cut.device, dtype=torch.float32)
        window = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
        self.window = window / self.side
        # A frame's place of a patch's pixel is affine in it: (2, 3) matrices times this.
        self.along = torch.nn.functional.pad(self.window, (0, 1), value=1.0).mT.contiguous()
        self.weight = torch.exp(-window.square().sum(-1) / (2 * (0.6 * half + 0.5) ** 2))
        pixels = patches.place[:, None] + self.window
        at = (pixels / patches.half).expand(len(cut), -1, -1, -1)
        read = self._read(torch.cat([cut, across, down], 1), at)
        read = read.movedim(1, 2).flatten(0, 1)  # A * N, 9, K
        self.template, x, y = read.split(3, dim=1)
        products = [
            (one * two).sum(1, keepdim=True)
            for one, two in (
                (x, x),
                (y, y),
                (x, y),
                (self.template, self.template),
                (x, self.template),
                (y, self.template),
            )
        ]
        # (A * N, K, 15) is summed over a patch's pixels alone, (A * N, 3 K, 3) with frames' colours
        self.alone = torch.cat([self.template, x, y, *products], 1).mT.contiguous()
        self.with_colour = torch.stack([one.flatten(1) for one in (x, y, self.template)], -1)
        inside = (pixels.abs() < patches.half).all(-1)
        self.inside = inside.repeat(len(cut), 1)[:, None]
        frames = torch.arange(len(pictures), device=cut.device)
        self.other = frames[:, None] != anchors  # F A

    @staticmethod
    def _read(pictures: Tensor, at: Float[Tensor, "f m k 2"]) -> Float[Tensor, "f channels m k"]:
        return torch.nn.functional.grid_sample(
            pictures, at, padding_mode="border", align_corners=False
        )

    def shown(self, scene: BundleState) -> Shown:
        """Read the frames where a scene shows the patches."""
        place = self.patches.place.double()
        reach = float(self.window.amax()) * torch.eye(2).to(place)
        corner = torch.cat([place, place + reach[0], place + reach[1]])
        arms = scene.from_anchors(corner, scene.log_depth.repeat(1, 3))
        point = scene.in_frames(arms)
        at = scene.focal()[:, None, None] * point[..., :2] / point[..., 2:].clamp_min(NEAREST)
        middle, right, below = at.chunk(3, 2)
        affine = torch.stack([right - middle, below - middle], -1) / reach[0, 0]
        ahead = (point[:, :, : len(place), 2] > NEAREST).flatten(1)  # F, A * N
        affine, middle = affine.float(), middle.float()
        lines = torch.cat([affine, middle[..., None]], -1).flatten(1, 2)  # F, A * N, 2, 3
        at = (lines / self.patches.half[:, None]) @ self.along  # its sides are at -1 and 1
        seen = (at.abs().amax(-2) < 1) & ahead[..., None]  # F, A * N, K
        colour = self._read(self.pictures, at.mT.contiguous()).permute(2, 0, 1, 3).contiguous()
        return Shown(colour, self.weight * (seen.transpose(0, 1) & self.inside), affine)

    def look(self, scene: BundleState) -> tuple[Places, Tensor]:
        """Compare the patches; errors are in deviations.

        Returns:
            Errors with their changes, and the share of patches that look alike.
        """
        shown = self.shown(scene)
        whole = shown.weight.sum(-1, keepdim=True)
        weight = shown.weight / whole.clamp_min(1e-6)
        weighted = weight[:, :, None] * shown.colour  # A * N, F, 3, K
        sums = weight @ self.alone
        here, x, y = sums[..., :9].split(3, -1)  # means of each colour
        xx, yy, xy, own, x_here, y_here = sums[..., 9:].unbind(-1)
        there = weighted.sum(-1)
        crossed = (weighted.flatten(2) @ self.with_colour).unbind(-1)
        differ = there - here
        pull_x = crossed[0] - x_here - (differ * x).sum(-1)
        pull_y = crossed[1] - y_here - (differ * y).sum(-1)
        both = crossed[2] - (here * there).sum(-1)
        own = own - here.square().sum(-1)
        squares = (weighted.flatten(2) * shown.colour.flatten(2)).sum(-1)
        other = squares - there.square().sum(-1)
        like = both / (own * other).clamp_min(1e-12).sqrt()
        left = (own + other - 2 * both).clamp_min(0)
        good = torch.sigmoid((like - _LEAST_LIKENESS) / _LIKENESS_SPREAD) / (1 + left / LIKE**2)
        good = good * (whole[..., 0] > _LEAST_SHOWN * self.weight.sum()) * (own > _LEAST_CONTRAST)

        def by_frame(value: Tensor) -> Float[Tensor, "f a n"]:
            return value.mT.unflatten(1, (self.other.shape[1], -1))

        good = by_frame(good) * self.other[..., None]
        gradients, pull = _as_seen(
            shown.affine, [by_frame(one) for one in (xx, yy, xy, pull_x, pull_y)]
        )
        error = -_flow_step(gradients, pull).double() / self.side
        worth = good * (self.side / _NOISE) ** 2 * _INDEPENDENT / good.shape[-1]
        root = _root_of(gradients).double() * worth.double().sqrt()[..., None, None]
        far = (root @ error[..., None]).square().sum((-2, -1))
        limit = _OFF_LIMIT**2 * _INDEPENDENT / good.shape[-1]
        root = root * (1 + far / limit).rsqrt()[..., None, None]
        share = good.sum() / (self.other.sum() * good.shape[-1])
        return linearised(scene, self.patches.place.double(), error, root), share


def _as_seen(
    affine: Float[Tensor, "f a n 2 2"], products: list[Float[Tensor, "f a n"]]
) -> tuple[Float[Tensor, "f a n 2 2"], Float[Tensor, "f a n 2"]]:
    """Turn the anchors' slopes into those of the frames, where patches are seen turned.

    Returns:
        Mean products of slopes, and of slopes and differences.
    """
    (a, b), (c, d) = (row.unbind(-1) for row in affine.unbind(-2))
    area = a * d - b * c
    area = torch.where(area.abs() < _FLATTEST, torch.full_like(area, _FLATTEST), area)
    back = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    back = (back / area[..., None, None]).clamp(-_STRETCH_LIMIT, _STRETCH_LIMIT)
    xx, yy, xy, x, y = products
    gradients = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
    pull = torch.stack([x, y], -1)[..., None]
    return back.mT @ gradients @ back, (back.mT @ pull)[..., 0]


def _flow_step(gradients: Tensor, pull: Tensor) -> Float[Tensor, "f a n 2"]:
    """Return how far patches want to move, in pixels: the step of Lucas and Kanade."""
    xx, yy = gradients[..., 0, 0] + _DAMPING, gradients[..., 1, 1] + _DAMPING
    xy, (x, y) = gradients[..., 0, 1], pull.unbind(-1)
    step = -torch.stack([yy * x - xy * y, xx * y - xy * x], -1) / (xx * yy - xy**2)[..., None]
    return step * (_STEP_LIMIT / step.norm(dim=-1, keepdim=True).clamp_min(_STEP_LIMIT))


def _root_of(gradients: Tensor) -> Float[Tensor, "f a n 2 2"]:
    """Return S with S^T S the gradients' products."""
    first = (gradients[..., 0, 0] + 1e-9).sqrt()
    cross = gradients[..., 0, 1] / first
    second = (gradients[..., 1, 1] - cross**2).clamp_min(1e-12).sqrt()
    rows = [torch.stack([first, cross], -1), torch.stack([torch.zeros_like(second), second], -1)]
    return torch.stack(rows, -2)
