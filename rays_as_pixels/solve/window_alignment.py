"""Join camera paths that overlap, each right up to a similarity of its own, into one.

A window is a set of frames of a long video with a camera for each, in a world frame and a unit of
its own. All windows and all frames are solved for together, in three linear steps as in global
structure from motion (Moulon et al. 2013): first the rotations, which shared frames fix however
little the camera moves (rotation averaging, Hartley et al. 2013); then one scale per window, from
the ratio of the shared frames' extents, as far as those agree in shape; then the centres.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.least_squares import cauchy_weight, linear_least_squares
from rays_as_pixels.geometry.rotations import (
    nearest_rotation,
    rotation_from_vector,
    vector_from_rotation,
)

SCALE_PRIOR = 0.3  # deviation of the logarithm of the ratio of two overlapping windows' units
_MIN_VARIANCE = 1e-12  # of a logarithm of scale: exact data outweigh the prior by 1e11
_ROTATION_STEPS = 8  # of Gauss-Newton
_REWEIGHTS = 6  # rounds that take weight from windows which disagree with all others
_MIN_DRIFT_RAD = math.radians(0.5)  # of one window, however well neighbours agree
_MAX_DRIFT_RATIO = 2.0  # how much further than expected a long window may be from the path so far
_MIN_WEIGHT = 1e-6  # so that a window that nothing else ties is still placed
_CAUCHY_MEDIANS = 6.0  # a window that is so many times as far off as the median counts by half


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
class _WindowCameras:
    """All cameras of all windows in one list: each of one frame by one window.

    Attributes:
        frame: (n,) which frame.
        window: (n,) by which window.
        window_from_cam: Rotation, in the window's own axes.
        center: In the window's own axes and unit.
        num_frames: Of the whole path.
        num_windows: In all.
    """

    frame: Tensor
    window: Tensor
    window_from_cam: Float[Tensor, "n 3 3"]
    center: Float[Tensor, "n 3"]
    num_frames: int
    num_windows: int


def join_windows(
    windows: Sequence[Window], num_frames: int, *, scale_prior: float = SCALE_PRIOR
) -> JoinedPath:
    """Find the path and the similarity of each window that agree best.

    Args:
        windows: Every frame in at least one; all connected by shared frames.
        num_frames: Frames F of the path.
        scale_prior: How much the units of two windows that share frames may differ before it is
            held against them, as a deviation of the logarithm. It decides only where the shared
            frames do not: where the camera hardly moves between them.

    Raises:
        InputError: A frame is in no window or out of range, or the windows fall into parts that
            share no frame.
    """
    listed = _list_cameras(windows, num_frames)
    world_from_window, world_from_cam, weight = _average_rotations(
        listed, *_chain_rotations(listed)
    )
    turned = (world_from_window[listed.window] @ listed.center[..., None]).squeeze(-1)
    log_scale = _solve_log_scales(listed, turned, weight, scale_prior)
    at_start = torch.tensor([w.frames[0] == 0 for w in windows])
    log_scale = log_scale - log_scale[at_start].mean()
    scaled = log_scale.exp()[listed.window, None] * turned
    shift, center, weight = _solve_centers(listed, scaled, weight)
    path = _joined_cameras(windows, listed, world_from_cam, center)
    angle = vector_from_rotation(
        world_from_cam[listed.frame].mT @ world_from_window[listed.window] @ listed.window_from_cam
    ).norm(dim=-1)
    distance = (shift[listed.window] + scaled - center[listed.frame]).norm(dim=-1)
    return JoinedPath(
        cameras=path.relative_to(0),
        scale=log_scale.exp(),
        weight=weight,
        rotation_rad=_rms_by(angle, listed.frame, num_frames),
        position=_rms_by(distance, listed.frame, num_frames),
    )


def misfit_rad(window: Window, cameras: Cameras) -> float:
    """Return the root mean square angle between a window and a path, best turned onto it."""
    path = cameras.world_from_cam[torch.tensor(window.frames), :3, :3]
    window_from_cam = window.cameras.world_from_cam[:, :3, :3].to(path)
    world_from_window = nearest_rotation((path @ window_from_cam.mT).sum(0))  # chordal mean
    angle = vector_from_rotation(path.mT @ world_from_window @ window_from_cam).norm(dim=-1)
    return float(angle.square().mean().sqrt())


def join_levels(levels: Sequence[Sequence[Window]], num_frames: int) -> JoinedPath:
    """Join windows of neighbouring frames, then those of ever longer strides that fit.

    A long window sees a long motion at once, with one error in place of many; but where its frames
    share too little, what it says is made up. It is taken in if it is no further from the path so
    far than that path may have drifted: the disagreement of the shortest windows, or
    `_MIN_DRIFT_RAD`, grown by the square root of how many of them lie along it.

    Args:
        levels: Windows by stride, the shortest first, which must cover every frame.
        num_frames: Frames F of the path.

    Returns:
        The path; `weight` holds 0 for windows that were left out, in the order given.

    Raises:
        InputError: See `join_windows`.
    """
    taken = list(levels[0])
    joined = join_windows(taken, num_frames)
    error = max(_MIN_DRIFT_RAD, float(joined.rotation_rad.square().mean().sqrt()))
    kept = [True] * len(taken)
    for level in levels[1:]:
        for window in level:
            along = max(1.0, (window.frames[-1] - window.frames[0]) / (len(window.frames) - 1))
            fits = misfit_rad(window, joined.cameras) <= _MAX_DRIFT_RATIO * error * math.sqrt(along)
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


def _list_cameras(windows: Sequence[Window], num_frames: int) -> _WindowCameras:
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
    return _WindowCameras(frame, index, pose[:, :3, :3], pose[:, :3, 3], num_frames, len(windows))


def _chain_rotations(
    cameras: _WindowCameras,
) -> tuple[Float[Tensor, "w 3 3"], Float[Tensor, "f 3 3"]]:
    """Place one window after the other, that with the most placed frames next: a first guess."""
    world_from_window = torch.eye(3, dtype=torch.float64).repeat(cameras.num_windows, 1, 1)
    world_from_cam = torch.eye(3, dtype=torch.float64).repeat(cameras.num_frames, 1, 1)
    placed = torch.zeros(cameras.num_frames, dtype=torch.bool)
    waiting = torch.ones(cameras.num_windows, dtype=torch.bool)
    window = 0
    while True:
        own = cameras.window == window
        shared = own & placed[cameras.frame]
        if bool(shared.any()):
            relative = world_from_cam[cameras.frame[shared]] @ cameras.window_from_cam[shared].mT
            world_from_window[window] = nearest_rotation(relative.sum(0))
        new = own & ~placed[cameras.frame]
        turned = world_from_window[window] @ cameras.window_from_cam[new]
        world_from_cam[cameras.frame[new]] = turned
        placed[cameras.frame[own]] = True
        waiting[window] = False
        if not bool(waiting.any()):
            return world_from_window, world_from_cam
        num_placed = torch.zeros(cameras.num_windows, dtype=torch.long)
        num_placed.index_add_(0, cameras.window, placed[cameras.frame].long())
        window = int(torch.where(waiting, num_placed, -1).argmax())
        if num_placed[window] == 0:
            raise InputError(
                "windows must be connected by shared frames; got one that begins at frame "
                f"{int(cameras.frame[cameras.window == window][0])} and shares none. "
                "Let them overlap."
            )


def _incidence(cameras: _WindowCameras) -> Float[Tensor, "n unknowns"]:
    """Rows that take a frame's number from a window's: unknowns are the windows, then frames."""
    row = torch.arange(len(cameras.frame))
    columns = cameras.num_windows + cameras.num_frames
    matrix = torch.zeros(len(row), columns, dtype=torch.float64)
    matrix[row, cameras.window] = 1.0
    matrix[row, cameras.num_windows + cameras.frame] = -1.0
    return matrix


def _solve_differences(
    matrix: Float[Tensor, "n unknowns"],
    weight: Float[Tensor, "n"],
    target: Float[Tensor, "n k"],
) -> Float[Tensor, "unknowns k"]:
    """Least squares of `matrix` x = `target` with the first unknown at zero.

    Differences alone are observed, so one unknown is free to choose (the gauge).
    """
    found = linear_least_squares(matrix[:, 1:], target, weight)
    return torch.nn.functional.pad(found, (0, 0, 1, 0))


def _window_weights(cameras: _WindowCameras, error: Float[Tensor, "n"]) -> Float[Tensor, "w"]:
    """Weights that fall with how far a window is off the joined path."""
    rms = _rms_by(error, cameras.window, cameras.num_windows)
    scale = _CAUCHY_MEDIANS * rms.median().clamp_min(1e-9)
    return cauchy_weight(rms**2, scale**2).clamp_min(_MIN_WEIGHT)


def _average_rotations(
    cameras: _WindowCameras,
    world_from_window: Float[Tensor, "w 3 3"],
    world_from_cam: Float[Tensor, "f 3 3"],
) -> tuple[Float[Tensor, "w 3 3"], Float[Tensor, "f 3 3"], Float[Tensor, "w"]]:
    """Rotation averaging by Gauss-Newton on the rotation vectors of windows and frames.

    A camera i of window w asks that W_w R_wi P_i^T be the identity. With W <- exp(a) W and
    P <- exp(b) P its logarithm e becomes e + a_w - b_i to first order, linear in both (Hartley et
    al. 2013, section 7). Rounds that reweight windows make it robust.
    """
    matrix = _incidence(cameras)
    weight = torch.ones(cameras.num_windows, dtype=torch.float64)
    for step in range(_ROTATION_STEPS + _REWEIGHTS):
        left = world_from_window[cameras.window] @ cameras.window_from_cam
        error = vector_from_rotation(left @ world_from_cam[cameras.frame].mT)
        if step >= _ROTATION_STEPS // 2:
            weight = _window_weights(cameras, error.norm(dim=-1))
        change = _solve_differences(matrix, weight[cameras.window], -error)
        of_windows, of_frames = rotation_from_vector(change).split(
            [cameras.num_windows, cameras.num_frames]
        )
        world_from_window = nearest_rotation(of_windows @ world_from_window)
        world_from_cam = nearest_rotation(of_frames @ world_from_cam)
    return world_from_window, world_from_cam, weight


def _solve_log_scales(
    cameras: _WindowCameras,
    turned: Float[Tensor, "n 3"],
    weight: Float[Tensor, "w"],
    scale_prior: float,
) -> Float[Tensor, "w"]:
    """Least squares over all pairs of windows that share frames; the first window's is 0."""
    table = torch.full((cameras.num_windows, cameras.num_frames), -1)
    table[cameras.window, cameras.frame] = torch.arange(len(cameras.frame))
    rows, ratios, precisions = [], [], []
    for one in range(cameras.num_windows):
        both = (table[one] >= 0) & (table[one + 1 :] >= 0)
        for other in (both.sum(-1) >= 2).nonzero().flatten().tolist():
            frames = both[other].nonzero().flatten()
            second = one + 1 + other
            ratio, precision = _log_ratio(turned[table[one, frames]], turned[table[second, frames]])
            rows.append((one, second))
            posterior = precision + scale_prior**-2
            ratios.append(ratio * precision / posterior)
            precisions.append(posterior * float(weight[one] * weight[second]))
    matrix = torch.zeros(len(rows), cameras.num_windows, dtype=torch.float64)
    pairs = torch.tensor(rows).reshape(-1, 2)
    matrix[torch.arange(len(rows)), pairs[:, 1]] = 1.0
    matrix[torch.arange(len(rows)), pairs[:, 0]] = -1.0
    # Windows that share a single frame with the others keep their unit: a weak pull towards 0.
    pull = torch.eye(cameras.num_windows, dtype=torch.float64) * 1e-6
    matrix = torch.cat([matrix, pull])
    target = torch.tensor([*ratios, *[0.0] * cameras.num_windows], dtype=torch.float64)
    level = torch.tensor([*precisions, *[1.0] * cameras.num_windows], dtype=torch.float64)
    return _solve_differences(matrix, level / level.max(), target[:, None]).squeeze(-1)


def _log_ratio(one: Float[Tensor, "n 3"], other: Float[Tensor, "n 3"]) -> tuple[float, float]:
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


def _solve_centers(
    cameras: _WindowCameras, scaled: Float[Tensor, "n 3"], weight: Float[Tensor, "w"]
) -> tuple[Float[Tensor, "w 3"], Float[Tensor, "f 3"], Float[Tensor, "w"]]:
    """Solve t_w + s_w W_w c_wi = c_i for the shifts t and the centres c, robustly."""
    matrix = _incidence(cameras)
    of_rotations = weight
    found = torch.zeros(cameras.num_windows + cameras.num_frames, 3)
    for _ in range(_REWEIGHTS):
        found = _solve_differences(matrix, weight[cameras.window], -scaled)
        error = scaled + matrix @ found
        weight = of_rotations * _window_weights(cameras, error.norm(dim=-1))
    return found[: cameras.num_windows], found[cameras.num_windows :], weight


def _joined_cameras(
    windows: Sequence[Window],
    cameras: _WindowCameras,
    world_from_cam: Float[Tensor, "f 3 3"],
    center: Float[Tensor, "f 3"],
) -> Cameras:
    """Put poses and, as means over windows, intrinsics together."""
    first = windows[0].cameras
    focal = torch.cat([w.cameras.focal_px.to("cpu", torch.float64) for w in windows])
    principal = torch.cat([w.cameras.center_px.to("cpu", torch.float64) for w in windows])
    return Cameras(
        rigid(world_from_cam, center),
        _mean_by(focal.log(), cameras.frame, cameras.num_frames).exp(),
        _mean_by(principal, cameras.frame, cameras.num_frames),
        first.height,
        first.width,
    )


def _mean_by(values: Float[Tensor, "n 2"], group: Tensor, count: int) -> Float[Tensor, "g 2"]:
    total = values.new_zeros(count, values.shape[1]).index_add_(0, group, values)
    return total / torch.bincount(group, minlength=count)[:, None]


def _rms_by(values: Float[Tensor, "n"], group: Tensor, count: int) -> Float[Tensor, "g"]:
    total = values.new_zeros(count).index_add_(0, group, values**2)
    return (total / torch.bincount(group, minlength=count)).sqrt()
