"""Cameras and depths of a clip, how projections change with them, and one step of Gauss-Newton.

Bundle adjustment (Triggs et al. 2000) of points that are given by a frame, a pixel in it and a
depth, as in direct methods (Engel et al. 2018, DSO, section 2.2): such a point moves with the
camera of its host frame. Image points are measured from the principal point and normalised by
sqrt(H W), so that nothing depends on the size of the images.
"""

from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.least_squares import BlockNormalEquations, NormalEquations
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.depth_reprojection import NEAR_PLANE

FRAME_PARAMS = 7  # rotation vector (3), centre (3), log focal ratio


@dataclass(frozen=True)
class Projection:
    """Where target frames see points that host frames hold.

    Attributes:
        targets: (T,) the frames that see them.
        from_host: From the host's centre to the points, in the world's axes and scene units.
        from_target: From each target's centre, likewise.
        in_camera: (x, y) in each target's axes.
        depth: Along each target's axis, no less than NEAR_PLANE.
        in_front: False where a point is nearer than that, or behind.
        image: Normalised by sqrt(H W).
    """

    targets: Tensor
    from_host: Float[Tensor, "*batch a n 3"]
    from_target: Float[Tensor, "*batch t a n 3"]
    in_camera: Float[Tensor, "*batch t a n 2"]
    depth: Float[Tensor, "*batch t a n"]
    in_front: Tensor
    image: Float[Tensor, "*batch t a n 2"]


@dataclass(frozen=True)
class BundleStep:
    """A change of a `BundleState`; frame 0 and the world's unit of length stay.

    Attributes:
        frames: FRAME_PARAMS of every frame but frame 0: radians on the left, scene units, log.
        log_focal: Of both focal lengths of all frames.
        log_depth: Of every point.
    """

    frames: Float[Tensor, "*batch f1 7"]
    log_focal: Float[Tensor, "*batch"]
    log_depth: Float[Tensor, "*batch a n"]

    def __add__(self, other: "BundleStep") -> "BundleStep":
        """Return both changes, one after the other."""
        pairs = ((getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        return BundleStep(*(first + second for first, second in pairs))

    def clamped(self, limit: "BundleStep") -> "BundleStep":
        """Return it with no number larger than its limit: the linear model holds nearby alone."""
        pairs = ((getattr(self, one.name), getattr(limit, one.name)) for one in fields(self))
        return BundleStep(*(torch.clamp(step, -most, most) for step, most in pairs))


@dataclass(frozen=True)
class BundleState:
    """Cameras of all F frames, and the depths of N points in each of A host frames.

    Attributes:
        world_from_cam: Rotations; the world is frame 0's camera, which never moves.
        center: Of the cameras, in the world, scene units.
        log_focal_ratio: Logarithm of a frame's focal length over frame 0's.
        log_focal: Logarithm of frame 0's (fx, fy), normalised by sqrt(H W).
        host_frames: (A,) frames that points belong to, frame 0 first.
        log_depth: Of the points along their host's axis, in scene units.
    """

    world_from_cam: Float[Tensor, "*batch f 3 3"]
    center: Float[Tensor, "*batch f 3"]
    log_focal_ratio: Float[Tensor, "*batch f"]
    log_focal: Float[Tensor, "*batch 2"]
    host_frames: Tensor
    log_depth: Float[Tensor, "*batch a n"]

    def retract(self, step: BundleStep) -> "BundleState":
        """Return it changed by a step: exp(w) R, and sums for all that is not a rotation."""
        turned = rotation_from_vector(step.frames[..., :3]) @ self.world_from_cam[..., 1:, :, :]
        move = torch.nn.functional.pad(step.frames[..., 3:], (0, 0, 1, 0))
        return replace(
            self,
            world_from_cam=torch.cat([self.world_from_cam[..., :1, :, :], turned], -3),
            center=self.center + move[..., :3],
            log_focal_ratio=self.log_focal_ratio + move[..., 3],
            log_focal=self.log_focal + step.log_focal[..., None],
            log_depth=self.log_depth + step.log_depth,
        )

    def no_step(self) -> BundleStep:
        """Return the step that changes nothing."""
        frames = self.center[..., 1:, :1].expand(*self.center[..., 1:, 0].shape, FRAME_PARAMS)
        return BundleStep(
            torch.zeros_like(frames),
            torch.zeros_like(self.log_focal[..., 0]),
            torch.zeros_like(self.log_depth),
        )

    def in_scene_units(self) -> "BundleState":
        """Return it scaled so that the median depth of the first host's points is 1."""
        log_unit = self.log_depth[..., 0, :].median(dim=-1).values[..., None, None]
        return replace(
            self, center=self.center * (-log_unit).exp(), log_depth=self.log_depth - log_unit
        )

    def focal(self) -> Float[Tensor, "*batch f 2"]:
        """Return (fx, fy) of every frame, normalised by sqrt(H W)."""
        return (self.log_focal[..., None, :] + self.log_focal_ratio[..., None]).exp()

    def project(
        self,
        points: Float[Tensor, "n 2"],
        *,
        targets: Tensor | None = None,
        log_depth: Float[Tensor, "*batch a n"] | None = None,
    ) -> Projection:
        """Project the points of every host: u = K_t R_t^T (c_h + d R_h K_h^-1 x - c_t).

        Args:
            points: Where the hosts see them, normalised by sqrt(H W).
            targets: Frames that see them; None for all.
            log_depth: Of other points than the state's own.
        """
        log_depth = self.log_depth if log_depth is None else log_depth
        hosts = self.host_frames
        targets = (
            torch.arange(self.center.shape[-2], device=hosts.device) if targets is None else targets
        )
        focal = self.focal()
        ray = torch.nn.functional.pad(points / focal[..., hosts, None, :], (0, 1), value=1.0)
        ray = ray * log_depth.exp()[..., None]
        from_host = ray @ self.world_from_cam[..., hosts, :, :].mT
        rotation, center = self.world_from_cam[..., targets, :, :], self.center[..., targets, :]
        between = self.center[..., None, hosts, :] - center[..., :, None, :]
        from_target = from_host[..., None, :, :, :] + between[..., None, :]
        x, y, z = (
            (from_target.flatten(-3, -2) @ rotation)
            .unflatten(-2, from_target.shape[-3:-1])
            .unbind(-1)
        )
        depth = z.clamp_min(NEAR_PLANE)
        point, focal = torch.stack([x, y], -1), focal[..., targets, None, None, :]
        image = point / depth[..., None] * focal
        return Projection(targets, from_host, from_target, point, depth, z > NEAR_PLANE, image)

    def to(self, dtype: torch.dtype) -> "BundleState":
        """Return it in another precision."""
        kept = {k: v.to(dtype) for k, v in vars(self).items() if k != "host_frames"}
        return replace(self, **kept)


def reversed_travel(state: BundleState) -> BundleState:
    """Return a state that frames can hardly tell from it: travel reversed, near and far swapped.

    Every camera turns so that what is at depth 1 in the middle of frame 0 stays where it is seen.
    With little perspective only the small remainder says which of the two it is (the bas-relief
    ambiguity, Belhumeur et al. 1999; Necker's cube).
    """
    middle = state.center.new_tensor([0.0, 0.0, 1.0])
    before, after = (
        torch.nn.functional.normalize(middle + sign * state.center, dim=-1) for sign in (-1, 1)
    )
    axis = torch.linalg.cross(before, after, dim=-1)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (before * after).sum(-1, keepdim=True))
    turn = rotation_from_vector(axis / sine.clamp_min(1e-12) * angle)
    return replace(
        state,
        world_from_cam=turn @ state.world_from_cam,
        center=-state.center,
        log_depth=-state.log_depth,
    )


@dataclass(frozen=True)
class PriorPrecision:
    """How firmly a first guess holds, as one over squared standard deviations.

    Attributes:
        frames: Of rotation (1 / rad^2), centre (1 / scene units^2) and log focal ratio of every
            frame but frame 0.
        log_focal: Of the logarithm of all focal lengths.
        log_depth: Of every point.
    """

    frames: Float[Tensor, "*batch f1 7"]
    log_focal: Float[Tensor, "*batch"]
    log_depth: Float[Tensor, "*batch a n"]


@dataclass(frozen=True)
class Residuals:
    """Projection errors, what they weigh, and their Jacobians.

    Attributes:
        targets: (T,) frames that the errors are seen in.
        error: r, normalised by sqrt(H W).
        information: W, the inverse covariance of r: 2 x 2, or 1 x 1 where both axes weigh alike.
            Zero for what is not to be used.
        by_target: Change with the target frame's FRAME_PARAMS.
        by_host: With the host frame's; None where frame 0, which stays, is the only host.
        by_log_focal: With the logarithm of all focal lengths.
        by_log_depth: With that of the point's depth.
    """

    targets: Tensor
    error: Float[Tensor, "*batch t a n 2"]
    information: Float[Tensor, "*batch t a n i i"]
    by_target: Float[Tensor, "*batch t a n 2 7"]
    by_host: Float[Tensor, "*batch t a n 2 7"] | None
    by_log_focal: Float[Tensor, "*batch t a n 2"]
    by_log_depth: Float[Tensor, "*batch t a n 2"]


def linearise(
    state: BundleState,
    seen: Projection,
    error: Float[Tensor, "*batch t a n 2"],
    information: Float[Tensor, "*batch t a n i i"],
) -> Residuals:
    """Differentiate where target frames see points by cameras, focal length and depths.

    With p = R_t^T v the point in the target's axes and u = (fx px / pz, fy py / pz) its image, let
    M = du/dp R_t^T = du/dv (2 x 3). Then, turning by exp(w) on the left and with v = c_h + a - c_t,

        du/dw_t = rows of M x v     du/dc_t = -M       du/dlog f_t = u
        du/dw_h = -rows of M x a    du/dc_h = M        du/dlog f_h = -M (a without its axial part)
        du/dlog f = du/dlog f_t + du/dlog f_h          du/dlog d = M a

    (m . (w x v) = w . (v x m); Hartley and Zisserman 2004, appendix A4.3).

    Args:
        state: Where.
        seen: Of the state.
        error: u minus where the target frames see the points.
        information: W, see `Residuals`.
    """
    axes = state.world_from_cam[..., seen.targets, None, None, :, :].mT
    scale = state.focal()[..., seen.targets, None, None, :] / seen.depth[..., None]
    slant = seen.image / seen.depth[..., None]
    by_point = torch.cat([torch.diag_embed(scale), -slant[..., None]], -1) @ axes
    # Products of 3-vectors by elements: as batched matrices they take several times as long.
    arm = seen.from_host[..., None, :, :, None, :]
    turn = torch.linalg.cross(by_point, seen.from_target[..., None, :], dim=-1)
    axial = state.world_from_cam[..., state.host_frames, :, 2]
    along_axis = (seen.from_host * axial[..., None, :]).sum(-1, keepdim=True) * axial[..., None, :]
    by_focal_of_host = (by_point * (seen.from_host - along_axis)[..., None, :, :, None, :]).sum(-1)
    by_host = None
    if len(state.host_frames) > 1:
        turn_host = -torch.linalg.cross(by_point, arm, dim=-1)
        by_host = torch.cat([turn_host, by_point, -by_focal_of_host[..., None]], -1)
    return Residuals(
        seen.targets,
        error,
        information,
        torch.cat([turn, -by_point, seen.image[..., None]], -1),
        by_host,
        seen.image - by_focal_of_host,
        (by_point * arm).sum(-1),
    )


def _weigh(
    information: Float[Tensor, "*batch t a n i i"], rows: Float[Tensor, "*batch t a n 2 k"]
) -> Float[Tensor, "*batch t a n 2 k"]:
    isotropic = information.shape[-1] == 1
    return information * rows if isotropic else information @ rows


def _weighted_square(
    information: Float[Tensor, "*batch t a n i i"], value: Float[Tensor, "*batch t a n 2"]
) -> Float[Tensor, "*batch t a n 2"]:
    """Return numbers whose sum over the last axis is x^T W x."""
    if information.shape[-1] == 1:
        return information[..., 0] * value.square()
    return _weigh(information, value[..., None])[..., 0] * value


def gauss_newton_step(
    residuals: Residuals,
    host_frames: Tensor,
    prior_precision: PriorPrecision,
    offset_from_prior: BundleStep,
) -> BundleStep:
    """Solve the reduced camera system, depths eliminated since each belongs to one point alone.

    Args:
        residuals: Errors and their Jacobians.
        host_frames: (A,) frames of the points.
        prior_precision: Of the first guess.
        offset_from_prior: How far the state is from the first guess already.
    """
    shared, cross = _camera_equations(residuals, host_frames, prior_precision.frames.shape[-2])
    precision, offset = (
        torch.cat([one.frames.flatten(-2), one.log_focal[..., None]], -1)
        for one in (prior_precision, offset_from_prior)
    )
    by_depth, information = residuals.by_log_depth, residuals.information
    weighted = _weigh(information, by_depth[..., None])[..., 0]
    depth_precision = prior_precision.log_depth.flatten(-2)
    depths = NormalEquations(
        _weighted_square(information, by_depth).sum((-4, -1)).flatten(-2)[..., None, None],
        (weighted * residuals.error).sum((-4, -1)).flatten(-2)[..., None],
    ).with_prior(depth_precision[..., None], offset_from_prior.log_depth.flatten(-2)[..., None])
    cameras, log_depth = BlockNormalEquations(
        shared.with_prior(precision, offset), depths, cross[..., None, :]
    ).step()
    return BundleStep(
        cameras[..., :-1].unflatten(-1, (-1, FRAME_PARAMS)),
        cameras[..., -1],
        log_depth.view_as(offset_from_prior.log_depth),
    )


def _camera_equations(
    residuals: Residuals, host_frames: Tensor, free: int
) -> tuple[NormalEquations, Float[Tensor, "*batch m k"]]:
    """Sum J^T J and J^T r over all points, for 7 numbers of each free frame and the log focal.

    A row of J touches its target's and its host's numbers alone, so the sums are over pairs of
    those; 0-1 matrices put them where they belong, frame 0's nowhere.

    Returns:
        The equations, and the second derivatives by A N depths and the k camera numbers.
    """
    by_target, by_host = residuals.by_target, residuals.by_host
    frames = torch.eye(free + 1).to(by_target)[:, 1:]
    target, host = frames[residuals.targets], frames[host_frames]
    weigh = partial(_weigh, residuals.information)
    of_target, of_host = weigh(by_target), None if by_host is None else weigh(by_host)

    def by_frame(value: Tensor) -> Float[Tensor, "*batch k"]:
        points = of_target.flatten(-4, -3), value.flatten(-3, -2)
        found = torch.einsum("...tmic,...tmi->...tc", *points)
        found = torch.einsum("...tc,tf->...fc", found, target)
        if of_host is not None:
            own = torch.einsum("...tanic,...tani->...ac", of_host, value)
            found = found + torch.einsum("...ac,af->...fc", own, host)
        return found.flatten(-2)

    gram = torch.einsum("...tanic,...tanid->...tcd", of_target, by_target)
    gram = torch.einsum("...tcd,tf,tg->...fcgd", gram, target, target)
    depth = residuals.by_log_depth
    cross = torch.einsum("...tanic,...tani->...tcan", of_target, depth)
    cross = torch.einsum("...tcan,tf->...fcan", cross, target)
    if of_host is not None:
        own = torch.einsum("...tanic,...tanid->...acd", of_host, by_host)
        pair = torch.einsum("...tanic,...tanid->...tacd", of_target, by_host)
        pair = torch.einsum("...tacd,tf,ag->...fcgd", pair, target, host)
        own = torch.einsum("...acd,af,ag->...fcgd", own, host, host)
        gram = gram + own + pair + pair.movedim((-2, -1), (-4, -3))
        own = torch.einsum("...tanic,...tani->...can", of_host, depth)
        cross = cross + torch.einsum("...can,af->...fcan", own, host)
    focal, error = residuals.by_log_focal, residuals.error
    of_focal = weigh(focal[..., None])[..., 0]
    column = by_frame(focal)
    corner = (of_focal * focal).sum((-4, -3, -2, -1))[..., None, None]
    gram = torch.cat([gram.flatten(-2).flatten(-3, -2), column[..., None]], -1)
    hessian = torch.cat([gram, torch.cat([column[..., None, :], corner], -1)], -2)
    gradient = torch.cat([by_frame(error), (of_focal * error).sum((-4, -3, -2, -1))[..., None]], -1)
    focal_cross = (of_focal * depth).sum((-4, -1)).flatten(-2)[..., None, :]
    cross = torch.cat([cross.flatten(-2).flatten(-3, -2), focal_cross], -2)
    return NormalEquations(hessian, gradient), cross.mT
