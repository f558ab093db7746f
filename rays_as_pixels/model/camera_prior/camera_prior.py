"""A first estimate of the clip's cameras from the motion of its frames, where the video is clear.

Not in the paper. A few numbers per frame say what a camera does. Here a small network reads tracks
of frame 0's cells (`global_motion`) and what they match (`track_matching`), mends them, guesses
cameras and depths, says how far tracks and guesses are to be trusted, and
`track_bundle_adjustment` finds what explains both; then again, with the errors of the last round in
view, as DROID-SLAM (2108.10869) does. Raxels of the cameras, coded with a linear map, are the rays.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector, vector_from_rotation
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

NUM_CAMERA_PARAMS = 8  # rotation vector, centre, log fx, log fy per root of the image's area
_LIMIT = 6.0  # deviations of a moment
_MEND = 0.02  # roots of the image's area; a track is changed by about as much at a time
_FAR_OUT = 2.0  # roots of the image's area
_ERROR_LIMIT = 20.0  # TRACK_UNITs
_DEPTH_SPREAD = 0.5
_ZOOM_SPREAD = 0.1
_DEPTH_LIMIT = 3.0
_LENS_LIMIT = 2.5
_TRUST_LIMIT = 8.0
_CELL = 8  # raxel pixels per ray latent


@dataclass(frozen=True)
class RoundOutput:
    """What a round says: its guess, what became of it by adjustment, and the tracks it mended."""

    guess: BundleState
    scene: BundleState
    seen: Float[Tensor, "batch f cells 2"]


class CameraPrior(nn.Module):
    """Tell every frame's camera and code its raxels as ray latents.

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
        self.code = nn.Conv2d(3, ray_channels, _CELL, stride=_CELL)
        self.register_buffer("mean", torch.zeros(NUM_CAMERA_PARAMS))
        self.register_buffer("std", torch.ones(NUM_CAMERA_PARAMS))
        self.register_buffer("moment_mean", torch.zeros(MOMENTS))
        self.register_buffer("moment_std", torch.ones(MOMENTS))
        self._kept: list[tuple[Tensor, BundleState]] | None = None

    def initialise_from_scratch(self) -> None:
        """Guess cameras at rest with the usual lens, and depths of 1; trust tracks."""
        for one in self.rounds:
            assert isinstance(one, _Round)
            one.initialise_from_scratch()

    def run_rounds(
        self, motion: ClipMotion, first: Float[Tensor, "batch c h w"]
    ) -> list[RoundOutput]:
        """Return what each round says of a clip of two frames or more.

        Args:
            motion: Of the clip.
            first: Latents of frame 0.
        """
        hidden = self._embedded(motion, first)
        spread = self.std.float()
        spread = torch.cat([spread[:6], spread.new_tensor([_ZOOM_SPREAD]), spread[6:].mean()[None]])
        batch, frames, count = motion.maps.shape[:3]
        still = motion.seen.new_zeros(batch, frames + 1, 3)
        scene = BundleState(
            rotation_from_vector(still),
            still,
            still[..., 0],
            self.mean[6:].float().expand(batch, 2),
            torch.zeros(1, dtype=torch.int64, device=still.device),
            still.new_zeros(batch, 1, count),
        )
        result, seen, volumes = [], motion.seen, self.matching(motion.pictures)
        for one in self.rounds:
            assert isinstance(one, _Round)
            look = _Look(motion, volumes, seen)
            hidden, guess, trust, tracks = one(hidden, scene, look, spread)
            seen = tracks.seen
            kind = hidden.device.type
            known = torch.amp.is_autocast_available(kind)
            with torch.autocast(kind if known else "cpu", enabled=False):
                scene = bundle_adjust(guess, trust, tracks)
                scene = scene.in_scene_units()
            result.append(RoundOutput(guess, scene, seen))
        return result

    def _embedded(self, motion: ClipMotion, first: Tensor) -> Float[Tensor, "batch f cells1 width"]:
        """Return tokens of every frame: one for the frame, then one per cell of frame 0."""
        batch, frames = motion.maps.shape[:2]
        kind = self.std.dtype  # weights may be kept in 8 bits
        moments = (motion.moments - self.moment_mean.float()) / self.moment_std.float()
        time = torch.linspace(-1, 1, frames + 1, device=moments.device)[1:].expand(batch, frames)
        aspect = moments.new_tensor(math.log(first.shape[-1] / first.shape[-2]))
        rows = [moments.clamp(-_LIMIT, _LIMIT), torch.stack([time, aspect.expand_as(time)], -1)]
        frame = self.frame(torch.cat(rows, -1).to(kind))
        place = torch.cat([motion.place, motion.place.square().sum(-1, keepdim=True)], -1)
        still = [first.flatten(2).mT.to(kind), place.expand(batch, -1, -1).to(kind)]
        maps = motion.maps * motion.maps.new_tensor([20, 20, 0.3, 0.3, 0.3, 1, 0.3])
        moved = 4 * (motion.seen - motion.place)
        track = self.track(torch.cat([moved, maps], -1).to(kind))
        cell = track + self.cell(torch.cat(still, -1))[:, None]
        cell = cell + frame[:, :, None]
        return torch.cat([frame[:, :, None], cell], 2)

    def camera_params(self, latents: Float[Tensor, "batch c t h w"]) -> Float[Tensor, "batch t 8"]:
        """Return rotation vector (radians) and centre (scene units) from frame 0, and log lens."""
        batch, frames = latents.shape[0], latents.shape[2]
        if frames == 1:
            lens = self.mean[6:].float().expand(batch, 1, 2)
            return nn.functional.pad(lens, (6, 0))
        scene = self.run_rounds(self.motion(latents), latents[:, :, 0])[-1].scene
        if self._kept is not None:
            self._kept[:] = [(latents, scene)]  # the last clip alone, to stay small
        return camera_params_from_scene(scene)

    def log_depth(self, latents: Float[Tensor, "batch c t h w"]) -> Float[Tensor, "batch h w"]:
        """Return logarithms of what frame 0's cells are away, scene units; two frames or more."""
        size = tuple(latents.shape[-2:])
        for known, scene in self._kept or ():
            if known.shape == latents.shape and torch.equal(known.to(latents), latents):
                return scene.log_depth[:, 0].unflatten(1, size)
        scene = self.run_rounds(self.motion(latents), latents[:, :, 0])[-1].scene
        return scene.log_depth[:, 0].unflatten(1, size)

    @contextmanager
    def keeping_depths(self) -> Iterator[None]:
        """Until this ends, depths of the clip whose cameras were told last are not told again."""
        self._kept = []
        try:
            yield
        finally:
            self._kept = None

    def forward(
        self, latents: Float[Tensor, "batch c t h w"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Return ray latents of the cameras; `raster` is (hr, wr)."""
        return self.coded(self.camera_params(latents).type_as(self.std), raster)

    def rays_and_blend_weight(
        self,
        latents: Float[Tensor, "batch c t h w"],
        sigma: Float[Tensor, "batch t"],
        raster: tuple[int, int],
    ) -> tuple[Tensor, Tensor] | None:
        """Return ray latents, and how far the video is clear enough for them.

        Args:
            latents: Of the video.
            sigma: Their noise levels. From 0 to 0.5 the rays fade.
            raster: (hr, wr) of the ray latents.

        Returns:
            The rays and a (B, 1, T, 1, 1) share; None where the share is 0 everywhere. Clips of
            which no two frames are clear have rays of zeros and no share.
        """
        clear = (1 - 2 * sigma).clamp_min(0)
        share = clear[:, 1:] * clear[:, :1]
        # Frame 0's own rays are its lens, which is told from motion as the others are.
        share = torch.cat([share.amax(1, keepdim=True), share], 1) if share.shape[1] else clear
        share = share[:, None, :, None, None]
        if share.is_meta:
            return self(latents, raster), share
        rows = share.flatten(1).amax(1).nonzero()[:, 0]
        if not len(rows):
            return None
        rays = self(latents[rows], raster)
        every = rays.new_zeros((len(latents), *rays.shape[1:])).index_copy(0, rows, rays)
        return every, share.type_as(rays)

    def coded(
        self, numbers: Float[Tensor, "batch t 8"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Draw the raxels of cameras and map them to latents, cell by cell."""
        batch, frames = numbers.shape[:2]
        images = self.code(raxels_from_camera_params(numbers, raster).flatten(0, 1))
        return images.unflatten(0, (batch, frames)).transpose(1, 2)


@dataclass(frozen=True)
class _Look:
    """What a round looks at: motion as measured, matches of all places, tracks as they are."""

    motion: ClipMotion
    volumes: list[Tensor]
    seen: Float[Tensor, "batch f cells 2"]


class _Round(nn.Module):
    """Look at tracks, and at how the last round explains them, and say the next guess."""

    def __init__(self, config: CameraPriorConfig, *, first: bool) -> None:
        super().__init__()
        width, matches = config.width, config.matches
        self.radius = config.matching_radius
        self.match = nn.Linear(matches if first else 2 * matches, width)
        self.error = None if first else nn.Linear(4, width)
        self.camera_in = None if first else nn.Linear(FRAME_PARAMS + 1, width)
        self.layers = nn.ModuleList([_Layer(width, config.heads) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(width)
        self.frame_out = nn.Linear(width, 2 * FRAME_PARAMS)  # change, trust
        self.clip_out = nn.Linear(width, 3)  # change of log fx, fy; trust
        self.depth_out = nn.Linear(width, 2)  # change, trust
        self.track_out = nn.Linear(width, 4)  # change (x, y), share of the expected, weight

    def initialise_from_scratch(self) -> None:
        """Change nothing; trust tracks about as much as they deserve."""
        for head in (self.frame_out, self.clip_out, self.depth_out, self.track_out):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.track_out.bias[2:], -2.0)

    def forward(
        self,
        hidden: Tensor,
        scene: BundleState,
        look: "_Look",
        spread: Float[Tensor, "8"],
    ) -> tuple[Tensor, BundleState, PriorPrecision, Tracks]:
        """Return the tokens, the guess, the trust in it, and the mended tracks."""
        place, volumes, seen = look.motion.place, look.volumes, look.seen
        expected = seen
        matches = [matches_around(volumes, seen.detach(), self.radius)]
        if self.error is not None and self.camera_in is not None:
            expected = scene.project(place).image[:, 1:, 0].clamp(-_FAR_OUT, _FAR_OUT)
            matches.append(matches_around(volumes, expected.detach(), self.radius))
            error = (expected - seen) / TRACK_UNIT
            depth = scene.log_depth[..., None].expand(*error.shape[:3], 1)
            far = error.norm(dim=-1, keepdim=True).clamp_max(1e3)
            cells = torch.cat(
                [error.clamp(-_ERROR_LIMIT, _ERROR_LIMIT) / 5, (far + 1).log(), depth], -1
            )
            numbers = torch.cat([_frame_numbers(scene), _clip_number(scene)], -1) / spread
            frame = self.camera_in(numbers.clamp(-_LIMIT, _LIMIT).type_as(hidden))[:, :, None]
            hidden = hidden + torch.cat([frame, self.error(cells.type_as(hidden))], 2)
        match = self.match(torch.cat(matches, -1).type_as(hidden))
        hidden = hidden + nn.functional.pad(match, (0, 0, 1, 0))
        for layer in self.layers:
            hidden = layer(hidden)
        kind = hidden.device.type
        known = torch.amp.is_autocast_available(kind)
        with torch.autocast(kind if known else "cpu", enabled=False):
            rows = self.norm(hidden.type_as(self.norm.weight))
            frames, cells = rows[:, :, 0], rows[:, :, 1:]
            told, trust = self.frame_out(frames).float().chunk(2, -1)
            lens = self.clip_out(frames.mean(1)).float()
            depth = self.depth_out(cells.mean(1)).float()
            mend = self.track_out(cells).float()
            seen = torch.lerp(seen, expected, torch.sigmoid(mend[..., 2:3]))
            seen = seen + _MEND * mend[..., :2]
            change = told * spread[:7], lens[:, 0] * 0, depth[:, None, :, 0] * _DEPTH_SPREAD
            guess = scene.retract(BundleStep(*change))
            log_focal = guess.log_focal + lens[:, :2] * spread[7]
            guess = replace(
                guess,
                log_focal_ratio=guess.log_focal_ratio.clamp(-_LENS_LIMIT, _LENS_LIMIT),
                log_focal=log_focal.clamp(-_LENS_LIMIT, _LENS_LIMIT),
                log_depth=guess.log_depth.clamp(-_DEPTH_LIMIT, _DEPTH_LIMIT),
            )
            held = PriorPrecision(
                _exp(trust) / spread[:7].square(),
                _exp(lens[:, 2]) / spread[7] ** 2,
                _exp(depth[:, None, :, 1]) / _DEPTH_SPREAD**2,
            )
            used = _exp(mend[..., 3]).clamp_max(20.0)
        return hidden, guess, held, Tracks(place, seen, used)


def _exp(value: Tensor) -> Tensor:
    return value.clamp(-_TRUST_LIMIT, _TRUST_LIMIT).exp()


def _frame_numbers(scene: BundleState) -> Float[Tensor, "batch f 7"]:
    numbers = [_turn(scene.world_from_cam), scene.center, scene.log_focal_ratio[..., None]]
    return torch.cat(numbers, -1)[:, 1:]


def _clip_number(scene: BundleState) -> Float[Tensor, "batch f 1"]:
    return scene.log_focal.mean(-1)[:, None, None].expand(-1, scene.center.shape[1] - 1, 1)


def _turn(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
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


def camera_params_from_scene(scene: BundleState) -> Float[Tensor, "batch t 8"]:
    """Return the numbers of all cameras, frame 0's first."""
    log_focal = scene.log_focal[:, None] + scene.log_focal_ratio[..., None]
    return torch.cat([vector_from_rotation(scene.world_from_cam), scene.center, log_focal], -1)


def raxels_from_camera_params(
    numbers: Float[Tensor, "batch t 8"], raster: tuple[int, int]
) -> Float[Tensor, "batch t 3 height width"]:
    """Draw halved raxels, as the autoencoder gets them; 8x8 pixels per ray latent."""
    height, width = _CELL * raster[0], _CELL * raster[1]
    focal = numbers[..., 6:].clamp(-3, 3).exp() * (height * width) ** 0.5
    center = numbers.new_tensor([width / 2, height / 2]).expand_as(focal)
    ray = rays_in_cam(focal, center, height=height, width=width)  # batch t height width 3
    turned = ray @ rotation_from_vector(numbers[..., :3])[..., None, :, :].mT
    return (turned + numbers[..., None, None, 3:6]).movedim(-1, 2) / 2


def camera_params_from_pose_params(
    pose: Float[Tensor, "batch t 8"], height: int, width: int
) -> Float[Tensor, "batch t 8"]:
    """Turn `auxiliary.pose_params`, whose lens is per image width, into those of the prior."""
    lens = pose[..., 6:] + 0.5 * torch.log(pose.new_tensor(width / height))
    return torch.cat([pose[..., :6], lens], -1)
