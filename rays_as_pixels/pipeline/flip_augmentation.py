"""Test-time augmentation of `estimate`: the clip mirrored and played backwards, estimates averaged.

A network that knew the path would give the same one for every flip. Where it does not, the mean of
its estimates is nearer to the truth than one of them, and their standard deviation
says how far it is off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid, stacked
from rays_as_pixels.geometry.flips import mirrored_cameras, reversed_cameras
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.pipeline.outputs import PoseStd
from rays_as_pixels.solve.photometric_refinement import refine_photometrically

_STILL = 1e-9  # scene units; a path that reaches no further has no size to compare


@dataclass(frozen=True)
class Flip:
    """A way to flip a clip in space and time; each is its own inverse.

    Attributes:
        mirrored: Left and right swapped.
        backwards: Last frame first.
    """

    mirrored: bool = False
    backwards: bool = False

    def video(self, video: Float[Tensor, "frames 3 h w"]) -> Float[Tensor, "frames 3 h w"]:
        """Return the clip flipped."""
        video = video.flip(-1) if self.mirrored else video
        return video.flip(0) if self.backwards else video

    def cameras(self, cameras: Cameras) -> Cameras:
        """Return (F,) cameras of the flipped clip as cameras of the clip itself, and vice versa.

        Played backwards, a clip has its last frame's unit; lengths stay in it.
        """
        if self.mirrored:
            cameras = mirrored_cameras(cameras)
        if self.backwards:
            cameras = reversed_cameras(cameras).relative_to(0)
        return cameras


FLIPS = {
    1: (Flip(),),
    2: (Flip(), Flip(mirrored=True)),
    4: (Flip(), Flip(mirrored=True), Flip(backwards=True), Flip(True, True)),
}


def flips_to_average(num_flips: int) -> tuple[Flip, ...]:
    """Return the flips to average over: 1, 2 (also mirrored) or 4 (both also backwards).

    Raises:
        InputError: Another number.
    """
    if num_flips not in FLIPS:
        raise InputError(
            f"num_flips must be 1, 2 or 4; got {num_flips}. Use 4 to look at the clip mirrored "
            "and backwards too."
        )
    return FLIPS[num_flips]


@dataclass(frozen=True, eq=False)
class AugmentedEstimate:
    """What the network estimates for one flip of the clip.

    Attributes:
        flip: How the clip was flipped.
        mean: (F,) cameras of the mean over samples, of the flipped clip.
        each: (S, F) cameras of each sample.
        inlier_ratio: Share of the clip's patches that fit, see `solve.photometric_refinement`.
        log_depth: (rows, columns) of what the flipped clip's first frame shows, from the same.
    """

    flip: Flip
    mean: Cameras
    each: Cameras
    inlier_ratio: float | None = None
    log_depth: Float[Tensor, "rows columns"] | None = None

    def refined(
        self,
        frames: Float[Tensor, "frames 3 h w"],
        log_depth: Float[Tensor, "rows columns"] | None,
        *,
        shared_focal: bool,
        max_rounds: int,
        before_round: Callable[[], None],
    ) -> "AugmentedEstimate":
        """Return the cameras moved until the flipped frames fit; `log_depth` is of the first."""
        count = len(self.each.focal_px)
        starts = [self.mean] if count == 1 else [self.mean, *(self.each[k] for k in range(count))]
        fits = [
            refine_photometrically(
                frames,
                cameras,
                log_depth,
                shared_focal=shared_focal,
                max_rounds=max_rounds,
                before_round=before_round,
            )
            for cameras in starts
        ]
        moved = stacked([fit.cameras for fit in fits[-count:]])
        first = fits[0]
        return AugmentedEstimate(
            self.flip, first.cameras, moved, first.inlier_ratio, first.log_depth
        )

    @classmethod
    def of_one_sample(cls, flip: Flip, cameras: Cameras) -> "AugmentedEstimate":
        """Return the estimate from a single sample."""
        return cls(flip, cameras, stacked([cameras]))


def average_flips(estimates: Sequence[AugmentedEstimate]) -> tuple[Cameras, PoseStd | None]:
    """Average over flips; the deviation is over all samples and flips, None for one run."""
    if len(estimates) == 1:
        (only,) = estimates
        mean = only.flip.cameras(only.mean)
        several = only.each.batch_shape[0] > 1
        return mean, PoseStd.around(mean, only.each) if several else None
    paths = same_unit(stacked([one.flip.cameras(one.mean) for one in estimates]))
    mean = _mean(paths)
    runs = [
        one.flip.cameras(one.each[sample])
        for one in estimates
        for sample in range(one.each.batch_shape[0])
    ]
    return mean, PoseStd.around(mean, same_unit(stacked([mean, *runs]))[1:])


def expected_error_deg(
    pose_std: PoseStd | None,
    calibration_factor: float | None,
    *,
    num_samples: int,
    num_flips: int,
) -> Float[Tensor, "frames"] | None:
    """Return the rotation error that two of three frames stay below, where it was calibrated.

    Calibrated is the standard deviation over 4 flips with one sample; others differ in size.
    """
    if pose_std is None or calibration_factor is None or (num_samples, num_flips) != (1, 4):
        return None
    return calibration_factor * pose_std.rotation_rad.rad2deg()


def same_unit(each: Cameras) -> Cameras:
    """Bring (N, F) paths to one size, that of the first, by the centres' root mean square.

    Horn's (1987) symmetric scale about the mean centre; a path that stands still is left as it is.
    """
    centre = each.world_from_cam[..., :3, 3]
    size = (centre - centre.mean(-2, keepdim=True)).norm(dim=(-2, -1))
    moves = (size > _STILL) & (size[0] > _STILL)
    factor = torch.where(moves, size[0] / size.clamp_min(_STILL), torch.ones_like(size))
    return each.scaled(factor[:, None].expand(each.batch_shape))


def _mean(each: Cameras) -> Cameras:
    """Average (N, F) cameras: chordal mean of rotations, mean centre, geometric mean focal."""
    pose = each.world_from_cam
    return Cameras(
        rigid(nearest_rotation(pose[..., :3, :3].sum(0)), pose[..., :3, 3].mean(0)),
        each.focal_px.log().mean(0).exp(),
        each.center_px.mean(0),
        each.height,
        each.width,
    ).relative_to(0)
