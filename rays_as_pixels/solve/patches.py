"""Patches of host frames, and how well other frames match them where a bundle state projects them.

Not in the paper. The residuals of photometric bundle adjustment (Alismail et al. 2016, 1608.02026).
A patch is so small that another frame shows an affine image of it (Shi and Tomasi 1994); all its
pixels share one depth, as in DSO (Engel et al. 2018). Sums over a patch's pixels are products of
matrices, several times faster than pixel by pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.least_squares import cauchy_weight
from rays_as_pixels.geometry.rays import pixel_grid_px
from rays_as_pixels.solve.bundle import BundleState, Residuals, linearise

_NUM_PATCHES = 120  # of a frame, about; one in the middle of each cell of a grid
_LEVEL_SIDES_PX = (31.0, 62.0, 124.0, 248.0)  # sqrt(H W) of the pyramid's levels
_GRADIENT_DAMPING = 1e-4  # squared gradient per pixel, of pictures in [0, 1]
_MAX_FLOW_PX = 1.5  # that a patch moves at a time
_MIN_VISIBLE = 0.6  # share of a patch inside the frame, to count at all
_MIN_CORRELATION, _CORRELATION_WIDTH = 0.6, 0.08  # at which a patch counts half; of the logistic
_MIN_VARIANCE = 1e-5  # of a patch, of pictures in [0, 1]; less has no texture to match
DISSIMILAR_RMS = 0.05  # root mean square difference at which a patch counts half
_PIXEL_NOISE = 0.05  # standard deviation of a patch's pixels
_EFFECTIVE_PATCHES = 400.0  # neighbours err alike; a pair of frames counts as so many independent
_CAUCHY_SIGMAS = 4.5  # standard deviations; a patch that is so far off counts half
_MIN_AREA_RATIO = 0.05  # of a patch's image over its own
_MAX_STRETCH = 4.0


@dataclass(frozen=True)
class PatchGrid:
    """Middles of a grid of cells over a frame, normalised by sqrt(H W).

    Attributes:
        centers: (x, y) from the image's centre.
        grid: (rows, columns).
        half_size: Half the image's (width, height).
    """

    centers: Float[Tensor, "n 2"]
    grid: tuple[int, int]
    half_size: Float[Tensor, "2"]

    @classmethod
    def over(cls, frames: Float[Tensor, "f 3 height width"]) -> "PatchGrid":
        """Lay a grid over frames."""
        aspect = frames.shape[-1] / frames.shape[-2]
        columns = max(2, round((_NUM_PATCHES * aspect) ** 0.5))
        rows = max(2, round((_NUM_PATCHES / aspect) ** 0.5))
        half = frames.new_tensor([aspect**0.5, aspect**-0.5]) / 2
        grid = pixel_grid_px(rows, columns, dtype=torch.float32, device=frames.device)
        place = 2 * grid / grid.new_tensor([columns, rows]) - 1
        return cls(place.flatten(0, 1) * half, (rows, columns), half)


def pyramid(frames: Tensor) -> Iterator[Tensor]:
    """Yield the frames smaller, coarsest first, up to their own size."""
    own = (frames.shape[-2] * frames.shape[-1]) ** 0.5
    for side in _LEVEL_SIDES_PX:
        if side > 1.1 * own:
            return
        scale = min(1.0, side / own)
        size = tuple(max(4, round(n * scale)) for n in frames.shape[-2:])
        yield frames if scale == 1.0 else torch.nn.functional.interpolate(frames, size, mode="area")


@dataclass(frozen=True)
class WarpedPatches:
    """What frames show at the pixels that a bundle state projects patches to.

    Attributes:
        colour: At each of a patch's K pixels.
        weight: Of each pixel, 0 where it is outside the frame.
        frame_from_patch: Affine maps of a patch's pixels to a frame's.
    """

    colour: Float[Tensor, "an f 3 k"]
    weight: Float[Tensor, "an f k"]
    frame_from_patch: Float[Tensor, "f a n 2 2"]


class PatchLevel:
    """Pictures of one pyramid level, and the patches cut from its host frames.

    Args:
        pictures: Of all frames, in [0, 1].
        patches: Where patches are cut.
        host_frames: (A,) frames that patches are cut from.
        half_window: Pixels from a patch's middle to its sides.
    """

    def __init__(
        self,
        pictures: Float[Tensor, "f 3 h w"],
        patches: PatchGrid,
        host_frames: Tensor,
        half_window: int,
    ) -> None:
        self.pictures, self.patches = pictures, patches
        self.side_px = (pictures.shape[-2] * pictures.shape[-1]) ** 0.5
        hosts = pictures[host_frames]
        steps = torch.arange(
            -half_window, half_window + 1, device=hosts.device, dtype=torch.float32
        )
        window_px = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
        self.window = window_px / self.side_px
        # The image of a patch's pixel is affine in it: (2, 3) matrices times this.
        self.homogeneous = torch.nn.functional.pad(self.window, (0, 1), value=1.0).mT.contiguous()
        self.weight = torch.exp(-window_px.square().sum(-1) / (2 * (0.6 * half_window + 0.5) ** 2))
        pixels = patches.centers[:, None] + self.window
        self.inside = (pixels.abs() < patches.half_size).all(-1).repeat(len(hosts), 1)[:, None]
        self._cut(hosts, (pixels / patches.half_size).expand(len(hosts), -1, -1, -1))
        frames = torch.arange(len(pictures), device=hosts.device)
        self.other = frames[:, None] != host_frames  # F A; a patch is not matched with itself

    def _cut(self, hosts: Float[Tensor, "a 3 h w"], at: Float[Tensor, "a n k 2"]) -> None:
        """Read colours and gradients of the patches, and what sums over their pixels need.

        The gradients are the hosts', as in the inverse compositional algorithm (Baker and Matthews
        2004, section 3.2), so that they and their products are taken once and not at every step.
        """
        padded = torch.nn.functional.pad(hosts, (1, 1, 1, 1), "replicate")
        across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
        down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
        read = _read(torch.cat([hosts, across, down], 1), at)
        self.template, x, y = read.movedim(1, 2).flatten(0, 1).split(3, dim=1)  # A * N, 3, K
        pairs = ((x, x), (y, y), (x, y), (self.template, self.template))
        pairs = (*pairs, (x, self.template), (y, self.template))
        products = [(one * two).sum(1, keepdim=True) for one, two in pairs]
        # (A * N, K, 15) is summed over a patch's pixels alone, (A * N, 3 K, 3) with frames' colours
        self.sums_alone = torch.cat([self.template, x, y, *products], 1).mT.contiguous()
        self.sums_with_colour = torch.stack([one.flatten(1) for one in (x, y, self.template)], -1)

    def warp(self, state: BundleState) -> WarpedPatches:
        """Read the frames where a state projects the patches to."""
        center = self.patches.centers.double()
        reach = float(self.window.amax()) * torch.eye(2).to(center)
        corners = torch.cat([center, center + reach[0], center + reach[1]])
        seen = state.project(corners, log_depth=state.log_depth.repeat(1, 3))
        middle, right, below = seen.image.chunk(3, 2)
        affine = torch.stack([right - middle, below - middle], -1) / reach[0, 0]
        in_front = seen.in_front[:, :, : len(center)].flatten(1)  # F, A * N
        affine, middle = affine.float(), middle.float()
        lines = torch.cat([affine, middle[..., None]], -1).flatten(1, 2)  # F, A * N, 2, 3
        at = (lines / self.patches.half_size[:, None]) @ self.homogeneous  # sides at -1 and 1
        visible = (at.abs().amax(-2) < 1) & in_front[..., None]  # F, A * N, K
        colour = _read(self.pictures, at.mT.contiguous()).permute(2, 0, 1, 3).contiguous()
        return WarpedPatches(colour, self.weight * (visible.transpose(0, 1) & self.inside), affine)

    def residuals(self, state: BundleState) -> tuple[Residuals, Tensor]:
        """Compare the patches with the frames.

        Each patch gives a step of Lucas and Kanade, how far it is from where it fits best, which
        weighs as much as its structure tensor G says: sigma^2 G^-1 is the step's covariance. So
        thousands of pixels become two residuals with a 2 x 2 information matrix per patch.

        Returns:
            Projection errors with their Jacobians, and the inlier ratio: the share of patches, over
            pairs of frames, that look alike.
        """
        warped = self.warp(state)
        moments, visible = self._moments(warped)

        def by_frame(value: Float[Tensor, "an f"]) -> Float[Tensor, "f a n"]:
            return value.mT.unflatten(1, (self.other.shape[1], -1))

        alike = by_frame(moments.similarity() * (visible > _MIN_VISIBLE * self.weight.sum()))
        alike = alike * self.other[..., None]
        tensor, slope = _in_frame_pixels(
            warped.frame_from_patch,
            torch.stack([by_frame(one) for one in moments.structure], -1),
            torch.stack([by_frame(one) for one in moments.slope], -1),
        )
        error = -_lucas_kanade_step(tensor, slope).double() / self.side_px
        count = alike.shape[-1]
        information = alike * (self.side_px / _PIXEL_NOISE) ** 2 * _EFFECTIVE_PATCHES / count
        root = _cholesky(tensor).double() * information.double().sqrt()[..., None, None]
        squared = (root @ error[..., None]).square().sum((-2, -1))
        robust = cauchy_weight(squared, _CAUCHY_SIGMAS**2 * _EFFECTIVE_PATCHES / count)
        root = root * robust.sqrt()[..., None, None]
        inlier_ratio = alike.sum() / (self.other.sum() * count)
        seen = state.project(self.patches.centers.double())
        return linearise(state, seen, error, root.mT @ root), inlier_ratio

    def _moments(self, warped: WarpedPatches) -> tuple["_Moments", Float[Tensor, "an f"]]:
        """Sum over the pixels of each patch, in each frame; and what of their weight is visible."""
        visible = warped.weight.sum(-1, keepdim=True)
        weight = warped.weight / visible.clamp_min(1e-6)
        weighted = weight[:, :, None] * warped.colour  # A * N, F, 3, K
        alone = weight @ self.sums_alone
        host, x, y = alone[..., :9].split(3, -1)  # means of each colour
        xx, yy, xy, host_square, x_host, y_host = alone[..., 9:].unbind(-1)
        frame = weighted.sum(-1)
        x_frame, y_frame, both = (weighted.flatten(2) @ self.sums_with_colour).unbind(-1)
        frame_square = (weighted.flatten(2) * warped.colour.flatten(2)).sum(-1)
        differ = frame - host
        moments = _Moments(
            structure=(xx, xy, yy),
            slope=(
                x_frame - x_host - (differ * x).sum(-1),
                y_frame - y_host - (differ * y).sum(-1),
            ),
            host_variance=host_square - host.square().sum(-1),
            frame_variance=frame_square - frame.square().sum(-1),
            covariance=both - (host * frame).sum(-1),
        )
        return moments, visible[..., 0]


@dataclass(frozen=True)
class _Moments:
    """Weighted means over a patch's pixels and sums over its colours, for each frame.

    Attributes:
        structure: Of products of gradients: xx, xy, yy of the structure tensor.
        slope: Of gradients times what the frame differs, each colour's mean difference taken off:
            a change of brightness is no motion.
        host_variance: Of the patch.
        frame_variance: Of what the frame shows.
        covariance: Of both.
    """

    structure: tuple[Tensor, Tensor, Tensor]
    slope: tuple[Tensor, Tensor]
    host_variance: Float[Tensor, "an f"]
    frame_variance: Float[Tensor, "an f"]
    covariance: Float[Tensor, "an f"]

    def similarity(self) -> Float[Tensor, "an f"]:
        """Return 0 to 1 by normalised cross-correlation and by what is left of the difference."""
        variances = (self.host_variance * self.frame_variance).clamp_min(1e-12)
        correlation = self.covariance / variances.sqrt()
        left = (self.host_variance + self.frame_variance - 2 * self.covariance).clamp_min(0)
        alike = torch.sigmoid((correlation - _MIN_CORRELATION) / _CORRELATION_WIDTH)
        textured = self.host_variance > _MIN_VARIANCE
        return alike / (1 + left / DISSIMILAR_RMS**2) * textured


def _read(
    pictures: Float[Tensor, "f c h w"], at: Float[Tensor, "f m k 2"]
) -> Float[Tensor, "f c m k"]:
    return torch.nn.functional.grid_sample(pictures, at, padding_mode="border", align_corners=False)


def _in_frame_pixels(
    frame_from_patch: Float[Tensor, "f a n 2 2"],
    structure: Float[Tensor, "f a n 3"],
    slope: Float[Tensor, "f a n 2"],
) -> tuple[Float[Tensor, "f a n 2 2"], Float[Tensor, "f a n 2"]]:
    """Turn the hosts' structure tensors G and slopes b into those of the frames' pixels.

    With A = frame_from_patch gradients become A^-T g, and so G becomes A^-T G A^-1, b A^-T b.
    """
    (a, b), (c, d) = (row.unbind(-1) for row in frame_from_patch.unbind(-2))
    area = a * d - b * c
    area = torch.where(area.abs() < _MIN_AREA_RATIO, torch.full_like(area, _MIN_AREA_RATIO), area)
    inverse = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    inverse = (inverse / area[..., None, None]).clamp(-_MAX_STRETCH, _MAX_STRETCH)
    tensor = structure[..., [0, 1, 1, 2]].unflatten(-1, (2, 2))
    return inverse.mT @ tensor @ inverse, (inverse.mT @ slope[..., None])[..., 0]


def _lucas_kanade_step(
    tensor: Float[Tensor, "f a n 2 2"], slope: Float[Tensor, "f a n 2"]
) -> Float[Tensor, "f a n 2"]:
    """Return how far patches are from where they fit, in pixels: -(G + damping I)^-1 b."""
    xx, yy = tensor[..., 0, 0] + _GRADIENT_DAMPING, tensor[..., 1, 1] + _GRADIENT_DAMPING
    xy, (x, y) = tensor[..., 0, 1], slope.unbind(-1)
    step = -torch.stack([yy * x - xy * y, xx * y - xy * x], -1) / (xx * yy - xy**2)[..., None]
    return step * (_MAX_FLOW_PX / step.norm(dim=-1, keepdim=True).clamp_min(_MAX_FLOW_PX))


def _cholesky(tensor: Float[Tensor, "f a n 2 2"]) -> Float[Tensor, "f a n 2 2"]:
    """Return upper triangular S with S^T S the structure tensor, which may be singular."""
    first = (tensor[..., 0, 0] + 1e-9).sqrt()
    cross = tensor[..., 0, 1] / first
    second = (tensor[..., 1, 1] - cross**2).clamp_min(1e-12).sqrt()
    rows = [torch.stack([first, cross], -1), torch.stack([torch.zeros_like(second), second], -1)]
    return torch.stack(rows, -2)
