"""Join camera paths that overlap, each known up to its own similarity, into one.

A window is a set of frames of a long video with a camera for each, in a world frame and a unit of
its own. All windows and all frames are solved for together: first the rotations, which shared
frames fix however little the camera moves; then one scale per window, from the ratio of the shared
frames' extents, as far as those agree in shape; then the centres, which are linear in what is left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import (
    nearest_rotation,
    rotation_from_vector,
    vector_from_rotation,
)

SCALE_PRIOR = 0.3  # deviation of the logarithm of the ratio of two overlapping windows' units
_MIN_VARIANCE = 1e-12  # of a logarithm of scale: exact data outweigh the prior by 1e11
_TURNS = 8  # Gauss-Newton steps for rotations
_REWEIGHTS = 6  # rounds that take weight from windows which disagree with all others
_LEAST_DRIFT_RAD = math.radians(0.5)  # of one window, however well neighbours agree
_TOLERANCE = 2.0  # how much further than expected a long window may be from the path so far
_DOUBT = 6.0  # a window that disagrees so many times as much as the middle one counts by half


@dataclass(frozen=True, eq=False)
class Window:
    """Cameras of some frames of a longer path.

    Attributes:
        frames: Their numbers in the longer path, increasing.
        cameras: (n,) one per frame, in any world frame and unit.
    """

    frames: tuple[int, ...]
    cameras: Cameras


@dataclass(frozen=True, eq=False)
class JoinedPath:
    """One path out of many windows.

    Attributes:
        cameras: (F,) frame 0 is the identity; the unit is that of the windows which begin there.
        scale: (W,) what each window's lengths were multiplied by.
        weight: (W,) in (0, 1]: small for windows that disagree with the others.
        rotation_rad: (F,) root mean square angle between the windows' cameras at a frame and the
            joined one; 0 where a single window has it.
        position: (F,) the same for the centres.
    """

    cameras: Cameras
    scale: Float[Tensor, "windows"]
    weight: Float[Tensor, "windows"]
    rotation_rad: Float[Tensor, "frames"]
    position: Float[Tensor, "frames"]


@dataclass(frozen=True, eq=False)
class _Views:
    """All cameras of all windows in one list: n views, each of one frame by one window."""

    frame: Tensor
    window: Tensor
    rotation: Float[Tensor, "n 3 3"]
    centre: Float[Tensor, "n 3"]
    num_frames: int
    num_windows: int


def join_windows(
    windows: Sequence[Window], num_frames: int, *, scale_prior: float = SCALE_PRIOR
) -> JoinedPath:
    """Find the path and the similarity of each window that agree best.

    Args:
        windows: Every frame in at least one; all connected by shared frames.
        num_frames: Frames F of the whole path.
        scale_prior: How much the units of two windows that share frames may differ before it is
            held against them, as a deviation of the logarithm. It decides only where the shared
            frames do not: where the camera hardly moves between them.

    Raises:
        InputError: A frame is in no window or out of range, or the windows fall into parts that
            share no frame.
    """
    views = _listed(windows, num_frames)
    turn, pose_turn = _first_turns(views)
    turn, pose_turn, weight = _solved_turns(views, turn, pose_turn)
    turned = (turn[views.window] @ views.centre[..., None]).squeeze(-1)
    log_scale = _log_scales(views, turned, weight, scale_prior)
    at_start = torch.tensor([w.frames[0] == 0 for w in windows])
    log_scale = log_scale - log_scale[at_start].mean()
    scaled = log_scale.exp()[views.window, None] * turned
    shift, centre, weight = _solved_centres(views, scaled, weight)
    cameras = _assembled(windows, views, pose_turn, centre)
    angle = vector_from_rotation(
        pose_turn[views.frame].mT @ turn[views.window] @ views.rotation
    ).norm(dim=-1)
    distance = (shift[views.window] + scaled - centre[views.frame]).norm(dim=-1)
    return JoinedPath(
        cameras=cameras.relative_to(0),
        scale=log_scale.exp(),
        weight=weight,
        rotation_rad=_rms_by(angle, views.frame, num_frames),
        position=_rms_by(distance, views.frame, num_frames),
    )


def misfit_rad(window: Window, cameras: Cameras) -> float:
    """Return the root mean square angle between a window and a path, best turned onto it."""
    path = cameras.world_from_cam[torch.tensor(window.frames), :3, :3]
    mine = window.cameras.world_from_cam[:, :3, :3].to(path)
    turn = nearest_rotation((path @ mine.mT).sum(0))
    angle = vector_from_rotation(path.mT @ turn @ mine).norm(dim=-1)
    return float(angle.square().mean().sqrt())


def join_levels(levels: Sequence[Sequence[Window]], num_frames: int) -> JoinedPath:
    """Join windows of neighbouring frames, then those of ever longer strides that fit.

    A long window sees a long motion at once, with one error in place of many; but where its frames
    share too little, what it says is made up. It is taken in if it is no further from the path so
    far than that path may have drifted: the disagreement of the shortest windows, or
    `_LEAST_DRIFT_RAD`, grown by the square root of how many of them lie along it.

    Args:
        levels: Windows by stride, the shortest first, which must cover every frame.
        num_frames: Frames F of the whole path.

    Returns:
        The path; `weight` holds 0 for windows that were left out, in the order given.

    Raises:
        InputError: See `join_windows`.
    """
    taken = list(levels[0])
    joined = join_windows(taken, num_frames)
    error = max(_LEAST_DRIFT_RAD, float(joined.rotation_rad.square().mean().sqrt()))
    kept = [True] * len(taken)
    for level in levels[1:]:
        for window in level:
            along = max(1.0, (window.frames[-1] - window.frames[0]) / (len(window.frames) - 1))
            fits = misfit_rad(window, joined.cameras) <= _TOLERANCE * error * math.sqrt(along)
            kept.append(fits)
            if fits:
                taken.append(window)
        joined = join_windows(taken, num_frames)
    weights = iter(joined.weight.tolist())
    scales = iter(joined.scale.tolist())
    return replace(
        joined,
        weight=torch.tensor([next(weights) if k else 0.0 for k in kept], dtype=torch.float64),
        scale=torch.tensor([next(scales) if k else 1.0 for k in kept], dtype=torch.float64),
    )


def _listed(windows: Sequence[Window], num_frames: int) -> _Views:
    for window in windows:
        if window.cameras.batch_shape != (len(window.frames),):
            raise InputError(
                f"a window must hold one camera per frame; got {window.cameras.batch_shape} for "
                f"{len(window.frames)} frames. Give the frames that were estimated."
            )
    frame = torch.tensor([f for w in windows for f in w.frames])
    missing = sorted(set(range(num_frames)) - set(frame.tolist()))
    if missing or not len(frame) or int(frame.max()) >= num_frames:
        raise InputError(
            f"windows must cover the frames 0 to {num_frames - 1} and no others; got "
            f"{f'none with frame {missing[0]}' if missing else f'frame {int(frame.max())}'}. "
            "Let the last window end at the last frame."
        )
    pose = torch.cat([w.cameras.world_from_cam.to("cpu", torch.float64) for w in windows])
    index = torch.cat([torch.full((len(w.frames),), k) for k, w in enumerate(windows)])
    return _Views(frame, index, pose[:, :3, :3], pose[:, :3, 3], num_frames, len(windows))


def _first_turns(views: _Views) -> tuple[Float[Tensor, "w 3 3"], Float[Tensor, "f 3 3"]]:
    """Place one window after the other, that with the most placed frames next."""
    turn = torch.eye(3, dtype=torch.float64).repeat(views.num_windows, 1, 1)
    pose = torch.eye(3, dtype=torch.float64).repeat(views.num_frames, 1, 1)
    placed = torch.zeros(views.num_frames, dtype=torch.bool)
    waiting = torch.ones(views.num_windows, dtype=torch.bool)
    nearest = 0
    while True:
        mine = views.window == nearest
        shared = mine & placed[views.frame]
        if bool(shared.any()):
            between = pose[views.frame[shared]] @ views.rotation[shared].mT
            turn[nearest] = nearest_rotation(between.sum(0))
        new = mine & ~placed[views.frame]
        pose[views.frame[new]] = turn[nearest] @ views.rotation[new]
        placed[views.frame[mine]] = True
        waiting[nearest] = False
        if not bool(waiting.any()):
            return turn, pose
        known = torch.zeros(views.num_windows, dtype=torch.long)
        known.index_add_(0, views.window, placed[views.frame].long())
        nearest = int(torch.where(waiting, known, -1).argmax())
        if known[nearest] == 0:
            raise InputError(
                "windows must be connected by shared frames; got one that begins at frame "
                f"{int(views.frame[views.window == nearest][0])} and shares none. Let them overlap."
            )


def _incidence(views: _Views) -> Float[Tensor, "n unknowns"]:
    """Rows that take a frame's number from a window's: unknowns are the windows, then frames."""
    row = torch.arange(len(views.frame))
    matrix = torch.zeros(len(row), views.num_windows + views.num_frames, dtype=torch.float64)
    matrix[row, views.window] = 1.0
    matrix[row, views.num_windows + views.frame] = -1.0
    return matrix


def _differences(
    matrix: Float[Tensor, "n unknowns"],
    weight: Float[Tensor, "n"],
    wanted: Float[Tensor, "n 3"],
) -> Float[Tensor, "unknowns 3"]:
    """Least squares of `matrix` x = `wanted` with the first unknown at zero."""
    rows = matrix[:, 1:]
    normal = rows.T @ (weight[:, None] * rows)
    found = torch.linalg.solve(normal, rows.T @ (weight[:, None] * wanted))
    return torch.cat([found.new_zeros(1, wanted.shape[1]), found])


def _reweighted(views: _Views, size: Float[Tensor, "n"]) -> Float[Tensor, "w"]:
    """Weights that fall with how far a window is off the joined path (Cauchy's)."""
    rms = _rms_by(size, views.window, views.num_windows)
    unit = _DOUBT * rms.median().clamp_min(1e-9)
    return 1 / (1 + (rms / unit) ** 2)


def _solved_turns(
    views: _Views, turn: Float[Tensor, "w 3 3"], pose: Float[Tensor, "f 3 3"]
) -> tuple[Float[Tensor, "w 3 3"], Float[Tensor, "f 3 3"], Float[Tensor, "w"]]:
    """Rotation averaging: Gauss-Newton on the rotation vectors between windows and frames."""
    matrix = _incidence(views)
    weight = torch.ones(views.num_windows, dtype=torch.float64)
    for step in range(_TURNS + _REWEIGHTS):
        between = turn[views.window] @ views.rotation @ pose[views.frame].mT
        error = vector_from_rotation(between)
        if step >= _TURNS // 2:
            weight = _reweighted(views, error.norm(dim=-1))
        change = rotation_from_vector(_differences(matrix, weight[views.window], -error))
        turn = nearest_rotation(change[: views.num_windows] @ turn)
        pose = nearest_rotation(change[views.num_windows :] @ pose)
    return turn, pose, weight


def _log_scales(
    views: _Views, turned: Float[Tensor, "n 3"], weight: Float[Tensor, "w"], prior: float
) -> Float[Tensor, "w"]:
    """Least squares over all pairs of windows that share frames; the first window's is 0."""
    table = torch.full((views.num_windows, views.num_frames), -1)
    table[views.window, views.frame] = torch.arange(len(views.frame))
    rows, wanted, strength = [], [], []
    for one in range(views.num_windows):
        both = (table[one] >= 0) & (table[one + 1 :] >= 0)
        for other in (both.sum(-1) >= 2).nonzero().flatten().tolist():
            frames = both[other].nonzero().flatten()
            second = one + 1 + other
            ratio, precision = _ratio(turned[table[one, frames]], turned[table[second, frames]])
            rows.append((one, second))
            certain = precision + prior**-2
            wanted.append(ratio * precision / certain)
            strength.append(certain * float(weight[one] * weight[second]))
    matrix = torch.zeros(len(rows), views.num_windows, dtype=torch.float64)
    pairs = torch.tensor(rows).reshape(-1, 2)
    matrix[torch.arange(len(rows)), pairs[:, 1]] = 1.0
    matrix[torch.arange(len(rows)), pairs[:, 0]] = -1.0
    # Windows that share a single frame with the others keep their unit: a weak pull towards 0.
    pull = torch.eye(views.num_windows, dtype=torch.float64) * 1e-6
    matrix = torch.cat([matrix, pull])
    target = torch.tensor([*wanted, *[0.0] * views.num_windows], dtype=torch.float64)
    level = torch.tensor([*strength, *[1.0] * views.num_windows], dtype=torch.float64)
    level = level / level.max()
    return _differences(matrix, level, target[:, None]).squeeze(-1)


def _ratio(one: Float[Tensor, "n 3"], other: Float[Tensor, "n 3"]) -> tuple[float, float]:
    """Logarithm of the factor that takes `other` to the size of `one`, and its precision.

    The factor is that of Horn (1987), symmetric in the two, so that noise shrinks neither. Where
    the two centred and normalised shapes differ by a squared distance q, their correlation is
    1 - q/2, and the logarithm's variance about q / N over N coordinates where q is small. It is
    blown up as the correlation falls: shapes that do not agree say nothing about scale.
    """
    a, b = one - one.mean(0), other - other.mean(0)
    size_a, size_b = float(a.norm()), float(b.norm())
    if min(size_a, size_b) < 1e-12:
        return 0.0, 0.0
    q = float(((a / size_a - b / size_b) ** 2).sum())
    correlation = 1 - q / 2
    if correlation <= 0:
        return 0.0, 0.0
    coordinates = 3 * (len(one) - 1)
    variance = q / coordinates / correlation**2
    return math.log(size_a / size_b), 1 / max(variance, _MIN_VARIANCE)


def _solved_centres(
    views: _Views, scaled: Float[Tensor, "n 3"], weight: Float[Tensor, "w"]
) -> tuple[Float[Tensor, "w 3"], Float[Tensor, "f 3"], Float[Tensor, "w"]]:
    """Solve t_w + s_w Q_w c_wi = c_i for the shifts t and the centres c."""
    matrix = _incidence(views)
    given, found = weight, torch.zeros(views.num_windows + views.num_frames, 3)
    for _ in range(_REWEIGHTS):
        found = _differences(matrix, weight[views.window], -scaled)
        error = scaled + matrix @ found
        weight = given * _reweighted(views, error.norm(dim=-1))
    return found[: views.num_windows], found[views.num_windows :], weight


def _assembled(
    windows: Sequence[Window], views: _Views, rotation: Tensor, centre: Tensor
) -> Cameras:
    """Put poses and, as means over windows, intrinsics together."""
    first = windows[0].cameras
    focal = torch.cat([w.cameras.focal_px.to("cpu", torch.float64) for w in windows])
    center = torch.cat([w.cameras.center_px.to("cpu", torch.float64) for w in windows])
    return Cameras(
        rigid(rotation, centre),
        _mean_by(focal.log(), views.frame, views.num_frames).exp(),
        _mean_by(center, views.frame, views.num_frames),
        first.height,
        first.width,
    )


def _mean_by(values: Float[Tensor, "n 2"], group: Tensor, count: int) -> Float[Tensor, "g 2"]:
    total = values.new_zeros(count, values.shape[1]).index_add_(0, group, values)
    return total / torch.bincount(group, minlength=count)[:, None]


def _rms_by(values: Float[Tensor, "n"], group: Tensor, count: int) -> Float[Tensor, "g"]:
    total = values.new_zeros(count).index_add_(0, group, values**2)
    return (total / torch.bincount(group, minlength=count)).sqrt()
