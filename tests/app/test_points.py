"""Points of the scene: true ones of the examples, triangulated ones of a clip, or why none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rays_as_pixels.app.examples import EXAMPLES_DIR, find_examples
from rays_as_pixels.app.page import points
from rays_as_pixels.app.page.layout import build_page
from rays_as_pixels.app.page.library import Library, example_clip
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.native import read_native
from rays_as_pixels.viz.cloud import PointCloud
from rays_as_pixels.viz.path_view.value import ScenePoints
from tests.optional import BASELINES

DEPTH = 2.0  # of the wall, scene units


@pytest.fixture(scope="module")
def wall() -> tuple[Trajectory, torch.Tensor]:
    """Nine cameras that slide right before a textured wall, and what they see of it."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 24, 48, generator=generator)
    texture = torch.nn.functional.interpolate(coarse, (192, 384), mode="bicubic").clamp(0, 1)
    focal = 160.0
    shift_px = torch.arange(9) * 4
    frames = torch.cat([texture[..., 24:168, 40 + s : 232 + s] for s in shift_px.tolist()])
    centre = torch.zeros(9, 3, dtype=torch.float64)
    centre[:, 0] = shift_px * DEPTH / focal
    world_from_cam = rigid(torch.eye(3, dtype=torch.float64).expand(9, 3, 3), centre)
    focal_px = torch.full((9, 2), focal, dtype=torch.float64)
    center_px = torch.tensor([[96.0, 72.0]], dtype=torch.float64).expand(9, 2)
    return Trajectory(Cameras(world_from_cam, focal_px, center_px, 144, 192), fps=10.0), frames


def test_points_along_a_true_path_lie_on_the_wall_in_its_colours(wall):
    pytest.importorskip("cv2", reason=BASELINES)
    path, frames = wall
    cloud, agree, matches = points.points_along(path, frames)
    assert len(cloud.points) > 100 and agree > 0.9 * matches
    assert cloud.points[:, 2].median().item() == pytest.approx(DEPTH, rel=0.02)
    # SIFT places points to some 0.2 px; with 8 px of parallax that is 3 % of the depth
    off = (cloud.points[:, 2] - DEPTH).abs() / DEPTH
    assert off.quantile(0.9).item() < 0.1
    pixel = cloud.points[:, :2] / cloud.points[:, 2:] * 160 + torch.tensor([96.0, 72.0])
    inside = ((pixel > 0) & (pixel < torch.tensor([192.0, 144.0]))).all(1)
    column, row = pixel[inside].floor().long().unbind(1)
    difference = (frames[0][:, row, column].T - cloud.colors[inside]).abs().mean(1)
    assert difference.median().item() < 0.05, "a smooth texture: the neighbour's colour at most"


def test_points_at_known_depths_lie_there_in_the_frames_colours_but_for_edges(wall):
    path, frames = wall
    depth = torch.full((36, 48), DEPTH)
    depth[10:20, 10:30] = 1.0
    camera = path.cameras[3]
    cloud = points.points_at(depth, frames[3], camera)
    assert len(cloud.points) == 36 * 48 - 2 * (2 * 10 + 2 * 20), "both sides of the edge left out"
    assert set(cloud.points[:, 2].round(decimals=3).tolist()) == {1.0, DEPTH}
    pixel = (cloud.points - camera.world_from_cam[:3, 3]) @ camera.world_from_cam[:3, :3]
    pixel = pixel[:, :2] / pixel[:, 2:] * 160 + torch.tensor([96.0, 72.0])
    column, row = (pixel / 4).floor().long().unbind(1)
    small = torch.nn.functional.interpolate(frames[3:4], (36, 48), mode="area")[0]
    torch.testing.assert_close(cloud.colors.float(), small[:, row, column].T)


def test_a_visitors_clip_shows_its_first_frame_at_the_depths_found_with_its_path(manager):
    example = find_examples(EXAMPLES_DIR)[0]
    library = Library(manager, [example])
    session = Session(estimate=f"example:{example.name}/estimate", main="estimated")
    found = points.points_of(session, library)
    assert found is not None and found.cloud is not None and "first frame" in found.words["en"]
    assert len(found.cloud.points) > points.FEWEST
    assert found.cloud.points[:, 2].median().item() == pytest.approx(1.0, abs=0.4)


def test_a_path_that_disagrees_with_the_video_says_so(wall):
    pytest.importorskip("cv2", reason=BASELINES)
    path, frames = wall
    world_from_cam = path.cameras.world_from_cam.clone()
    world_from_cam[:, 1, 3] = world_from_cam[:, 0, 3]  # up and down instead of left and right
    world_from_cam[:, 0, 3] = 0
    wrong = replace(path, cameras=replace(path.cameras, world_from_cam=world_from_cam))
    _, agree, matches = points.points_along(wrong, frames)
    assert matches > 100 and agree < 0.2 * matches


def test_without_opencv_a_visitors_clip_has_a_remedy_and_no_points(monkeypatch, manager):
    monkeypatch.setattr(points, "has_opencv", lambda: False)
    monkeypatch.setattr(points, "depth_of_path", lambda _: None)  # as before depths were kept
    example = find_examples(EXAMPLES_DIR)[0]
    library = Library(manager, [example])
    session = Session(estimate=f"example:{example.name}/estimate", main="estimated")
    found = points.points_of(session, library)
    assert found is not None and found.cloud is None
    assert "pip install opencv-python-headless" in found.words["en"]
    assert set(found.words) == {"en", "zh"}


def test_a_path_of_another_world_has_no_points(manager):
    library = Library(manager, find_examples(EXAMPLES_DIR))
    assert points.points_of(Session(main="imagined", example="1-orbit"), library) is None
    assert points.points_of(Session(main="estimated"), library) is None


@pytest.mark.parametrize("example", find_examples(EXAMPLES_DIR), ids=lambda item: item.name)
def test_the_points_shipped_with_an_example_are_what_its_true_cameras_film(example, manager):
    library = Library(manager, [example])
    session = Session(example=example.name, main="estimated")
    found = points.points_of(session, library)
    assert found is not None and found.cloud is not None and len(found.cloud.points) > 500
    assert found.cloud.points.norm(dim=1).max().item() < points.FARTHEST
    first = read_native(example.truth).cameras[0]
    with np.load(example.clip.parent / points.POINTS) as kept:
        third = len(kept["xyz"]) // 3  # the first third is what frame 0 sees
        cloud = (
            torch.from_numpy(kept["xyz"][:third].astype(np.float64)),
            torch.from_numpy(kept["rgb"][:third].astype(np.float32)) / 255,
        )
    # The unit of the scene; the median over one pixel in 64 differs a little.
    assert cloud[0][:, 2].median().item() == pytest.approx(1.0, abs=0.08)
    frame = example_clip(example.clip, 9).video[0]
    in_cam = cloud[0] @ invert_rigid(first.world_from_cam)[:3, :3].T
    pixel = in_cam[:, :2] / in_cam[:, 2:] * first.focal_px + first.center_px
    size = torch.tensor([first.width, first.height])
    assert bool(((pixel > 0) & (pixel < size)).all())
    column, row = pixel.floor().long().unbind(1)
    difference = (frame[:, row, column].T - cloud[1]).abs().mean(1)
    assert difference.median().item() < 0.05, "but for video compression"


def test_the_editors_file_is_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    cloud = PointCloud(torch.rand(50, 3, dtype=torch.float64), torch.rand(50, 3))
    one = points.editor_cloud(ScenePoints(cloud, {}))
    two = points.editor_cloud(ScenePoints(cloud, {}))
    assert one == two and one.stat().st_size == 16 * 50
    assert [path.name for path in one.parent.iterdir()] == [one.name]
    assert points.editor_cloud(ScenePoints(None, {})) is None and points.editor_cloud(None) is None


def test_the_first_example_brings_its_points_to_the_view_and_the_editor(manager):
    facts = ModelFacts("tiny", "cpu", "nothing", 9, 9)
    model = ModelHolder(lambda: pytest.fail("nothing is computed"), facts)
    page = build_page(manager, model, examples=find_examples(EXAMPLES_DIR))[1]
    updates = page.open({})
    value = json.loads(updates[page.view.plot])
    assert value["cloud"]["total"] > 500 and value["cloud_words"]["zh"]
    drawn = [trace for trace in value["figure"]["data"] if trace["meta"] == "cloud"]
    assert len(drawn) == 1 and value["with_cloud"]["step"] > value["step"]
    file = Path(updates[page.edit.editor].props["cloud"]["path"])
    assert file.stat().st_size == 16 * value["cloud"]["total"]
