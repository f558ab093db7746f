"""What helps the transformer learn and is dropped at export: a motion head and a pose readout.

The rays of a clip are a handful of numbers; the network has to find correspondences before it can
read them. The motion head asks for these at every video token, from a middle block: how far what it
shows has moved since the frames before, and how far away it is (known from depth and cameras). The
readout turns errors of ray latents into errors of cameras, so that small motions count too.
"""

import itertools
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.rays import pixel_grid_px
from rays_as_pixels.geometry.rotations import vector_from_rotation
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE
from rays_as_pixels.model.joint_state import JointState, JointVelocity
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.objective import CleanBatch

Readouts = dict[tuple[int, int], Tensor]
_MOTION_LIMIT = 3.0  # cells; a larger motion counts as this one
_RIDGE = 1e-3


def motion_channels(stride: int) -> int:
    """Return the channels of `cell_motion` for latents of so many frames."""
    return 2 * stride + 3


def cell_motion(
    cameras: Cameras,
    disparity: Float[Tensor, "batch frames h w"],
    stride: int = TEMPORAL_STRIDE,
) -> Float[Tensor, "batch channels t h w"]:
    """Return what the motion head is to predict for every latent cell.

    Channels of latent j > 0, seen at the centre of a cell in its last frame, 4j for stride 4:
    (x, y) in frames 4j-1, 4j-2, 4j-3, 4j-4 and 0 minus that in 4j, in cells; then 1 / depth.
    Latent 0 has no motion.

    Args:
        cameras: (B, F) in scene units.
        disparity: 1 / depth at the cells' centres.
        stride: Video frames per latent frame, after the first.
    """
    frames = disparity.shape[1]
    height, width = disparity.shape[-2:]
    grid = pixel_grid_px(height, width, dtype=disparity.dtype, device=disparity.device)
    cell = grid.flatten(0, 1)
    focal = cameras.focal_px / SPATIAL_STRIDE
    center = cameras.center_px / SPATIAL_STRIDE
    result = [nn.functional.pad(disparity[:, :1], (0, 0, 0, 0, motion_channels(stride) - 1, 0))]
    for last in range(stride, frames, stride):
        depth = 1 / disparity[:, last].flatten(1).clamp_min(1e-3)
        plane = (cell - center[:, last, None]) / focal[:, last, None]
        point = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) * depth[..., None]
        parts = []
        for other in (*range(last - 1, last - stride - 1, -1), 0):
            other_from_last = (
                invert_rigid(cameras.world_from_cam[:, other]) @ cameras.world_from_cam[:, last]
            )
            there = point @ other_from_last[:, :3, :3].mT + other_from_last[:, None, :3, 3]
            seen = there[..., :2] / there[..., 2:].clamp_min(0.05)
            moved = seen * focal[:, other, None] + center[:, other, None] - cell
            parts.append(moved.clamp(-_MOTION_LIMIT, _MOTION_LIMIT))
        channels = torch.cat([*parts, disparity[:, last].flatten(1)[..., None]], -1)
        result.append(channels.mT.unflatten(2, (height, width)))
    return torch.stack(result, dim=2)


class WithMotionHead(nn.Module):
    """The transformer, and linear heads on a middle block's video tokens and on motion features.

    Args:
        transformer: What is trained and kept.
    """

    def __init__(self, transformer: RaysAsPixelsTransformer3DModel) -> None:
        super().__init__()
        self.transformer = transformer
        video, width = transformer.sizes.video, transformer.sizes.blocks.width
        self.channels = motion_channels(video.temporal_stride)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.channels * video.patch_size[1] ** 2)
        self._early: list[Tensor] = []
        if transformer.motion_features is not None:
            features = transformer.motion_features.config.width
            self.early_head = nn.Conv3d(features, self.channels, 1)
            transformer.motion_features.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._early.append(output)

    def forward(self, state: JointState) -> tuple[JointVelocity, list[Tensor]]:
        """Return the velocity, and each head's prediction of the clip's motion.

        The motions are (B, channels, T, h, w) like `cell_motion`: the middle block's, then that of
        the motion features where the transformer has them.
        """
        self._early.clear()
        velocity = self.transformer(state, return_features=True)
        batch, _, latents, height, width = state.latents.shape
        patch = self.transformer.sizes.video.patch_size[1]
        grid = (height // patch, width // patch)
        video = velocity.features[len(velocity.features) // 2][:, -latents * grid[0] * grid[1] :]
        motion = self.head(self.norm(video)).unflatten(1, (latents, *grid))
        motion = motion.unflatten(-1, (-1, patch, patch)).permute(0, 4, 1, 2, 5, 3, 6)
        motions = [motion.reshape(batch, self.channels, latents, height, width)]
        motions += [self.early_head(features) for features in self._early]
        self._early.clear()
        return velocity, motions


def motion_head_loss(
    motion: Float[Tensor, "batch channels t h w"],
    truth: Float[Tensor, "batch channels t h w"],
    sigma: Float[Tensor, "batch t"],
) -> Float[Tensor, ""]:
    """Mean absolute error over cells, fading out where the video is noise; 0.1 cells count 1.

    Cells whose truth is not known are nan and count nothing.
    """
    weight = (1 - sigma).clamp_min(0)[:, None, :, None, None]
    known = truth.isfinite()
    error = (motion.float() - truth.where(known, motion.float())).abs() * weight
    first = min(1, error.shape[2] - 1)  # the first latent shows one frame, so no motion
    count = known.expand_as(error)[:, :, first:].sum().clamp_min(1)
    return 10 * error[:, :, first:].sum() / count


def pose_params(cameras: Cameras) -> Float[Tensor, "*batch 8"]:
    """Return rotation vector (radians), centre (scene units) and log focal lengths per width."""
    pose = cameras.world_from_cam
    return torch.cat(
        [
            vector_from_rotation(pose[..., :3, :3]),
            pose[..., :3, 3],
            torch.log(cameras.focal_px / cameras.width),
        ],
        dim=-1,
    )


def fit_readout(
    ray_latents: Float[Tensor, "n c frames h w"], pose: Float[Tensor, "n frames 8"]
) -> Float[Tensor, "c h w 8"]:
    """Fit the linear map from a frame's ray latents to its pose numbers, by ridge regression."""
    rows = ray_latents.transpose(1, 2).flatten(0, 1)
    shape = rows.shape[1:]
    x = rows.flatten(1).double()
    y = pose.flatten(0, 1).double()
    x, y = x - x.mean(0), y - y.mean(0)
    gram = x.mT @ x / len(x)
    ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram + ridge, x.mT @ y / len(x)).float().unflatten(0, shape)


def fit_readouts(batches: Iterator[CleanBatch], log: Callable[[str], None]) -> Readouts:
    """Fit a readout per ray raster from as many batches as it takes (at most 600).

    Returns:
        (h, w) of the raster -> (C, h, w, 8).
    """
    rows: dict[tuple[int, int], list[CleanBatch]] = {}
    needed: dict[tuple[int, int], int] = {}
    for number, batch in enumerate(itertools.islice(batches, 600)):
        rays = batch.ray_latents
        raster = (rays.shape[-2], rays.shape[-1])
        needed.setdefault(raster, 8 * rays[0, :, 0].numel())
        if needed[raster] > 0:
            rows.setdefault(raster, []).append(batch)
            needed[raster] -= rays.shape[0] * rays.shape[2]
        if number >= 20 and max(needed.values()) <= 0:
            break
    readouts = {}
    for raster, parts in rows.items():
        # Frame by frame, since clips may differ in length.
        rays = torch.cat([part.ray_latents.cpu().transpose(1, 2).flatten(0, 1) for part in parts])
        pose = torch.cat([part.pose.cpu().flatten(0, 1) for part in parts])
        rays, pose = rays[:, :, None], pose[:, None]
        readout = fit_readout(rays, pose)
        off = torch.einsum("bcfhw,chwk->bfk", rays, readout) - pose
        off = torch.rad2deg((off - off.flatten(0, 1).mean(0))[..., :3].norm(dim=-1).median())
        log(f"readout {raster}: {float(off):.3f} deg median on what it was fitted to")
        readouts[raster] = readout.to(parts[0].ray_latents.device)
    return readouts


def readout_loss(
    error: Float[Tensor, "batch c frames h w"],
    readout: Float[Tensor, "c h w 8"],
    sigma: Float[Tensor, "batch frames"],
) -> tuple[Float[Tensor, ""], float]:
    """Return the mean absolute camera error that an error of clean ray latents stands for.

    Frame 0's error is subtracted first, as reading cameras back does (paper, Eq. 6).

    Returns:
        The loss (6 degrees of rotation or 0.1 scene units count about 1) and the mean rotation
        error in degrees over rays at noise level 1 (nan where there are none).
    """
    numbers = torch.einsum("bcfhw,chwk->bfk", error.float(), readout)
    motion = numbers[:, 1:, :6] - numbers[:, :1, :6]
    counts = (sigma[:, 1:] > 0.1).float()[..., None]
    loss = (motion[..., :3].abs() * counts).mean() * 10
    loss = loss + (motion[..., 3:].abs() * counts).mean() * 10
    loss = loss + 0.5 * (numbers[..., 6:].abs() * (sigma > 0.1).float()[..., None]).mean()
    pure = sigma[:, 1:] >= 1
    angle = torch.rad2deg(motion[..., :3].detach().norm(dim=-1))[pure]
    return loss, float(angle.mean()) if bool(pure.any()) else float("nan")
