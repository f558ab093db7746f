"""The path figure: what it draws, where, and that it says so in units."""

import json
import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.figures import trajectory_figure
from rays_as_pixels.viz.frusta import frustum_depth, frustum_vertices
from rays_as_pixels.viz.ground import grid_step, scene_box
from rays_as_pixels.viz.traces import POINTS_PER_FRUSTUM, frustum_lines


def arc(num_frames: int = 5, *, angle_rad: float = 0.6, source: bool = False) -> Trajectory:
    """A camera that turns right while it moves right and forward, 100 x 80 pixels."""
    turn = torch.linspace(0, angle_rad, num_frames, dtype=torch.float64)
    zero = torch.zeros_like(turn)
    rotation = rotation_from_vector(torch.stack([zero, turn, zero], -1))
    centre = torch.stack([2 * turn, zero, turn], -1)
    focal = torch.full((num_frames, 2), 50.0, dtype=torch.float64)
    center = torch.tensor([[50.0, 40.0]], dtype=torch.float64).expand(num_frames, 2)
    cameras = Cameras(rigid(rotation, centre), focal, center, 80, 100)
    frames = tuple(range(0, 3 * num_frames, 3)) if source else None
    return Trajectory(cameras, fps=10.0, source_frame=frames)


def traces(figure) -> dict:
    return {trace.meta: trace for trace in figure.data}


def test_a_frustum_has_its_corners_where_the_pinhole_model_puts_them():
    """100 x 80 pixels, f = 50 px, depth 2: half sizes are 2 * 50/50 = 2 and 2 * 40/50 = 1.6."""
    corner = frustum_vertices(arc(1).cameras, depth=2.0)[0]
    expected = [[0, 0, 0], [-2, -1.6, 2], [2, -1.6, 2], [2, 1.6, 2], [-2, 1.6, 2]]
    torch.testing.assert_close(corner[:5], torch.tensor(expected, dtype=torch.float64))
    assert corner[5, 1] < -1.6, "the mark must stick out above the image, where Y is smaller"
    assert corner[5, 0] == 0


def test_an_off_centre_principal_point_shifts_the_image_plane():
    """cx = 30 of 100: 30 px lie left of the axis and 70 px right of it."""
    cameras = Cameras(
        torch.eye(4)[None], torch.tensor([[50.0, 50.0]]), torch.tensor([[30.0, 40.0]]), 80, 100
    )
    corner = frustum_vertices(cameras, depth=1.0)[0]
    torch.testing.assert_close(corner[1:3, 0], torch.tensor([-0.6, 1.4]))


def test_a_frustum_moves_and_turns_with_its_camera():
    """A quarter turn about +Y (down) looks along +X: forward (0, 0, 1) becomes (1, 0, 0)."""
    rotation = rotation_from_vector(torch.tensor([[0.0, math.pi / 2, 0.0]], dtype=torch.float64))
    world_from_cam = rigid(rotation, torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    focal = torch.full((1, 2), 50.0, dtype=torch.float64)
    cameras = Cameras(
        world_from_cam, focal, torch.tensor([[50.0, 40.0]], dtype=torch.float64), 80, 100
    )
    corner = frustum_vertices(cameras, depth=1.0)[0]
    expected = torch.tensor([[1.0, 2.0, 3.0], [2.0, 1.2, 4.0], [2.0, 1.2, 2.0]])
    torch.testing.assert_close(corner[:3], expected.to(torch.float64))


def test_the_figure_holds_one_frustum_per_frame():
    path = arc(7)
    part = traces(trajectory_figure(path))
    assert len(part["frusta"].x) == 7 * POINTS_PER_FRUSTUM
    assert len(part["path"].x) == 7
    centre = path.positions
    for frame in range(7):
        first = frame * POINTS_PER_FRUSTUM  # an edge from the centre comes first
        shown = [part["frusta"][axis][first] for axis in ("x", "z", "y")]
        torch.testing.assert_close(
            torch.tensor(shown, dtype=torch.float64), centre[frame], atol=1e-6, rtol=0
        )


def test_the_figure_puts_world_down_at_the_bottom_and_mirrors_nothing():
    """Plotly's x, y, z must be right, forward, down with the last reversed: right-handed."""
    scene = trajectory_figure(arc()).layout.scene
    assert scene.xaxis.range[0] < scene.xaxis.range[1]
    assert scene.yaxis.range[0] < scene.yaxis.range[1]
    assert scene.zaxis.range[0] > scene.zaxis.range[1]
    assert scene.camera.up.z == 1
    line = frustum_lines(arc(2), depth=1.0)
    second = POINTS_PER_FRUSTUM
    assert line["x"][second] == pytest.approx(1.2) and line["y"][second] == pytest.approx(0.6)


def test_lengths_look_equal_along_all_three_axes():
    scene = trajectory_figure(arc()).layout.scene
    ratio = [
        scene.aspectratio[axis] / abs(scene[f"{axis}axis"].range[1] - scene[f"{axis}axis"].range[0])
        for axis in "xyz"
    ]
    assert ratio == pytest.approx([ratio[0]] * 3)


def test_axes_colour_bar_and_hover_state_their_units():
    figure = trajectory_figure(arc(source=True), labels=("Estimated path", "unused"))
    scene = figure.layout.scene
    assert scene.xaxis.title.text == "X right<br>(scene units)"
    assert scene.yaxis.title.text == "Z forward<br>(scene units)"
    assert scene.zaxis.title.text == "Y down<br>(scene units)"
    assert traces(figure)["frusta"].line.colorbar.title.text == "Time (s)"
    text = traces(figure)["path"].text[2]
    assert "Estimated path, frame 2" in text and "input frame 6" in text
    assert "time 0.200 s" in text and "x 0.6000, y 0.0000, z 0.3000 scene units" in text
    assert "hFOV 90.00 deg" in text  # 2 atan(50 / 50)


def test_labels_cannot_inject_markup_into_the_hover_text():
    text = traces(trajectory_figure(arc(), labels=("<img src=x>", "")))["path"].text[0]
    assert "<img" not in text and "&lt;img" in text


def test_a_second_path_is_overlaid_in_another_colour_with_its_own_frames():
    figure = trajectory_figure(arc(5), other=arc(3, angle_rad=0.3), labels=("First", "Second"))
    part = traces(figure)
    assert len(part["other-frusta"].x) == 3 * POINTS_PER_FRUSTUM
    assert part["other-path"].name == "Second" and part["path"].name == "First"
    assert part["other-path"].line.color != part["path"].line.color
    assert "other-path" not in traces(trajectory_figure(arc(5)))


def test_everything_drawn_lies_inside_the_axes():
    figure = trajectory_figure(arc(9), other=arc(4, angle_rad=1.5))
    scene = figure.layout.scene
    for trace in figure.data:
        for axis in "xyz":
            low, high = sorted(scene[f"{axis}axis"].range)
            values = [v for v in trace[axis] if v is not None]
            assert min(values) >= low and max(values) <= high, trace.meta


def test_images_sit_on_the_image_planes_right_way_up():
    """Frame 0's image is red in its top left corner: that vertex must be the frustum's corner 1."""
    path = arc(3)
    images = torch.zeros(3, 3, 8, 10)
    images[0, 0, 0, 0] = 1.0
    part = traces(trajectory_figure(path, images=images))["images"]
    red = [i for i, color in enumerate(part.vertexcolor) if color == "#ff0000"]
    assert len(red) == 1
    corner = frustum_vertices(path.cameras, depth=frustum_depth(path))[0, 1]
    shown = torch.tensor([float(part[axis][red[0]]) for axis in ("x", "z", "y")])
    torch.testing.assert_close(shown, corner.float(), atol=1e-6, rtol=0)


def test_images_that_do_not_match_the_path_are_refused():
    with pytest.raises(InputError, match=r"images must have shape \(5, 3, height, width\)"):
        trajectory_figure(arc(5), images=torch.zeros(4, 3, 8, 8))


def test_a_camera_that_does_not_move_still_has_visible_frusta():
    still = arc(3, angle_rad=0.0)
    assert frustum_depth(still) == pytest.approx(0.1)
    figure = trajectory_figure(still)
    scene = figure.layout.scene
    assert all(abs(scene[f"{a}axis"].range[1] - scene[f"{a}axis"].range[0]) > 0.05 for a in "xyz")
    json.loads(figure.to_json())


def test_a_path_of_one_camera_can_be_drawn():
    figure = trajectory_figure(arc(1))
    assert len(traces(figure)["frusta"].x) == POINTS_PER_FRUSTUM


@pytest.mark.parametrize(
    ("extent", "step"),
    [(1.0, 0.1), (1.01, 0.2), (4.9, 0.5), (5.1, 1.0), (90.0, 10.0), (0.02, 0.002)],
)
def test_the_grid_has_round_steps_and_ten_lines_or_fewer(extent, step):
    assert grid_step(extent) == pytest.approx(step)


def test_the_ground_is_below_everything():
    figure = trajectory_figure(arc())
    ground = max(v for v in traces(figure)["ground"].z if v is not None)
    assert all(v is None or v < ground for v in traces(figure)["frusta"].z)


def test_the_box_of_a_flat_scene_is_not_flat():
    box = scene_box(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64))
    span = box[1] - box[0]
    assert span.min() >= 0.45 and torch.allclose(box.mean(0), torch.tensor([0.5, 0, 0]).double())
