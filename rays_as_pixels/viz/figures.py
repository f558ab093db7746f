"""A camera path as a Plotly figure."""

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.colors import OTHER_COLOR
from rays_as_pixels.viz.frusta import frustum_depth, frustum_vertices
from rays_as_pixels.viz.ground import ground_trace, scene_box
from rays_as_pixels.viz.thumbnails import thumbnail_trace
from rays_as_pixels.viz.traces import current_trace, frusta_trace, lay_out, path_trace

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
    figure.add_trace(frusta_trace(trajectory, depth=depth))
    figure.add_trace(path_trace(trajectory, label=labels[0]))
    if other is not None:
        figure.add_trace(frusta_trace(other, depth=depth, color=OTHER_COLOR))
        figure.add_trace(path_trace(other, label=labels[1], color=OTHER_COLOR))
    vertices = [frustum_vertices(path.cameras, depth=depth).flatten(0, 1) for path in paths]
    box = scene_box(torch.cat([points.to(torch.float64) for points in vertices]))
    figure.add_trace(ground_trace(box))
    figure.add_trace(current_trace(trajectory, depth=depth))
    lay_out(figure, box, title=title)
    figure.update_layout(meta={"time_sec": trajectory.times_sec.tolist()})
    return figure
