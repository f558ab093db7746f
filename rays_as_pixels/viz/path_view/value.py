"""Everything the path view shows, as one JSON text: paths, errors, pictures, uncertainty.

Made in Python, so that every number on screen is one of `metrics` and `geometry`; the browser only
draws. The text holds no `<`, so that it can stand inside a page's script.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.native import native_text
from rays_as_pixels.viz.cloud import PointCloud, cloud_trace
from rays_as_pixels.viz.colors import OTHER_COLORS, themed_colorscale
from rays_as_pixels.viz.frusta import frustum_depth, frustum_vertices
from rays_as_pixels.viz.ground import grid_step, ground_trace, scene_box
from rays_as_pixels.viz.images import images_from_raxels
from rays_as_pixels.viz.path_view.errors import path_errors
from rays_as_pixels.viz.path_view.page import view_words
from rays_as_pixels.viz.path_view.sprites import sprite_of
from rays_as_pixels.viz.traces import current_trace, frusta_trace, lay_out, path_trace
from rays_as_pixels.viz.uncertainty import tube_trace
from rays_as_pixels.viz.words import LANGUAGES

VERSION = 1
MOST_FRAMES = 5000
Label = str | dict[str, str]


class Spread(Protocol):
    """What is shown of `outputs.PoseStd`."""

    @property
    def rotation_rad(self) -> Float[Tensor, "frames"]: ...

    @property
    def position(self) -> Float[Tensor, "frames"]: ...


@dataclass(frozen=True)
class ScenePoints:
    """Points of the scene, or why there are none.

    Attributes:
        cloud: In the world of the paths; thinned to 2000, which the view says. None for none.
        words: Where the points come from, or why there are none; None says nothing.
    """

    cloud: PointCloud | None
    words: Label | None = None


class OtherPath(NamedTuple):
    """A path that is drawn over the main one.

    Attributes:
        label: What to call it.
        trajectory: In the same world frame as the main path.
        is_error: Whether one of the two is the truth: what differs is then called an error.
    """

    label: Label
    trajectory: Trajectory
    is_error: bool = False


@dataclass(frozen=True)
class _Layer:
    trajectory: Trajectory
    label: dict[str, str]
    color: str | None  # None: coloured by time
    is_error: bool = False

    @property
    def prefix(self) -> str:
        return "" if self.color is None else f"other{OTHER_COLORS.index(self.color) + 1}-"


def path_view_value(
    main: Trajectory,
    *,
    label: Label | None = None,
    others: Sequence[OtherPath | tuple[Label, Trajectory]] = (),
    images: Float[Tensor, "frames 3 _ _"] | None = None,
    raxels: Float[Tensor, "frames 3 _ _"] | None = None,
    spread: Spread | None = None,
    points: ScenePoints | None = None,
    video_time_sec: Sequence[float] | None = None,
) -> str:
    """Return the value of a path view.

    Args:
        main: The path that is coloured by time.
        label: What to call it: one text, or one per language; None for "Estimated path".
        others: Up to two paths in the same world frame. How they differ is given for every frame
            of `main` that both cover (`path_errors`), if these are two or more.
        images: The frames, in [0, 1], one per camera of `main`.
        raxels: Raxels of the same frames, as the model gives them (not yet pictures).
        spread: Disagreement between runs from different noise, drawn as a tube.
        points: Points of the scene.
        video_time_sec: When frame k shows in the video beside the view; k / fps by default.

    Raises:
        InputError: A rule above is broken.
    """
    layers = _layers(main, label or view_words()["path_estimated"], others)
    cloud = None if points is None else points.cloud
    thin = None if cloud is None else cloud.thinned()
    value = {
        "version": VERSION,
        **_scene(layers, spread=spread, cloud=thin),
        "paths": [_path(layer) for layer in layers],
        "errors": [_errors(main, layer) for layer in layers[1:]],
        "video_time_sec": _video_times(main, video_time_sec),
        "spread": None if spread is None else _spread(spread),
        "frames": None if images is None else _sprite(images, "images", main),
        "raxels": None if raxels is None else _raxel_sprite(raxels, main),
        "cloud": None if cloud is None or thin is None else _counts(cloud, thin),
        "cloud_words": None if points is None or points.words is None else _label(points.words),
        "colorscale": {
            "light": themed_colorscale(dark=False),
            "dark": themed_colorscale(dark=True),
        },
        "trajectory": native_text(main),
    }
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _layers(
    main: Trajectory, label: Label, others: Sequence[OtherPath | tuple[Label, Trajectory]]
) -> list[_Layer]:
    if len(others) > len(OTHER_COLORS):
        raise InputError(
            f"others must hold {len(OTHER_COLORS)} paths or fewer; got {len(others)}. "
            "Leave out those that are not being compared."
        )
    if len(main) > MOST_FRAMES:
        raise InputError(
            f"main must have {MOST_FRAMES} frames or fewer; got {len(main)}. Resample the path."
        )
    paths = (item if isinstance(item, OtherPath) else OtherPath(*item) for item in others)
    drawn = zip(paths, OTHER_COLORS, strict=False)
    return [
        _Layer(main, _label(label), None),
        *(
            _Layer(other.trajectory, _label(other.label), color, other.is_error)
            for other, color in drawn
        ),
    ]


def _label(label: Label) -> dict[str, str]:
    if isinstance(label, str):
        return dict.fromkeys(LANGUAGES, label)
    if not all(isinstance(label.get(language), str) for language in LANGUAGES):
        raise InputError(
            f"label must have a text for {' and '.join(LANGUAGES)}; got {label}. "
            "Pass one text to use it in both."
        )
    return {language: label[language] for language in LANGUAGES}


def _scene(
    layers: list[_Layer], *, spread: Spread | None, cloud: PointCloud | None
) -> dict[str, Any]:
    """Return the Plotly figure, and a second box with its grid for when the cloud is shown."""
    depth = frustum_depth(*(layer.trajectory for layer in layers))
    main = layers[0].trajectory
    traces: list[Any] = []
    content = [
        frustum_vertices(layer.trajectory.cameras, depth=depth).flatten(0, 1).double()
        for layer in layers
    ]
    if spread is not None:
        tube = tube_trace(main, spread.position)
        traces.append(tube)
        content.append(_in_world(tube))
    for layer in layers:
        frusta = frusta_trace(layer.trajectory, depth=depth, color=layer.color)
        line = path_trace(layer.trajectory, label="", color=layer.color)
        current = current_trace(layer.trajectory, depth=depth, color=layer.color or "#111827")
        for trace, part in ((frusta, "frusta"), (line, "path"), (current, "current")):
            trace.update(meta=f"{layer.prefix}{part}", text=None, name=None)
            traces.append(trace)
    box = scene_box(torch.cat(content))
    traces.append(ground_trace(box))
    wide = None
    if cloud is not None:
        traces.append(cloud_trace(cloud))
        box_around = scene_box(torch.cat([*content, cloud.points.detach().cpu().double()]))
        wide = _bare_figure([ground_trace(box_around)], box_around) | {"step": _step(box_around)}
    return {"figure": _bare_figure(traces, box), "with_cloud": wide, "step": _step(box)}


def _bare_figure(traces: list[Any], box: Float[Tensor, "2 3"]) -> dict[str, Any]:
    figure = go.Figure(layout={"template": None})
    lay_out(figure, box, title=None)
    figure.add_traces(traces)
    return json.loads(str(figure.to_json()))


def _step(box: Float[Tensor, "2 3"]) -> float:
    span = (box[1] - box[0]).tolist()
    return grid_step(max(span[0], span[2]))


def _in_world(trace: go.Mesh3d) -> Float[Tensor, "n 3"]:
    columns = [cast(Any, trace[axis]).tolist() for axis in ("x", "z", "y")]
    return torch.tensor(columns, dtype=torch.float64).T


def _path(layer: _Layer) -> dict[str, Any]:
    path = layer.trajectory
    return {
        "label": layer.label,
        "color": layer.color,
        "prefix": layer.prefix,
        "fps": path.fps,
        "time_sec": _rounded(path.times_sec - path.times_sec[0]),
        "position": [_rounded(row) for row in path.positions],
        "hfov_deg": _rounded(torch.rad2deg(path.cameras.hfov_rad), digits=3),
        "source_frame": None if path.source_frame is None else list(path.source_frame),
    }


def _errors(main: Trajectory, layer: _Layer) -> dict[str, Any]:
    try:
        errors = path_errors(main, layer.trajectory)
    except InputError:  # less than two frames in common: drawn all the same, without errors
        return {
            "is_error": layer.is_error,
            "rotation_deg": [],
            "translation": [],
            "r_err_deg": None,
            "t_err": None,
            "t_err_fixed_scale": None,
        }
    return {
        "is_error": layer.is_error,
        "rotation_deg": errors.rotation_deg.tolist(),
        "translation": errors.translation.tolist(),
        "r_err_deg": errors.r_err_deg,
        "t_err": errors.t_err,
        "t_err_fixed_scale": errors.t_err_fixed_scale,
    }


def _video_times(main: Trajectory, times: Sequence[float] | None) -> list[float]:
    if times is None:
        return [frame / main.fps for frame in range(len(main))]
    values = [float(time) for time in times]
    rising = all(a < b for a, b in itertools.pairwise(values))
    if len(values) != len(main) or not rising or values[0] < 0:
        raise InputError(
            f"video_time_sec must hold {len(main)} rising times of 0 or more; got {values}. "
            "Leave it out for a clip that has exactly the path's frames."
        )
    return values


def _spread(spread: Spread) -> dict[str, list[float]]:
    return {
        "position": _rounded(spread.position),
        "rotation_deg": _rounded(torch.rad2deg(spread.rotation_rad)),
    }


def _sprite(video: Float[Tensor, "frames 3 _ _"], name: str, main: Trajectory) -> dict[str, Any]:
    return sprite_of(video, name=name, num_frames=len(main))


def _raxel_sprite(raxels: Float[Tensor, "frames 3 _ _"], main: Trajectory) -> dict[str, Any]:
    return _sprite(images_from_raxels(raxels.detach().float().cpu()), "raxels", main)


def _counts(cloud: PointCloud, thin: PointCloud) -> dict[str, int]:
    return {"shown": len(thin.points), "total": len(cloud.points)}


def _rounded(values: Tensor, digits: int = 6) -> list[float]:
    return [round(float(v), digits) for v in values.detach().to(torch.float64).cpu()]
