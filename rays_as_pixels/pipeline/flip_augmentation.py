"""The same clip seen another way: mirrored, or played backwards, and the cameras brought back.

A network that knew the path would say the same about every view. Where it does not, the mean of
its answers is nearer to the truth than one of them, and their spread tells how far it is off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.pipeline.loop import pose_spread
from rays_as_pixels.pipeline.outputs import PoseSpread
from rays_as_pixels.solve.photometric_refinement import refine_photometrically

_STILL = 1e-9  # scene units; a path that reaches no further has no size to compare


@dataclass(frozen=True)
class View:
    """How a clip is shown to the network.

    Attributes:
        mirrored: Left and right swapped.
        backwards: Last frame first.
    """

    mirrored: bool = False
    backwards: bool = False

    def video(self, video: Float[Tensor, "frames 3 h w"]) -> Float[Tensor, "frames 3 h w"]:
        """Return the clip as this view shows it."""
        video = video.flip(-1) if self.mirrored else video
        return video.flip(0) if self.backwards else video

    def cameras(self, cameras: Cameras) -> Cameras:
        """Return (F,) cameras of the view's clip as cameras of the clip itself, and vice versa.

        Played backwards, a clip has its last frame's unit; lengths stay in it.
        """
        if self.mirrored:
            flip = cameras.world_from_cam.new_tensor([-1.0, 1.0, 1.0, 1.0])
            pose = flip[:, None] * cameras.world_from_cam * flip
            x = cameras.width - cameras.center_px[..., 0]
            center = torch.stack([x, cameras.center_px[..., 1]], -1)
            cameras = replace(cameras, world_from_cam=pose, center_px=center)
        if self.backwards:
            back = torch.arange(cameras.batch_shape[0] - 1, -1, -1)
            cameras = cameras[back].relative_to(0)
        return cameras


VIEWS = {
    1: (View(),),
    2: (View(), View(mirrored=True)),
    4: (View(), View(mirrored=True), View(backwards=True), View(True, True)),
}


def flips_of(num_flips: int) -> tuple[View, ...]:
    """Return the views to look at: 1, 2 (also mirrored) or 4 (both also backwards).

    Raises:
        InputError: Another number.
    """
    if num_flips not in VIEWS:
        raise InputError(
            f"num_flips must be 1, 2 or 4; got {num_flips}. Use 4 to look at the clip mirrored "
            "and backwards too."
        )
    return VIEWS[num_flips]


@dataclass(frozen=True, eq=False)
class AugmentedEstimate:
    """What the network said about one view.

    Attributes:
        view: How the clip was shown.
        mean: (F,) cameras of the mean over seeds, as the view shows them.
        each: (S, F) cameras of each seed.
        inlier_ratio: Share of the clip's patches that fit, see `photometric_adjustment`.
        log_depth: (rows, columns) of what the view's first frame shows, from the same.
    """

    view: View
    mean: Cameras
    each: Cameras
    inlier_ratio: float | None = None
    log_depth: Float[Tensor, "rows columns"] | None = None

    def adjusted(
        self,
        frames: Float[Tensor, "frames 3 h w"],
        log_depth: Float[Tensor, "rows columns"] | None,
        *,
        shared_focal: bool,
        before_round: Callable[[], None],
    ) -> "AugmentedEstimate":
        """Return the answer fitted to the view's frames; `log_depth` is of the first of them."""
        seeds = len(self.each.focal_px)
        alone = [self.mean] if seeds == 1 else [self.mean, *(self.each[k] for k in range(seeds))]
        fits = [
            refine_photometrically(
                frames, cameras, log_depth, shared_focal=shared_focal, before_round=before_round
            )
            for cameras in alone
        ]
        moved = _stacked([fit.cameras for fit in fits[-seeds:]])
        first = fits[0]
        return AugmentedEstimate(
            self.view, first.cameras, moved, first.inlier_ratio, first.log_depth
        )

    @classmethod
    def of_one(cls, view: View, cameras: Cameras) -> "AugmentedEstimate":
        """Return the answer of a single seed."""
        return cls(view, cameras, _stacked([cameras]))


def combined(answers: Sequence[AugmentedEstimate]) -> tuple[Cameras, PoseSpread | None]:
    """Average the views' answers; the spread is over all seeds and views, None for a single run."""
    if len(answers) == 1:
        (only,) = answers
        mean = only.view.cameras(only.mean)
        seeds = only.each.batch_shape[0]
        return mean, pose_spread(only.each, mean) if seeds > 1 else None
    paths = same_unit(_stacked([answer.view.cameras(answer.mean) for answer in answers]))
    mean = _mean(paths)
    runs = [
        answer.view.cameras(answer.each[seed])
        for answer in answers
        for seed in range(answer.each.batch_shape[0])
    ]
    return mean, pose_spread(same_unit(_stacked([mean, *runs]))[1:], mean)


def expected_error_deg(
    spread: PoseSpread | None,
    error_per_spread: float | None,
    *,
    num_seeds: int,
    num_flips: int,
) -> Float[Tensor, "frames"] | None:
    """Return the rotation error that two of three frames stay below, where it was calibrated.

    Calibrated is the spread over 4 views with one seed; other spreads are others by size.
    """
    if spread is None or error_per_spread is None or (num_seeds, num_flips) != (1, 4):
        return None
    return error_per_spread * spread.rotation_rad.rad2deg()


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


def _stacked(each: "list[Cameras]") -> Cameras:
    """Stack (F,) cameras of one image size into (N, F)."""
    return Cameras(
        torch.stack([cameras.world_from_cam for cameras in each]),
        torch.stack([cameras.focal_px for cameras in each]),
        torch.stack([cameras.center_px for cameras in each]),
        each[0].height,
        each[0].width,
    )
