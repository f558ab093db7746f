"""Frusta as mesh files."""

import sys

import numpy as np
import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.colors import viridis
from rays_as_pixels.viz.scene import scene_mesh, write_scene
from tests.optional import EXTRAS


def line_path() -> Trajectory:
    """Three cameras side by side along +X, one unit apart, looking along +Z."""
    centre = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=torch.float64)
    world_from_cam = rigid(torch.eye(3, dtype=torch.float64).expand(3, 3, 3), centre)
    focal = torch.full((3, 2), 50.0, dtype=torch.float64)
    center = torch.full((3, 2), 50.0, dtype=torch.float64)
    return Trajectory(Cameras(world_from_cam, focal, center, 100, 100), fps=10.0)


def test_the_mesh_reaches_the_frusta_and_is_coloured_by_time():
    points, faces, colors = scene_mesh(line_path(), depth=0.5)
    # f = 50 of 100 px: half the image plane is as wide as it is deep.
    assert points[:, 0].min() == pytest.approx(-0.5, abs=0.01)
    assert points[:, 0].max() == pytest.approx(2.5, abs=0.01)
    assert points[:, 2].max() == pytest.approx(0.5, abs=0.01)
    assert points[:, 1].min() < -0.55, "the mark above the image points to smaller Y"
    assert faces.min() == 0 and faces.max() == len(points) - 1 and len(colors) == len(points)
    left, right = colors[points[:, 0] < -0.4], colors[points[:, 0] > 2.4]
    np.testing.assert_allclose(left, viridis(np.zeros(len(left))))
    np.testing.assert_allclose(right, viridis(np.ones(len(right))))


def test_a_still_camera_gives_no_rod_without_length():
    path = line_path()
    world_from_cam = path.cameras.world_from_cam[:1].expand(3, 4, 4)
    still = Trajectory(
        Cameras(world_from_cam, path.cameras.focal_px, path.cameras.center_px, 100, 100), fps=10.0
    )
    points, _, _ = scene_mesh(still, depth=0.5)
    assert np.isfinite(points).all()


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_the_file_reads_back_with_every_point(tmp_path, suffix):
    open3d = pytest.importorskip("open3d", reason=EXTRAS, exc_type=ImportError)
    target = tmp_path / f"path{suffix}"
    write_scene(line_path(), target, depth=0.5)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]
    mesh = open3d.io.read_triangle_mesh(str(target))
    points, _, _ = scene_mesh(line_path(), depth=0.5)
    got = np.asarray(mesh.vertices)
    sign = -1.0 if suffix == ".glb" else 1.0  # glTF's +Y is up, so forward is -Z there
    expected = points * np.array([1.0, sign, sign])
    np.testing.assert_allclose(got.min(0), expected.min(0), atol=1e-5)
    np.testing.assert_allclose(got.max(0), expected.max(0), atol=1e-5)


def test_other_formats_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.ply or \.glb"):
        write_scene(line_path(), tmp_path / "path.obj")
    with pytest.raises(InputError, match="folder that exists"):
        write_scene(line_path(), tmp_path / "nowhere" / "path.ply")


def test_a_missing_open3d_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)  # importing it then fails as if absent
    with pytest.raises(InputError, match="pip install open3d"):
        write_scene(line_path(), tmp_path / "path.ply")
    assert list(tmp_path.iterdir()) == []
