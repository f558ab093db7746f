"""Points of the scene under a camera path: true ones of rendered worlds, or estimated ones.

An example comes with points of the world it was rendered from; those of a visitor's video are what
its first frame shows, at the depths found with its path, or, where the path keeps none, lie where
matched features meet along it. They are no better than that path.
"""

import functools
import hashlib
import itertools
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from gradio.utils import get_upload_folder
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import write_cloud
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.estimate_every_frame import POINTS
from rays_as_pixels.app.page.library import Library, Result, frames_of
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.datasets.matching import Matcher, has_opencv
from rays_as_pixels.datasets.two_views import sampson_px, triangulate
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native
from rays_as_pixels.viz.cloud import PointCloud
from rays_as_pixels.viz.path_view.value import ScenePoints

WORLD_OF_ESTIMATE = ("estimated", "edited", "generated", "looped", "again", "truth")
LARGEST_SIDE_PX = 640
MOST_KEYFRAMES = 17
GAPS = (2, 4, 8)  # frames between the two that a point is seen in
LEAST_ANGLE_RAD = math.radians(1.0)
AGREE_SHARE = 0.01  # of the image's width that a match may lie off its epipolar line
FARTHEST = 4.0  # scene units from the first camera; a wider scene would make the path a dot
REACHES = 3.0  # of a longer path, within which its points are shown
FEWEST = 12
MOST_TRACKED = 20_000
MOST_KEPT = 64  # clouds in memory, of some 100 kB each
MOST_POINTS = 4000  # of a first frame's pixels
EDGE = 0.1  # logarithm of depth between neighbours; pixels at such an edge lie between two things


def points_of(session: Session, library: Library) -> ScenePoints | None:
    """Return the points that belong under the session's main path, None where none could."""
    if session.main not in WORLD_OF_ESTIMATE:
        return None
    if session.example in library.examples:
        shipped = library.examples[session.example].clip.parent / POINTS
        if shipped.is_file():
            return ScenePoints(_shipped(shipped), i18n.both("points_true", far=f"{FARTHEST:g}"))
    result = library.find(session.estimate, session.visitor)
    if result is None:
        return None
    kept = library.points
    if result.reference not in kept:
        kept[result.reference] = _estimated(result)
        while len(kept) > MOST_KEPT:
            kept.pop(next(iter(kept)))
    return kept[result.reference]


def editor_cloud(points: ScenePoints | None) -> Path | None:
    """Write the points for the path editor, and return the file; None if there are none.

    The same points are written once: the file is named by what it holds.
    """
    if points is None or points.cloud is None:
        return None
    cloud = points.cloud
    digest = hashlib.sha256(cloud.points.to(torch.float32).numpy().tobytes()).hexdigest()[:20]
    place = Path(get_upload_folder()) / f"points-{digest}.bin"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            written = write_cloud(Path(folder) / place.name, cloud.points, cloud.colors)
            written.replace(place)
    return place


@functools.lru_cache(maxsize=8)
def _shipped(path: Path) -> PointCloud:
    cloud = _read(path)
    near = cloud.points.norm(dim=1) < FARTHEST
    assert cloud.colors is not None
    return PointCloud(cloud.points[near], cloud.colors[near])


def _estimated(result: Result) -> ScenePoints:
    path_file = result.file(tasks.TRAJECTORY)
    if result.file(POINTS) is not None and path_file is not None:
        cloud = _tracked(result.folder / POINTS, read_native(path_file))
        return ScenePoints(cloud, i18n.both("points_tracked"))
    try:
        frames = frames_of(result)
        path = None if path_file is None else read_native(path_file)
        if path is not None and result.sampled:
            path = path.picked(result.sampled)
        depth = None if path_file is None else depth_of_path(path_file)
    except InputError:  # damaged or cleaned up: the view goes without points
        path = depth = None
    if path is None or len(path) != len(frames):
        return ScenePoints(None, i18n.both("points_none"))
    if depth is not None:
        cloud = points_at(depth, frames[0], path.cameras[0])
        return ScenePoints(cloud, i18n.both("points_depth", far=f"{FARTHEST:g}"))
    if not has_opencv():
        return ScenePoints(None, i18n.both("points_need_opencv"))
    cloud, agree, matches = points_along(path, frames)
    if len(cloud.points) < FEWEST:
        return ScenePoints(None, i18n.both("points_none"))
    words = {"share": f"{100 * agree / matches:.0f}", "far": f"{FARTHEST:g}"}
    return ScenePoints(cloud, i18n.both("points_triangulated", **words))


def _tracked(file: Path, path: Trajectory) -> PointCloud:
    """Read the points that an estimate of every frame kept, without those far from its path."""
    cloud = _read(file)
    away = (cloud.points - path.positions.double().median(dim=0).values).norm(dim=1)
    reach = (path.positions - path.positions[0]).norm(dim=1).max().item()
    near = away <= max(FARTHEST, REACHES * reach)
    colors = None if cloud.colors is None else cloud.colors[near]
    return PointCloud(cloud.points[near], colors).thinned(MOST_TRACKED)


def _read(file: Path) -> PointCloud:
    with np.load(file, allow_pickle=False) as kept:
        points = torch.from_numpy(kept["xyz"].astype(np.float64))
        return PointCloud(points, torch.from_numpy(kept["rgb"].astype(np.float32)) / 255)


def points_at(
    depth: Float[Tensor, "rows columns"],
    frame: Float[Tensor, "3 h w"],
    camera: Cameras,
) -> PointCloud:
    """Put what a frame shows at its depths, in the world of its camera.

    Left out is what is farther than FARTHEST, and where depths change by more than EDGE.

    Args:
        depth: Along the camera's axis, in scene units, on a grid over the frame.
        frame: In [0, 1].
        camera: One.
    """
    rows, columns = depth.shape
    colors = torch.nn.functional.interpolate(frame[None], (rows, columns), mode="area")[0]
    small = camera.to(device="cpu", dtype=torch.float64).resized(height=rows, width=columns)
    ray = rays_in_cam(small.focal_px, small.center_px, height=rows, width=columns)
    at = ray / ray[..., 2:] * depth[..., None].double()
    world_from_cam = small.world_from_cam
    points = at @ world_from_cam[:3, :3].mT + world_from_cam[:3, 3]
    image = depth.log()[None, None]
    least, most = (
        torch.nn.functional.max_pool2d(sign * image, 3, 1, 1)[0, 0] for sign in (-1.0, 1.0)
    )
    kept = (most + least < EDGE) & (points.norm(dim=-1) < FARTHEST)
    return PointCloud(points[kept], colors.movedim(0, -1)[kept].double()).thinned(MOST_POINTS)


def points_along(
    path: Trajectory, frames: Float[Tensor, "frames 3 h w"]
) -> tuple[PointCloud, int, int]:
    """Triangulate matched features along a path.

    Kept are points seen under an angle of 1 degree or more, in front of both cameras and nearer to
    the first camera than FARTHEST, whose match lies within AGREE_SHARE of the image's width of its
    epipolar line.

    Args:
        path: One camera per frame.
        frames: Values in [0, 1].

    Returns:
        The points with the colours of their first frame; how many matches agree with the path (not
        all of those show parallax); how many matches there are.

    Raises:
        InputError: OpenCV is not installed.
    """
    numbers = _keyframes(len(path))
    frames, cameras = _small(frames[numbers], path.cameras[torch.tensor(numbers)])
    matcher = Matcher(frames, range(len(numbers)))
    pairs = [(k, k + gap) for gap in GAPS for k in range(len(numbers) - gap)]
    pairs = pairs or list(itertools.pairwise(range(len(numbers))))
    found, colors, agree, total = [], [], 0, 0
    for first, second in pairs:
        matches = matcher.match(first, second)
        points = triangulate(cameras, matches)
        near_line = sampson_px(cameras, matches) < AGREE_SHARE * cameras.width
        good = near_line & (points.angle_rad > LEAST_ANGLE_RAD)
        good &= (points.depth > 0).all(dim=1) & (points.xyz.norm(dim=1) < FARTHEST)
        column, row = matches.first_px[good].floor().long().unbind(1)
        found.append(points.xyz[good])
        colors.append(frames[first][:, row, column].T)
        agree, total = agree + int(near_line.sum()), total + len(near_line)
    if not found:
        return PointCloud(torch.zeros(0, 3, dtype=torch.float64)), 0, 0
    return PointCloud(torch.cat(found), torch.cat(colors).double()), agree, total


def _keyframes(count: int) -> list[int]:
    return torch.linspace(0, count - 1, min(count, MOST_KEYFRAMES)).round().long().tolist()


def _small(frames: Tensor, cameras: Cameras) -> tuple[Tensor, Cameras]:
    height, width = frames.shape[-2:]
    scale = min(1.0, LARGEST_SIDE_PX / max(height, width))
    size = (round(height * scale), round(width * scale))
    if scale < 1:
        frames = torch.nn.functional.interpolate(frames, size, mode="bilinear", antialias=True)
    return frames, cameras.resized(height=size[0], width=size[1])
