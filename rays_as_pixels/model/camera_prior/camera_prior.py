"""A first estimate of the clip's cameras from the motion of its frames, where the video is clean.

Not in the paper. A small network reads tracks of frame 0's cells (`global_motion`) and how well
they match (`track_matching`), corrects them, guesses cameras and depths, and predicts how much
weight tracks and guesses deserve; bundle adjustment of few points (`track_bundle_adjustment`)
finds the cameras and depths that explain both. Then again, with the residuals of the last round as
input, as in DROID-SLAM (Teed and Deng 2021, 2108.10869). Raxels of the cameras, encoded by a linear
map, are the rays.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.camera_params import (
    NUM_CAMERA_PARAMS,
    RAXELS_PER_LATENT,
    camera_params_from_scene,
    raxels_from_camera_params,
)
from rays_as_pixels.model.camera_prior.global_motion import (
    MOMENTS,
    TRACK_MAPS,
    ClipMotion,
    GlobalMotion,
)
from rays_as_pixels.model.camera_prior.track_matching import TrackMatching, matches_around
from rays_as_pixels.model.cell_layers import TokenAttention
from rays_as_pixels.model.config import CameraPriorConfig
from rays_as_pixels.solve.bundle import FRAME_PARAMS, BundleState, BundleStep, PriorPrecision
from rays_as_pixels.solve.track_bundle_adjustment import TRACK_UNIT, Tracks, bundle_adjust

_INPUT_LIMIT = 6.0  # standard deviations
_CORRECTION = 0.02  # normalised by sqrt(H W); the size of a round's change of a track
_TRACK_LIMIT = 2.0  # normalised by sqrt(H W), of where a track is expected
_ERROR_LIMIT = 20.0  # TRACK_UNITs
_LOG_DEPTH_STD = 0.5
_LOG_FOCAL_RATIO_STD = 0.1
_LOG_DEPTH_LIMIT = 3.0
_LOG_FOCAL_LIMIT = 2.5
_LOG_PRECISION_LIMIT = 8.0
_MAX_TRACK_WEIGHT = 20.0
# Residual motion (x, y), log gradients (x, y), log mismatch, inside, weight: about 1 in size.
_MAP_SCALES = (20.0, 20.0, 0.3, 0.3, 0.3, 1.0, 0.3)


@dataclass(frozen=True)
class RoundOutput:
    """What a round gives: its guess, the scene after bundle adjustment, and corrected tracks."""

    guess: BundleState
    scene: BundleState
    seen: Float[Tensor, "batch f cells 2"]


class CameraPriorOutput(NamedTuple):
    """What the prior predicts for a clip.

    Attributes:
        rays: (B, C, T, hr, wr) ray latents of the cameras.
        log_depth: (B, h, w) logarithm of the depths of frame 0's cells, in scene units; None for a
            single frame.
    """

    rays: Float[Tensor, "batch c t hr wr"]
    log_depth: Float[Tensor, "batch h w"] | None


class CameraPrior(nn.Module):
    """Estimate every frame's camera and encode its raxels as ray latents.

    Args:
        channels: Of video latents, one per video frame.
        ray_channels: Of ray latents.
        config: Sizes.
    """

    mean: Tensor
    std: Tensor
    moment_mean: Tensor
    moment_std: Tensor

    def __init__(self, channels: int, ray_channels: int, config: CameraPriorConfig) -> None:
        super().__init__()
        self.motion = GlobalMotion(channels)
        self.frame = nn.Linear(MOMENTS + 2, config.width)
        self.cell = nn.Linear(channels + 3, config.width)
        self.track = nn.Linear(2 + TRACK_MAPS, config.width)
        self.matching = TrackMatching(config)
        self.rounds = nn.ModuleList(
            [_Round(config, first=number == 0) for number in range(config.rounds)]
        )
        self.code = nn.Conv2d(3, ray_channels, RAXELS_PER_LATENT, stride=RAXELS_PER_LATENT)
        self.register_buffer("mean", torch.zeros(NUM_CAMERA_PARAMS))
        self.register_buffer("std", torch.ones(NUM_CAMERA_PARAMS))
        self.register_buffer("moment_mean", torch.zeros(MOMENTS))
        self.register_buffer("moment_std", torch.ones(MOMENTS))

    def initialise_from_scratch(self) -> None:
        """Guess cameras at rest with the mean focal length, and depths of 1; rely on tracks."""
        for one in self.rounds:
            assert isinstance(one, _Round)
            one.initialise_from_scratch()

    def run_rounds(
        self, motion: ClipMotion, first: Float[Tensor, "batch c h w"]
    ) -> list[RoundOutput]:
        """Return the output of each round for a clip of two frames or more.

        Args:
            motion: Of the clip.
            first: Latents of frame 0.
        """
        hidden = self._embedded(motion, first)
        scene, tracks = self._at_rest(motion), motion.seen
        std, volumes = self._frame_and_focal_std(), self.matching(motion.pictures)
        result = []
        for one in self.rounds:
            assert isinstance(one, _Round)
            evidence = _Evidence(motion, volumes, tracks)
            hidden, guess, precision, corrected = one(hidden, scene, evidence, std)
            tracks = corrected.seen
            with _float32(hidden):
                scene = bundle_adjust(guess, precision, corrected).in_scene_units()
            result.append(RoundOutput(guess, scene, tracks))
        return result

    def _at_rest(self, motion: ClipMotion) -> BundleState:
        """Return cameras that stand still, with the mean focal length, and depths of 1."""
        batch, frames, count = motion.maps.shape[:3]
        zero = motion.seen.new_zeros(batch, frames + 1, 3)
        return BundleState(
            rotation_from_vector(zero),
            zero,
            zero[..., 0],
            self.mean[6:].float().expand(batch, 2),
            torch.zeros(1, dtype=torch.int64, device=zero.device),
            zero.new_zeros(batch, 1, count),
        )

    def _frame_and_focal_std(self) -> Float[Tensor, "8"]:
        """Return deviations of rotation, centre, log focal ratio, and log focal of the clip."""
        std = self.std.float()
        ratio = std.new_tensor([_LOG_FOCAL_RATIO_STD])
        return torch.cat([std[:6], ratio, std[6:].mean()[None]])

    def _embedded(self, motion: ClipMotion, first: Tensor) -> Float[Tensor, "batch f cells1 width"]:
        """Return tokens of every frame: one for the frame, then one per cell of frame 0."""
        batch, frames = motion.maps.shape[:2]
        kind = self.std.dtype  # weights may be kept in 8 bits
        moments = (motion.moments - self.moment_mean.float()) / self.moment_std.float()
        time = torch.linspace(-1, 1, frames + 1, device=moments.device)[1:].expand(batch, frames)
        aspect = moments.new_tensor(math.log(first.shape[-1] / first.shape[-2]))
        rows = [
            moments.clamp(-_INPUT_LIMIT, _INPUT_LIMIT),
            torch.stack([time, aspect.expand_as(time)], -1),
        ]
        frame = self.frame(torch.cat(rows, -1).to(kind))
        centers = torch.cat([motion.centers, motion.centers.square().sum(-1, keepdim=True)], -1)
        fixed = [first.flatten(2).mT.to(kind), centers.expand(batch, -1, -1).to(kind)]
        maps = motion.maps * motion.maps.new_tensor(_MAP_SCALES)
        moved = 4 * (motion.seen - motion.centers)
        track = self.track(torch.cat([moved, maps], -1).to(kind))
        cell = track + self.cell(torch.cat(fixed, -1))[:, None]
        cell = cell + frame[:, :, None]
        return torch.cat([frame[:, :, None], cell], 2)

    def params_and_log_depth(
        self, latents: Float[Tensor, "batch c t h w"]
    ) -> tuple[Float[Tensor, "batch t 8"], Float[Tensor, "batch h w"] | None]:
        """Return camera parameters, and the log depths of `CameraPriorOutput`.

        The parameters are rotation vector (radians) and centre (scene units) from frame 0, and log
        focal length (x, y).
        """
        batch, frames = latents.shape[0], latents.shape[2]
        if frames == 1:
            log_focal = self.mean[6:].float().expand(batch, 1, 2)
            return nn.functional.pad(log_focal, (6, 0)), None
        scene = self.run_rounds(self.motion(latents), latents[:, :, 0])[-1].scene
        log_depth = scene.log_depth[:, 0].unflatten(1, tuple(latents.shape[-2:]))
        return camera_params_from_scene(scene), log_depth

    def forward(
        self, latents: Float[Tensor, "batch c t h w"], raster: tuple[int, int]
    ) -> CameraPriorOutput:
        """Return ray latents of the cameras, and depths of frame 0; `raster` is (hr, wr)."""
        params, log_depth = self.params_and_log_depth(latents)
        return CameraPriorOutput(self.encode(params.type_as(self.std), raster), log_depth)

    def rays_and_blend_weight(
        self,
        latents: Float[Tensor, "batch c t h w"],
        sigma: Float[Tensor, "batch t"],
        raster: tuple[int, int],
    ) -> tuple[Tensor, Tensor] | None:
        """Return ray latents, and how much of them to blend in where the video is not quite clean.

        Args:
            latents: Of the video.
            sigma: Their noise levels. From 0 to 0.5 the rays fade.
            raster: (hr, wr) of the ray latents.

        Returns:
            The rays and a (B, 1, T, 1, 1) weight; None where it is 0 everywhere. Clips of which
            no two frames are clean have rays and weights of zero.
        """
        clear = (1 - 2 * sigma).clamp_min(0)
        weight = clear[:, 1:] * clear[:, :1]
        # Frame 0's own rays are its focal length, which is estimated from motion too.
        first = weight.amax(1, keepdim=True) if weight.shape[1] else clear
        weight = torch.cat([first, weight], 1)
        weight = weight[:, None, :, None, None]
        if weight.is_meta:
            return self(latents, raster).rays, weight
        rows = weight.flatten(1).amax(1).nonzero()[:, 0]
        if not len(rows):
            return None
        rays = self(latents[rows], raster).rays
        every = rays.new_zeros((len(latents), *rays.shape[1:])).index_copy(0, rows, rays)
        return every, weight.type_as(rays)

    def encode(
        self, params: Float[Tensor, "batch t 8"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Draw the raxels of cameras and map them to latents, cell by cell."""
        batch, frames = params.shape[:2]
        images = self.code(raxels_from_camera_params(params, raster).flatten(0, 1))
        return images.unflatten(0, (batch, frames)).transpose(1, 2)


@dataclass(frozen=True)
class _Evidence:
    """Input of a round: motion as measured, correlation volumes, and tracks as they are."""

    motion: ClipMotion
    volumes: list[Tensor]
    tracks: Float[Tensor, "batch f cells 2"]


class _Round(nn.Module):
    """From tracks, and residuals of the last round's scene, to the next guess.

    Args:
        config: Sizes.
        first: Whether there is no round before it.
    """

    def __init__(self, config: CameraPriorConfig, *, first: bool) -> None:
        super().__init__()
        width, matches = config.width, config.matches
        self.radius = config.matching_radius
        self.match = nn.Linear(matches if first else 2 * matches, width)
        self.error = None if first else nn.Linear(4, width)
        self.camera_in = None if first else nn.Linear(FRAME_PARAMS + 1, width)
        self.layers = nn.ModuleList([_Layer(width, config.heads) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(width)
        self.frame_out = nn.Linear(width, 2 * FRAME_PARAMS)  # change, log precision
        self.clip_out = nn.Linear(width, 3)  # change of log fx, fy; log precision
        self.depth_out = nn.Linear(width, 2)  # change, log precision
        self.track_out = nn.Linear(width, 4)  # change (x, y), logit of blending, log weight

    def initialise_from_scratch(self) -> None:
        """Change nothing; give tracks about the weight they deserve."""
        for head in (self.frame_out, self.clip_out, self.depth_out, self.track_out):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.track_out.bias[2:], -2.0)

    def forward(
        self,
        hidden: Float[Tensor, "batch f cells1 width"],
        scene: BundleState,
        evidence: "_Evidence",
        std: Float[Tensor, "8"],
    ) -> tuple[Tensor, BundleState, PriorPrecision, Tracks]:
        """Return tokens, the guess, its precision, and corrected tracks.

        Args:
            hidden: Tokens of every frame: one for the frame, then one per cell of frame 0.
            scene: Of the last round.
            evidence: Tracks and what they match.
            std: Deviations of rotation, centre, log focal ratio, and log focal.
        """
        tracks = evidence.tracks
        expected = tracks
        matches = [matches_around(evidence.volumes, tracks.detach(), self.radius)]
        if self.error is not None and self.camera_in is not None:
            projected = _project(scene, evidence.motion.centers)
            expected = projected.clamp(-_TRACK_LIMIT, _TRACK_LIMIT)
            matches.append(matches_around(evidence.volumes, expected.detach(), self.radius))
            params = _scene_params(scene) / std
            params = params.clamp(-_INPUT_LIMIT, _INPUT_LIMIT).type_as(hidden)
            residual = _residual_inputs(scene, (expected - tracks) / TRACK_UNIT).type_as(hidden)
            frame = self.camera_in(params)[:, :, None]
            hidden = hidden + torch.cat([frame, self.error(residual)], 2)
        match = self.match(torch.cat(matches, -1).type_as(hidden))
        hidden = hidden + nn.functional.pad(match, (0, 0, 1, 0))
        for layer in self.layers:
            hidden = layer(hidden)
        with _float32(hidden):
            guess, precision, correction = self._read(hidden, scene, std)
            tracks = torch.lerp(tracks, expected, torch.sigmoid(correction[..., 2:3]))
            tracks = tracks + _CORRECTION * correction[..., :2]
            weight = _exp(correction[..., 3]).clamp_max(_MAX_TRACK_WEIGHT)
        return hidden, guess, precision, Tracks(evidence.motion.centers, tracks, weight)

    def _read(
        self, hidden: Tensor, scene: BundleState, std: Tensor
    ) -> tuple[BundleState, PriorPrecision, Float[Tensor, "batch f cells 4"]]:
        """Return the guess, its precision, and `track_out` of every track, in float32."""
        rows = self.norm(hidden.type_as(self.norm.weight))
        frames, cells = rows[:, :, 0], rows[:, :, 1:]
        change, log_precision = self.frame_out(frames).float().chunk(2, -1)
        focal = self.clip_out(frames.mean(1)).float()
        depth = self.depth_out(cells.mean(1)).float()
        step = change * std[:7], focal[:, 0] * 0, depth[:, None, :, 0] * _LOG_DEPTH_STD
        guess = scene.retract(BundleStep(*step))
        log_focal = guess.log_focal + focal[:, :2] * std[7]
        guess = replace(
            guess,
            log_focal_ratio=guess.log_focal_ratio.clamp(-_LOG_FOCAL_LIMIT, _LOG_FOCAL_LIMIT),
            log_focal=log_focal.clamp(-_LOG_FOCAL_LIMIT, _LOG_FOCAL_LIMIT),
            log_depth=guess.log_depth.clamp(-_LOG_DEPTH_LIMIT, _LOG_DEPTH_LIMIT),
        )
        precision = PriorPrecision(
            _exp(log_precision) / std[:7].square(),
            _exp(focal[:, 2]) / std[7] ** 2,
            _exp(depth[:, None, :, 1]) / _LOG_DEPTH_STD**2,
        )
        return guess, precision, self.track_out(cells).float()


def _float32(hidden: Tensor) -> torch.autocast:
    """Compute in float32 in spite of autocast, where the device has it (meta has not)."""
    kind = hidden.device.type
    return torch.autocast(kind if torch.amp.is_autocast_available(kind) else "cpu", enabled=False)


def _project(
    scene: BundleState, place: Float[Tensor, "cells 2"]
) -> Float[Tensor, "batch f1 cells 2"]:
    """Return where the frames after frame 0 see its cells, normalised by sqrt(H W)."""
    seen = scene.project(place)  # whose image is f (x / z); (f x) / z differs in its last bit
    image = scene.focal()[:, :, None, None] * seen.in_camera / seen.depth[..., None]
    return image[:, 1:, 0]


def _exp(value: Tensor) -> Tensor:
    return value.clamp(-_LOG_PRECISION_LIMIT, _LOG_PRECISION_LIMIT).exp()


def _residual_inputs(
    scene: BundleState, error: Float[Tensor, "batch f cells 2"]
) -> Float[Tensor, "batch f cells 4"]:
    """Return tracks' errors (TRACK_UNITs), limited; log of their length; and log depth."""
    depth = scene.log_depth[..., None].expand(*error.shape[:3], 1)
    far = error.norm(dim=-1, keepdim=True).clamp_max(1e3)
    near = error.clamp(-_ERROR_LIMIT, _ERROR_LIMIT) / 5
    return torch.cat([near, (far + 1).log(), depth], -1)


def _scene_params(scene: BundleState) -> Float[Tensor, "batch f 8"]:
    """Return rotation, centre and log focal ratio of every frame after frame 0, and log focal."""
    ratio = scene.log_focal_ratio[..., None]
    frames = torch.cat([_axis_sine(scene.world_from_cam), scene.center, ratio], -1)[:, 1:]
    log_focal = scene.log_focal.mean(-1)[:, None, None].expand(*frames.shape[:2], 1)
    return torch.cat([frames, log_focal], -1)


def _axis_sine(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return axis times sine of the angle, which is smooth wherever the angle is below 90."""
    odd = (rotation - rotation.mT) / 2
    return torch.stack([odd[..., 2, 1], odd[..., 0, 2], odd[..., 1, 0]], -1)


class _Layer(nn.Module):
    """Compare the tokens of a frame, then each token with itself in other frames."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.within, self.across = TokenAttention(width, heads), TokenAttention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, tokens: Float[Tensor, "batch f n width"]) -> Float[Tensor, "batch f n width"]:
        shape = tokens.shape[:2]
        tokens = tokens + self.within(tokens.flatten(0, 1)).unflatten(0, shape)
        turned = tokens.transpose(1, 2)
        turned = self.across(turned.flatten(0, 1)).unflatten(0, turned.shape[:2])
        tokens = tokens + turned.transpose(1, 2)
        return tokens + self.down(nn.functional.gelu(self.up(self.norm(tokens))))
