"""Train the camera prior to read cameras from the motion of frames, before the network.

Every round's guess, before and after bundle adjustment, is compared with the truth: rotations and
focal lengths by themselves, positions also relative to the path's extent, and depths of frame 0.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.camera_params import camera_params_from_pose_params
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior, RoundOutput
from rays_as_pixels.model.camera_prior.global_motion import cell_centers
from rays_as_pixels.solve.bundle import BundleState
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.stage_loop import StageLoop

_STATE = "camera-prior"
LEARNING_RATE = 2e-3  # from scratch
_WEIGHT_DECAY = 0.02
_FOCAL_WEIGHT = 0.5
_DEPTH_WEIGHT = 0.2
_PATH_WEIGHT = 0.3
_GUESS_WEIGHT = 0.3
_TRACK_WEIGHT = 0.3
_TRACK_SCALE = 0.02  # normalised by sqrt(H W); a track that far off counts one
_SMOOTH = 0.03  # deviations; larger errors count in proportion, smaller ones as squares
_SHORTEST_PATH = 0.02  # scene units
_LIMIT = 5.0  # deviations of an error; beyond it the gradient fades


def train_camera_prior(
    prior: CameraPrior,
    batches: Iterator[CleanBatch],
    minutes: float,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    learning_rate: float = LEARNING_RATE,
) -> int:
    """Train for `minutes`, writing to `folder`; continues from what is there.

    Args:
        prior: Fitted by `fit_pictures` and `fit_camera_prior` of `fit_motion`.
        batches: Clips.
        minutes: Of training.
        folder: Of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.
        learning_rate: Peak rate of AdamW.

    Returns:
        Steps taken, over all runs.
    """
    learned = [p for name, p in prior.named_parameters() if not name.startswith("code.")]
    optimiser = torch.optim.AdamW(
        learned, lr=learning_rate, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY
    )
    loop = StageLoop(
        _STATE,
        prior,
        optimiser,
        folder,
        minutes=minutes,
        accelerator=accelerator,
        log=log,
    )
    for done in loop.steps():
        clean = next(batches)
        with accelerator.autocast():
            rounds = prior.run_rounds(prior.motion(clean.latents), clean.latents[:, :, 0])
        loss, degrees = camera_prior_loss(rounds, clean, prior.std)
        rate = min(1.0, (loop.step + 1) / 100) * max(0.01, min(1.0, (1 - done) / 0.6))
        loop.descend(loss, learning_rate=learning_rate * rate)
        loop.report = f"camera {float(loss.detach()):.4f} deg {float(degrees):.3f}"
    return loop.step


def camera_prior_loss(
    rounds: list[RoundOutput], clean: CleanBatch, std: Float[Tensor, "8"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the error of all rounds, and the mean rotation error of the last in degrees."""
    height, width = clean.latents.shape[-2:]
    truth = camera_params_from_pose_params(clean.pose, height, width)
    log_depth = -clean.motion[:, -1, 0].flatten(1).clamp_min(1e-3).log()
    log_depth = log_depth - log_depth.nanmedian(1, keepdim=True).values
    centers = cell_centers(height, width).to(truth.device)
    tracks = true_tracks(truth, -clean.motion[:, -1, 0].flatten(1).clamp_min(1e-3).log(), centers)
    limit = truth.new_tensor([width, height]) / (2 * (height * width) ** 0.5)
    in_view = ((tracks.abs() < limit).all(-1) & tracks.isfinite().all(-1))[..., None]
    total = degrees = truth.new_zeros(())
    for one in rounds:
        off = torch.where(in_view, one.seen - tracks.nan_to_num(), 0.0) / _TRACK_SCALE
        total = total + _TRACK_WEIGHT * _robust(off)
        total = total + _GUESS_WEIGHT * _scene_loss(one.guess, truth, log_depth, std)[0]
        loss, degrees = _scene_loss(one.scene, truth, log_depth, std)
        total = total + loss
    return total / len(rounds), degrees


def true_tracks(
    truth: Float[Tensor, "batch t 8"],
    log_depth: Float[Tensor, "batch cells"],
    centers: Float[Tensor, "cells 2"],
) -> Float[Tensor, "batch f cells 2"]:
    """Return where each frame sees the points of frame 0's cells, if no object moves."""
    log_focal = truth[:, 0, 6:]
    ratio = (truth[..., 6:] - log_focal[:, None]).mean(-1)
    turn = rotation_from_vector(truth[..., :3])
    host = torch.zeros(1, dtype=torch.int64, device=truth.device)
    state = BundleState(turn, truth[..., 3:6], ratio, log_focal, host, log_depth[:, None])
    return state.project(centers).image[:, 1:, 0]


def _scene_loss(
    scene: BundleState,
    truth: Float[Tensor, "batch t 8"],
    log_depth: Float[Tensor, "batch cells"],
    std: Float[Tensor, "8"],
) -> tuple[Tensor, Tensor]:
    turn = _turn(rotation_from_vector(truth[:, 1:, :3]).mT @ scene.world_from_cam[:, 1:])
    center = truth[:, 1:, 3:6]
    moved = scene.center[:, 1:] - center
    length = center.norm(dim=-1).amax(1).clamp_min(_SHORTEST_PATH)[:, None, None]
    focal = torch.cat(
        [
            (scene.log_focal - truth[:, 0, 6:])[:, None],
            (scene.log_focal[:, None] + scene.log_focal_ratio[..., None] - truth[..., 6:])[:, 1:],
        ],
        1,
    )
    deep = (scene.log_depth[:, 0] - log_depth).nan_to_num()
    terms = (
        (1.0, turn / std[:3]),
        (1.0, moved / std[3:6]),
        (_PATH_WEIGHT, 2 * moved / length),
        (_FOCAL_WEIGHT, focal / std[6:]),
        (_DEPTH_WEIGHT, 2 * deep),
    )
    loss = torch.stack([share * _robust(error) for share, error in terms]).sum()
    return loss, torch.rad2deg(2 * (turn.detach().norm(dim=-1) / 2).clamp_max(1).asin()).mean()


def _turn(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return axis times 2 sin(angle / 2): smooth, about the angle, and longest for a half turn."""
    odd = (rotation - rotation.mT) / 2
    axis = torch.stack([odd[..., 2, 1], odd[..., 0, 2], odd[..., 1, 0]], -1)
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    half_cosine = ((trace + 1) / 4).clamp_min(1e-3).sqrt()
    return axis / half_cosine


def _robust(error: Tensor) -> Tensor:
    error = _LIMIT * torch.tanh(error / _LIMIT)
    return nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=_SMOOTH)
