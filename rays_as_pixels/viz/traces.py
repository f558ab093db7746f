"""Pieces of a path's picture as Plotly traces, and the scene they stand in.

Plotly turns its scenes about an axis that points up, while the world's Y axis points down. The
figure therefore shows world X, Z, Y on Plotly's x, y, z with the last axis reversed: a rotation of
the view, not a mirror image, and every tick, title and hover text states the world's own numbers.
"""

import html

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.colors import COLORSCALE
from rays_as_pixels.viz.frusta import EDGES, NUM_VERTICES, frustum_vertices

POINTS_PER_FRUSTUM = 3 * len(EDGES)  # each edge is two points and a gap


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


def frusta_trace(trajectory: Trajectory, *, depth: float, color: str | None = None) -> go.Scatter3d:
    """Draw one frustum per frame: coloured by time, or in one colour for a second path."""
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


def path_trace(trajectory: Trajectory, *, label: str, color: str | None = None) -> go.Scatter3d:
    """Draw the line through the camera centres with a dot per frame that says its numbers."""
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


def current_trace(trajectory: Trajectory, *, depth: float, color: str = "#111827") -> go.Scatter3d:
    """Draw the frustum that marks one frame, hidden until a script moves it."""
    lines = frustum_lines(trajectory[0:1], depth=depth)
    return go.Scatter3d(
        **lines,
        mode="lines",
        line={"width": 7, "color": color},
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


def lay_out(figure: go.Figure, box: Float[Tensor, "2 3"], *, title: str | None) -> None:
    """Give the figure its box, equal lengths on all axes, axis titles with units and a camera."""
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
