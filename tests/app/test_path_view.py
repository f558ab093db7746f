"""The path view's server side: the meshes it hands out, and what it refuses."""

import base64

import pytest

from rays_as_pixels.app.path_view import PathView
from rays_as_pixels.app.path_view import mesh as mesh_module
from rays_as_pixels.app.path_view.mesh import path_view_mesh
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.native import native_text
from rays_as_pixels.trajectories.presets import make_preset
from tests.optional import EXTRAS


@pytest.fixture
def text() -> str:
    return native_text(make_preset("orbit", num_frames=5, fps=10.0, height=48, width=64))


@pytest.mark.parametrize(("kind", "start"), [("ply", b"ply\n"), ("glb", b"glTF")])
def test_a_mesh_comes_back_as_a_file(text, kind, start):
    pytest.importorskip("open3d", reason=EXTRAS, exc_type=ImportError)
    answer = path_view_mesh([kind, text])
    assert answer["ok"] and answer["name"] == f"camera-path.{kind}"
    assert base64.b64decode(answer["data"]).startswith(start)


def test_without_open3d_the_answer_names_the_remedy(text, monkeypatch):
    def missing(*_):
        raise InputError("open3d must be installed to write a mesh file; got: none. Run `pip ...`")

    monkeypatch.setattr(mesh_module, "write_scene", missing)
    answer = path_view_mesh("ply", text)
    assert answer == {
        "ok": False,
        "message": "open3d must be installed to write a mesh file; got: none. Run `pip ...`",
    }


@pytest.mark.parametrize(
    ("kind", "trajectory", "words"),
    [
        ("exe", "{}", "kind must be ply or glb"),
        (7, "{}", "kind must be ply or glb"),
        ("ply", None, "trajectory must be the text of a trajectory file"),
        ("ply", "x" * 2_000_001, "trajectory must be the text of a trajectory file"),
        ("ply", "{", "trajectory"),
        ("../../ply", "{}", "kind must be ply or glb"),
    ],
)
def test_anybody_may_call_it_so_everything_is_checked(kind, trajectory, words):
    answer = path_view_mesh(kind, trajectory)
    assert not answer["ok"] and words in answer["message"]


def test_an_unknown_language_or_height_is_refused():
    with pytest.raises(InputError, match="language must be auto, en or zh; got 'fr'"):
        PathView(language="fr")
    with pytest.raises(InputError, match="height must be 160 to 2000 pixels; got 20"):
        PathView(height=20)


def test_an_update_may_be_given_as_a_component():
    view = PathView(value="{}", video_id="clip", elem_id="plot", height=300)
    assert '"videoIds": ["clip"]' in view.js_on_load and '"key": "plot"' in view.js_on_load
    assert view.value == "{}"
