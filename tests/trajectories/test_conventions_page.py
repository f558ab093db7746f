"""The conventions page, its pictures and the readers of files tell one story."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from rays_as_pixels.trajectories.formats.blender import BLENDER_FROM_OPENCV_WORLD
from rays_as_pixels.trajectories.formats.gltf import to_gltf
from rays_as_pixels.trajectories.formats.poses import flip_camera
from rays_as_pixels.trajectories.formats.recammaster import OPENCV_FROM_UNREAL
from rays_as_pixels.trajectories.presets import PRESETS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawn():
    file = ROOT / "scripts" / "draw_conventions.py"
    spec = importlib.util.spec_from_file_location("draw_conventions", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {convention.name: convention for convention in module.CONVENTIONS}


def columns(axes):
    """Return the matrix that takes a convention's coordinates to OpenCV's."""
    return np.stack(axes, axis=-1)


def test_the_drawn_axes_are_unit_vectors_of_the_stated_handedness(drawn):
    for convention in drawn.values():
        for axes in (convention.camera, convention.world):
            if axes is not None:
                sign = 1 if convention.handed == "right" else -1
                assert np.linalg.det(columns(axes)) == pytest.approx(sign), convention.name


def test_the_drawn_axes_are_those_the_file_readers_convert_by(drawn):
    """The camera factor stands on the right of world_from_cam, the world factor on the left."""
    eye = np.eye(4)
    opengl = columns(drawn["opengl"].camera)
    np.testing.assert_array_equal(flip_camera(eye)[:3, :3], opengl)
    for name in ("gltf", "usd"):
        camera, world = columns(drawn[name].camera), columns(drawn[name].world)
        move = eye.copy()
        move[:3, 3] = (1, 2, 3)
        np.testing.assert_array_equal(to_gltf(move)[:3, :3], world.T @ camera)
        np.testing.assert_array_equal(to_gltf(move)[:3, 3], world.T @ (1, 2, 3))
    np.testing.assert_array_equal(
        BLENDER_FROM_OPENCV_WORLD[:3, :3], columns(drawn["blender"].world).T
    )
    np.testing.assert_array_equal(OPENCV_FROM_UNREAL[:3, :3], columns(drawn["unreal"].world))


def test_the_page_shows_every_picture_and_links_nothing_that_is_not_there(drawn):
    targets = re.findall(r"\]\((?!http)([^)]+)\)", PAGE)
    for target in targets:
        assert (ROOT / "docs" / target).resolve().is_file(), target
    shown = {Path(target).stem for target in targets if "assets/conventions/" in target}
    assert shown == {*drawn, "pixels"}
    assert {Path(target).stem for target in targets if "assets/presets/" in target} == set(PRESETS)
