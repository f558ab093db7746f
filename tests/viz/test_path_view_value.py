"""The path view's value and its page: every number is Python's, and nothing comes from outside."""

import base64
import io
import json
import math
import re
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.compare import compare
from rays_as_pixels.trajectories.formats.native import parse_native
from rays_as_pixels.viz.cloud import MOST_POINTS, PointCloud
from rays_as_pixels.viz.colors import COLORSCALE, themed_colorscale
from rays_as_pixels.viz.path_view.errors import path_errors
from rays_as_pixels.viz.path_view.page import path_page, view_source, view_words, write_path_page
from rays_as_pixels.viz.path_view.value import OtherPath, ScenePoints, path_view_value
from rays_as_pixels.viz.traces import POINTS_PER_FRUSTUM
from rays_as_pixels.viz.uncertainty import SIDES, tube_mesh


def arc(num_frames: int = 5, *, angle_rad: float = 0.6, reach: float = 2.0) -> Trajectory:
    """A camera that turns right while it moves right and forward, 100 x 80 pixels, 10 fps."""
    turn = torch.linspace(0, angle_rad, num_frames, dtype=torch.float64)
    zero = torch.zeros_like(turn)
    rotation = rotation_from_vector(torch.stack([zero, turn, zero], -1))
    centre = torch.stack([reach * turn, zero, turn], -1)
    focal = torch.full((num_frames, 2), 50.0, dtype=torch.float64)
    center = torch.tensor([[50.0, 40.0]], dtype=torch.float64).expand(num_frames, 2)
    return Trajectory(Cameras(rigid(rotation, centre), focal, center, 80, 100), fps=10.0)


def value_of(main: Trajectory, **options) -> dict:
    return json.loads(path_view_value(main, **options))


def part(value: dict, name: str) -> dict:
    return next(trace for trace in value["figure"]["data"] if trace["meta"] == name)


def numbers(column) -> list[float]:
    """Return a column as Plotly writes it: a list, or base64 of little-endian floats."""
    if isinstance(column, list):
        return column
    assert column["dtype"] == "f4"
    data = bytearray(base64.b64decode(column["bdata"]))
    return torch.frombuffer(data, dtype=torch.float32).tolist()


def test_errors_are_those_of_the_metrics_for_every_frame():
    main, other = arc(), arc(angle_rad=0.7, reach=1.5)
    errors = value_of(main, others=[("Second", other)])["errors"][0]
    truth = frame_errors(other.cameras, main.cameras)
    assert errors["rotation_deg"] == [0, *torch.rad2deg(truth.rotation_rad).tolist()]
    assert errors["translation"] == [0, *truth.translation_fixed_scale.tolist()]
    whole = compare(other, main)
    assert math.radians(errors["r_err_deg"]) == pytest.approx(whole.r_err_rad)
    assert errors["t_err"] == pytest.approx(whole.t_err)
    assert errors["t_err_fixed_scale"] == pytest.approx(whole.t_err_fixed_scale)


def test_an_error_worked_out_by_hand():
    """Turned by 0.6 rad at the end against 0.3: 0.3 rad = 17.19 deg; 0.3 (2, 0, 1) units off."""
    errors = path_errors(arc(3), arc(3, angle_rad=0.3))
    assert errors.rotation_deg[-1].item() == pytest.approx(math.degrees(0.3))
    assert errors.translation[-1].item() == pytest.approx(0.3 * math.sqrt(5))


def test_paths_of_different_lengths_are_compared_at_the_times_of_the_first():
    """The other has the same motion at twice the rate, and ends between its frames 4 and 5."""
    main = arc(9)
    dense = arc(17)
    other = Trajectory(dense.cameras[:10], 20.0)
    errors = path_errors(main, other)
    assert errors.frames == 5
    # between two samples the circle is a chord: the middle is off by 2.2 * (0.6/16)^2 / 8 at most
    assert errors.translation.max() < 1e-3 and errors.rotation_deg.max() < 1e-6
    assert len(value_of(main, others=[("Short", other)])["errors"][0]["rotation_deg"]) == 5


def test_a_path_that_shares_no_time_is_refused():
    with pytest.raises(InputError, match="paths must share 2 or more frames"):
        path_errors(arc(5), arc(1))


def test_the_scene_holds_frusta_of_all_paths_and_one_marker_each():
    value = value_of(arc(5), others=[("A", arc(4)), ("B", arc(3))])
    for prefix, frames in (("", 5), ("other1-", 4), ("other2-", 3)):
        assert len(part(value, f"{prefix}frusta")["x"]) == frames * POINTS_PER_FRUSTUM
        assert len(part(value, f"{prefix}path")["x"]) == frames
        assert part(value, f"{prefix}current")["visible"] is False
    assert [path["prefix"] for path in value["paths"]] == ["", "other1-", "other2-"]
    assert value["paths"][0]["time_sec"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_positions_are_in_the_order_x_right_y_down_z_forward():
    path = arc(2)
    assert value_of(path)["paths"][0]["position"][1] == pytest.approx([1.2, 0, 0.6])


def test_everything_drawn_lies_in_the_box_with_the_tube_and_without_the_cloud():
    spread = SimpleNamespace(rotation_rad=torch.ones(5) * 0.1, position=torch.linspace(0, 2, 5))
    cloud = PointCloud(torch.tensor([[50.0, 0, 0], [0, 0, 90.0]]))
    value = value_of(arc(5), spread=spread, points=ScenePoints(cloud))
    for layout, names in (
        (value["figure"]["layout"], ("frusta", "path", "spread", "ground")),
        (value["with_cloud"]["layout"], ("frusta", "path", "spread", "cloud")),
    ):
        for name in names:
            for axis in "xyz":
                low, high = sorted(layout["scene"][f"{axis}axis"]["range"])
                column = [v for v in numbers(part(value, name)[axis]) if v is not None]
                assert min(column) >= low - 1e-6 and max(column) <= high + 1e-6, (name, axis)


def test_a_cloud_is_thinned_always_alike_and_the_value_says_so():
    points = torch.rand(5000, 3, generator=torch.Generator().manual_seed(1))
    value = value_of(arc(), points=ScenePoints(PointCloud(points, points)))
    assert value["cloud"] == {"shown": MOST_POINTS, "total": 5000}
    first, again = (PointCloud(points).thinned().points for _ in range(2))
    assert torch.equal(first, again) and len(first.unique(dim=0)) == MOST_POINTS


def test_the_tube_is_as_wide_as_the_spread_around_every_frame():
    """A straight line along X: every ring must keep the spread's distance from the line."""
    centre = torch.zeros(6, 3, dtype=torch.float64)
    centre[:, 0] = torch.arange(6)
    radius = torch.tensor([0.1, 0.2, 0.3, 0.2, 0.1, 0.4], dtype=torch.float64)
    points, faces = tube_mesh(centre, radius)
    for frame in range(6):
        ring = points[(points[:, 0] - frame).abs() < 1e-9]
        torch.testing.assert_close(ring[:, 1:].norm(dim=-1), radius[frame].expand(len(ring)))
        assert len(ring) == SIDES
    assert points[:, 0].min() == pytest.approx(-0.1) and points[:, 0].max() == pytest.approx(5.4)
    assert faces.max() == len(points) - 1 and faces.min() == 0


def test_a_tube_around_a_camera_that_stands_still_is_a_ball():
    points, _ = tube_mesh(torch.ones(3, 3), torch.full((3,), 0.5))
    distance = (points - 1).norm(dim=-1)
    assert distance.max() == pytest.approx(0.5) and torch.isfinite(points).all()


def test_pictures_travel_as_one_sheet_in_reading_order():
    """Frame k is painted in its own grey; 20 frames fill one row of 16 and four of the next."""
    images = torch.linspace(0, 1, 20)[:, None, None, None].expand(20, 3, 80, 100)
    sprite = value_of(arc(20), images=images)["frames"]
    assert (sprite["columns"], sprite["rows"]) == (16, 2)
    data = base64.b64decode(sprite["url"].removeprefix("data:image/jpeg;base64,"))
    sheet = Image.open(io.BytesIO(data))
    width, height = sprite["width"], sprite["height"]
    assert sheet.size == (16 * width, 2 * height) and abs(width / height - 1.25) < 0.02
    for frame in (0, 7, 16, 19):
        row, column = divmod(frame, 16)
        pixel = sheet.getpixel((column * width + width // 2, row * height + height // 2))
        assert pixel[0] == pytest.approx(255 * frame / 19, abs=3), frame


def test_the_text_can_stand_in_a_script_whatever_the_labels_say():
    text = path_view_value(arc(), label="</script><img src=x onerror=alert(1)>")
    assert "<" not in text
    assert json.loads(text)["paths"][0]["label"]["zh"].startswith("</script>")


def test_the_path_itself_travels_bit_for_bit():
    path = arc(7, angle_rad=0.1234567890123)
    back, _ = parse_native(value_of(path)["trajectory"], "value")
    assert torch.equal(back.cameras.world_from_cam, path.cameras.world_from_cam)


def test_the_video_times_are_those_of_the_frames_unless_given():
    assert value_of(arc(3))["video_time_sec"] == pytest.approx([0, 0.1, 0.2])
    assert value_of(arc(3), video_time_sec=[0.5, 0.7, 2])["video_time_sec"] == [0.5, 0.7, 2.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"others": [("a", arc())] * 3}, "others must hold 2 paths or fewer; got 3"),
        ({"label": {"en": "only"}}, "label must have a text for en and zh"),
        ({"images": torch.zeros(4, 3, 8, 8)}, r"images must have shape \(5, 3, height, width\)"),
        ({"raxels": torch.zeros(5, 2, 8, 8)}, "raxels must have shape"),
        ({"video_time_sec": [0, 1, 1, 2, 3]}, "video_time_sec must hold 5 rising times"),
        (
            {"spread": SimpleNamespace(position=torch.ones(3), rotation_rad=torch.ones(3))},
            "spread must hold 5 distances",
        ),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        path_view_value(arc(5), **options)


def test_every_word_the_script_asks_for_exists_and_none_is_left_over():
    asked = set(re.findall(r"\b(?:say|button|pressed|icon)\('(\w+)'", view_source()))
    asked |= set(re.findall(r"'(axis_[xyz])'", view_source()))
    asked |= {"row_frames", "row_raxels", "no_webgl", "no_plotly", "play", "pause"}
    used_by_python = {"path_estimated", "path_shown", "video"}
    assert asked <= set(view_words()), asked - set(view_words())
    assert set(view_words()) - asked - used_by_python == set()


def test_the_theme_takes_the_part_of_the_colour_map_that_stands_out():
    """Contrast of the ends: the dark theme must not start black, nor the light one end yellow."""
    light, dark = themed_colorscale(dark=False), themed_colorscale(dark=True)
    assert light[0][1] == COLORSCALE[0][1] and dark[-1][1] == COLORSCALE[-1][1]
    assert light[-1][1] != COLORSCALE[-1][1] and dark[0][1] != COLORSCALE[0][1]
    assert [at for at, _ in light] == pytest.approx([k / 9 for k in range(10)])


def test_the_page_holds_all_it_needs(tmp_path):
    place = tmp_path / "path.html"
    size = write_path_page(path_view_value(arc()), place, title="Tom & Jerry", video=b"\0\1")
    page = place.read_text(encoding="utf-8")
    assert size == place.stat().st_size and 4_000_000 < size < 8_000_000
    assert "<title>Tom &amp; Jerry</title>" in page and "@@" not in page.split("<script")[0]
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.?http", page)
    assert 'src="data:video/mp4;base64,AAE="' in page
    assert [p.name for p in tmp_path.iterdir()] == ["path.html"], "no partial file is left"


def test_a_page_in_a_missing_folder_or_another_language_is_refused(tmp_path):
    text = path_view_value(arc())
    with pytest.raises(InputError, match="Create the folder first"):
        write_path_page(text, tmp_path / "nowhere" / "path.html")
    with pytest.raises(InputError, match="language must be one of en, zh"):
        path_page(text, language="fr")


def test_what_differs_is_an_error_only_against_the_truth():
    value = value_of(arc(5), others=[OtherPath("Truth", arc(5), is_error=True), ("Edit", arc(5))])
    assert [errors["is_error"] for errors in value["errors"]] == [True, False]
