"""A camera path as a Plotly figure, and that figure as one HTML file that needs no network.

Plotly turns its scenes about an axis that points up, while the world's Y axis points down. The
figure therefore shows world X, Z, Y on Plotly's x, y, z with the last axis reversed: a rotation of
the view, not a mirror image, and every tick, title and hover text states the world's own numbers.
"""

import html
import os
import tempfile
from pathlib import Path

import plotly
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.colors import COLORSCALE, OTHER_COLOR
from rays_as_pixels.viz.frusta import EDGES, NUM_VERTICES, frustum_depth, frustum_vertices
from rays_as_pixels.viz.ground import ground_trace, scene_box
from rays_as_pixels.viz.thumbnails import thumbnail_trace

POINTS_PER_FRUSTUM = 3 * len(EDGES)  # each edge is two points and a gap
LABELS = ("Path", "Second path")


def trajectory_figure(
    trajectory: Trajectory,
    *,
    other: Trajectory | None = None,
    labels: tuple[str, str] = LABELS,
    images: Float[Tensor, "frames 3 h w"] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw a path: a frustum per frame coloured by time, the line through the camera centres.

    Args:
        trajectory: The path; it sets the colours and the colour bar.
        other: A second path in the same world frame, drawn in one contrasting colour.
        labels: What the legend calls the two paths.
        images: The path's frames in [0, 1], shown on the image planes of the frusta.
        title: A heading, if the figure is to stand alone.

    Returns:
        A figure whose traces' `meta` name their part: frusta, path, other-frusta, other-path,
        images, ground, current.

    Raises:
        InputError: `images` does not hold one image per frame.
    """
    paths = [trajectory] if other is None else [trajectory, other]
    depth = frustum_depth(*paths)
    figure = go.Figure()
    if images is not None:
        figure.add_trace(thumbnail_trace(trajectory, images, depth=depth))
    figure.add_trace(_frusta_trace(trajectory, depth=depth))
    figure.add_trace(_path_trace(trajectory, label=labels[0]))
    if other is not None:
        figure.add_trace(_frusta_trace(other, depth=depth, color=OTHER_COLOR))
        figure.add_trace(_path_trace(other, label=labels[1], color=OTHER_COLOR))
    vertices = [frustum_vertices(path.cameras, depth=depth).flatten(0, 1) for path in paths]
    box = scene_box(torch.cat([points.to(torch.float64) for points in vertices]))
    figure.add_trace(ground_trace(box))
    figure.add_trace(_current_trace(trajectory, depth=depth))
    _lay_out(figure, box, title=title)
    figure.update_layout(meta={"time_sec": trajectory.times_sec.tolist()})
    return figure


def plot_columns(points_in_world: Float[Tensor, "n 3"]) -> dict[str, list[float]]:
    """Return the x, y, z lists under which Plotly shows points of the world frame."""
    rounded = points_in_world.to(torch.float64).mul(1e6).round().div(1e6)
    return {"x": rounded[:, 0].tolist(), "y": rounded[:, 2].tolist(), "z": rounded[:, 1].tolist()}


def frustum_lines(trajectory: Trajectory, *, depth: float) -> dict[str, list[float | None]]:
    """Return the frusta as one broken line: POINTS_PER_FRUSTUM entries a frame, None in gaps."""
    vertices = frustum_vertices(trajectory.cameras, depth=depth)
    assert vertices.shape[-2] == NUM_VERTICES
    ends = vertices[:, torch.tensor(EDGES)]  # F edges 2 3
    columns = plot_columns(ends.reshape(-1, 3))
    return {
        axis: [item for i in range(0, len(values), 2) for item in (*values[i : i + 2], None)]
        for axis, values in columns.items()
    }


def _frusta_trace(
    trajectory: Trajectory, *, depth: float, color: str | None = None
) -> go.Scatter3d:
    time = [t for t in trajectory.times_sec.tolist() for _ in range(POINTS_PER_FRUSTUM)]
    line = {"width": 3, "color": color or time}
    if color is None:
        line |= _time_colors(trajectory) | {"showscale": True, "colorbar": _color_bar()}
    return go.Scatter3d(
        **frustum_lines(trajectory, depth=depth),
        mode="lines",
        line=line,
        opacity=1.0 if color is None else 0.75,
        hoverinfo="skip",
        showlegend=False,
        meta="frusta" if color is None else "other-frusta",
    )


def _path_trace(trajectory: Trajectory, *, label: str, color: str | None = None) -> go.Scatter3d:
    time = trajectory.times_sec.tolist()
    marker = {"size": 4, "color": color or time}
    line = {"width": 5, "color": color or "#5f6b7a"}
    if color is None:
        marker |= _time_colors(trajectory)
    return go.Scatter3d(
        **plot_columns(trajectory.positions),
        mode="lines+markers",
        line=line,
        marker=marker,
        name=label,
        text=_hover_texts(trajectory, label),
        hovertemplate="%{text}<extra></extra>",
        meta="path" if color is None else "other-path",
    )


def _current_trace(trajectory: Trajectory, *, depth: float) -> go.Scatter3d:
    lines = frustum_lines(trajectory[0:1], depth=depth)
    return go.Scatter3d(
        **lines,
        mode="lines",
        line={"width": 7, "color": "#111827"},
        hoverinfo="skip",
        showlegend=False,
        visible=False,
        meta="current",
    )


def _hover_texts(trajectory: Trajectory, label: str) -> list[str]:
    hfov_deg = torch.rad2deg(trajectory.cameras.hfov_rad).tolist()
    rows = zip(trajectory.times_sec.tolist(), trajectory.positions.tolist(), hfov_deg, strict=True)
    texts = []
    for frame, (time, (x, y, z), hfov) in enumerate(rows):
        where = ""
        if trajectory.source_frame is not None:
            where = f" (input frame {trajectory.source_frame[frame]})"
        texts.append(
            f"<b>{html.escape(label)}, frame {frame}</b>{where}<br>time {time:.3f} s<br>"
            f"x {x:.4f}, y {y:.4f}, z {z:.4f} scene units<br>hFOV {hfov:.2f} deg"
        )
    return texts


def _time_colors(trajectory: Trajectory) -> dict:
    time = trajectory.times_sec
    return {
        "colorscale": COLORSCALE,
        "cmin": time[0].item(),
        "cmax": max(time[-1].item(), time[0].item() + 1e-3),
    }


def _color_bar() -> dict:
    return {
        "title": {"text": "Time (s)", "side": "top", "font": {"size": 12}},
        "orientation": "h",
        "thickness": 10,
        "len": 0.6,
        "x": 0.5,
        "xanchor": "center",
        "y": 0.0,
        "yanchor": "bottom",
        "outlinewidth": 0,
    }


def _lay_out(figure: go.Figure, box: Float[Tensor, "2 3"], *, title: str | None) -> None:
    low, high = box[0].tolist(), box[1].tolist()
    span = (box[1] - box[0]).tolist()
    unit = 1.3 / max(span)  # Plotly's cube of side 1 leaves a wide margin at the eye below
    axis = {"showbackground": False, "gridcolor": "#d7dbe2", "zeroline": False, "showspikes": False}
    small = {"font": {"size": 11}}
    figure.update_layout(
        title=title,
        uirevision="keep the reader's view",
        margin={"l": 0, "r": 0, "t": 44 if title else 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 1.0, "yanchor": "top"},
        showlegend=True,
        hoverlabel={"align": "left"},
        scene={
            "domain": {"x": [0, 1], "y": [0.1, 1]},
            "aspectmode": "manual",
            "aspectratio": {"x": span[0] * unit, "y": span[2] * unit, "z": span[1] * unit},
            "dragmode": "turntable",
            "camera": {
                "eye": {"x": -0.95, "y": -1.35, "z": 0.85},
                "up": {"x": 0, "y": 0, "z": 1},
                "center": {"x": 0, "y": 0, "z": -0.08},
            },
            "xaxis": axis
            | {"range": [low[0], high[0]], "title": {"text": "X right<br>(scene units)"} | small},
            "yaxis": axis
            | {"range": [low[2], high[2]], "title": {"text": "Z forward<br>(scene units)"} | small},
            "zaxis": axis
            | {"range": [high[1], low[1]], "title": {"text": "Y down<br>(scene units)"} | small},
        },
    )


def plotly_script() -> Path:
    """Return the file of Plotly's JavaScript in the installed package: no network needed."""
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def write_figure_html(figure: go.Figure, path: "str | Path", *, title: str = "Camera path") -> None:
    """Write a figure as one page that opens without a network: Plotly's own code is inside.

    The file appears whole or not at all.

    Raises:
        InputError: The folder does not exist or cannot be written.
    """
    path = Path(path)
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        default_height="100%",
        config={"responsive": True, "displaylogo": False},
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        "<style>html,body{height:100%;margin:0;background:#fff}body>div{height:100%}</style>\n"
        f"</head><body>\n{body}\n</body></html>\n"
    )
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(page)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"path must be a file in a folder that can be written; got {path} ({error.strerror}). "
            "Create the folder first."
        ) from error
