"""What is written is read back, whatever the path; speed; what a format lacks is said."""

import json
import time
import zipfile

import numpy as np
import pytest
import torch
from format_samples import WRITABLE, assert_same, golden_path, output_of, random_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats import FORMATS, load, load_info, save

READERS_WITHOUT_EXTRAS = ("re10k", "colmap", "nerfstudio", "da3", "inria", "csv", "native")


@pytest.mark.parametrize("name", WRITABLE)
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10_000), num_frames=st.integers(1, 6), one_lens=st.booleans())
def test_any_path_is_read_back_to_a_millionth(tmp_path, name, seed, num_frames, one_lens):
    path = random_path(seed, num_frames, one_lens=one_lens)
    out = output_of(tmp_path, name)
    save(path, out, format=name)
    loaded = load_info(out)
    assert loaded.format == name
    assert loaded.assumed == ()
    assert_same(loaded.trajectory, path)  # glTF is float32 by its standard: 6e-8 relative


@pytest.mark.parametrize("name", ["native", "re10k", "nerfstudio", "kitti", "csv", "usda", "da3"])
def test_formats_that_hold_matrices_keep_them_to_the_last_digits(tmp_path, name):
    path = random_path(3, 20)
    out = output_of(tmp_path, name)
    save(path, out, format=name)
    assert_same(load(out), path, tolerance=1e-14)


def test_a_native_file_is_read_back_bit_for_bit(tmp_path):
    path = random_path(5, 50)
    save(path, tmp_path / "x.json")
    back = load(tmp_path / "x.json")
    for name in ("world_from_cam", "focal_px", "center_px"):
        assert torch.equal(getattr(back.cameras, name), getattr(path.cameras, name))
    assert torch.equal(back.times_sec, path.times_sec)
    assert (back.fps, back.source_frame) == (path.fps, path.source_frame)


@pytest.mark.slow  # a bar in seconds, for a core of its own
@pytest.mark.parametrize("name", sorted(set(WRITABLE) - {"bundle"}))  # that one is all of them
def test_ten_thousand_frames_are_written_and_read_in_under_two_seconds_each(tmp_path, name):
    path = random_path(2, 10_000, one_lens=True)
    out = output_of(tmp_path, name)
    start = time.process_time()
    save(path, out, format=name)
    middle = time.process_time()
    loaded = load(out)
    end = time.process_time()
    assert middle - start < 2.0
    assert end - middle < 2.0
    assert len(loaded) == 10_000


@pytest.mark.parametrize("name", WRITABLE)
def test_every_export_says_convention_size_rate_count_scale_and_version(tmp_path, name):
    out = output_of(tmp_path, name)
    written = save(golden_path(), out, format=name, extra={"seed": 77})
    files = [path for path in written.paths if path.is_file()]
    if name == "bundle":
        text = zipfile.ZipFile(out).read("README.txt").decode()
    elif name == "da3":
        text = str(np.load(out)["rays_as_pixels"])
    else:
        text = "".join(path.read_bytes().decode("latin-1") for path in files)
    text = text.replace('\\"', '"')
    for value in ("640", "480", "10.0", "scene units", "0.1.0", "77"):
        assert value in text, f"{name} does not say {value}"
    in_the_bundle = set(WRITABLE) - {"bundle", "colmap-bin"}
    said = {
        "native": ["opencv world_from_cam"],
        "bundle": [FORMATS[member].convention for member in in_the_bundle],
    }
    for convention in said.get(name, [FORMATS[name].convention]):
        assert convention in text


def test_values_that_callers_keep_with_a_path_come_back_through_other_formats(tmp_path):
    save(golden_path(), tmp_path / "a.json", extra={"seed": 3, "prompt": 'say "hi"'})
    first = load_info(tmp_path / "a.json")
    assert (first.extra["seed"], first.extra["prompt"]) == (3, 'say "hi"')
    for name in WRITABLE:
        out = output_of(tmp_path, name)
        save(first.trajectory, out, format=name, extra=first.extra)
        extra = load_info(out).extra
        assert (extra["seed"], extra["prompt"]) == (3, 'say "hi"'), name


@pytest.mark.parametrize("name", READERS_WITHOUT_EXTRAS)
def test_intrinsics_that_a_format_carries_do_not_depend_on_our_own_fields(tmp_path, name):
    """Strip everything of ours, as another program would, and read again."""
    path = random_path(4, 5)
    out = output_of(tmp_path, name)
    written = save(path, out, format=name)
    strip_ours(name, out, written)
    size = (path.cameras.width, path.cameras.height)
    back = load(out, size=size, fps=path.fps)
    assert (back.cameras.focal_px / path.cameras.focal_px - 1).abs().max() < 1e-12
    assert (back.cameras.center_px - path.cameras.center_px).abs().max() < 1e-9
    assert (back.positions - path.positions).abs().max() < 1e-9 * path.positions.abs().max()


def strip_ours(name: str, out, written) -> None:
    """Remove side files, comments and extra fields."""
    for path in written.paths:
        if path.name.endswith(".about.json"):
            path.unlink()
    if name == "re10k":
        lines = out.read_text().split("\n")
        out.write_text("\n".join(["https://example.invalid", *lines[1:]]))
    elif name in ("tum", "csv"):
        lines = out.read_text().split("\n")
        out.write_text("\n".join(line for line in lines if not line.startswith("#")))
    elif name == "nerfstudio":
        value = json.loads(out.read_text())
        del value["rays_as_pixels"]
        out.write_text(json.dumps(value))
    elif name == "inria":
        value = json.loads(out.read_text())
        del value[0]["rays_as_pixels"]
        out.write_text(json.dumps(value))
    elif name == "da3":
        arrays = dict(np.load(out))
        del arrays["rays_as_pixels"]
        np.savez(out, **arrays)


@pytest.mark.parametrize("name", ["tum", "kitti", "motionctrl", "recammaster"])
def test_a_format_without_intrinsics_says_what_it_assumes_and_takes_what_is_given(
    tmp_path, name, caplog
):
    out = output_of(tmp_path, name)
    strip_ours(name, out, save(golden_path(), out, format=name))
    loaded = load_info(out)
    assert {"size", "intrinsics"} <= set(loaded.assumed)
    assert any("60 degrees" in note for note in loaded.notes)
    load(out)
    assert "60 degrees" in caplog.text, "load() without notes must not be silent"
    told = load_info(out, size=(640, 480), hfov_deg=90.0, fps=10.0)
    assert told.assumed == ()
    assert told.trajectory.cameras.focal_px[0].tolist() == pytest.approx([320.0, 320.0])


def test_a_side_file_of_another_path_is_not_used_and_noted(tmp_path):
    save(golden_path(), tmp_path / "a.txt", format="kitti")
    lines = (tmp_path / "a.txt").read_text()
    (tmp_path / "a.txt").write_text(lines + lines.split("\n")[0] + "\n")
    loaded = load_info(tmp_path / "a.txt")
    assert "intrinsics" in loaded.assumed
    assert any("must be for 3 frames; got 2" in note for note in loaded.notes)


def test_an_edited_field_of_view_wins_over_our_own_field(tmp_path):
    save(golden_path(), tmp_path / "camera_path.json")
    value = json.loads((tmp_path / "camera_path.json").read_text())
    for entry in value["camera_path"]:
        entry["fov"] = 90.0
    (tmp_path / "camera_path.json").write_text(json.dumps(value))
    loaded = load_info(tmp_path / "camera_path.json")
    assert loaded.trajectory.cameras.focal_px[0].tolist() == pytest.approx([240.0, 240.0])
    assert any("edited" in note for note in loaded.notes)


def test_a_given_size_restates_the_intrinsics_of_a_file_that_names_its_own(tmp_path):
    save(golden_path(), tmp_path / "a.json")
    loaded = load_info(tmp_path / "a.json", size=(320, 240))
    assert loaded.trajectory.cameras.focal_px[0].tolist() == [250.0, 255.0]
    assert any("restated" in note for note in loaded.notes)


def test_a_given_rate_replaces_the_times_of_a_file_and_no_frame(tmp_path):
    save(golden_path(), tmp_path / "a.json")
    loaded = load_info(tmp_path / "a.json", fps=5.0)
    assert loaded.trajectory.times_sec.tolist() == [0.0, 0.2]
    assert any("replace its times" in note for note in loaded.notes)


def test_times_of_a_clock_are_counted_from_the_first_and_noted(tmp_path):
    (tmp_path / "a.txt").write_text(
        "1305031098.5 0 0 0 0 0 0 1\n1305031098.6 1 0 0 0 0 0 1\n1305031098.7 2 0 0 0 0 0 1\n"
    )
    loaded = load_info(tmp_path / "a.txt", size=(640, 480), hfov_deg=60)
    assert loaded.trajectory.times_sec.tolist() == pytest.approx([0.0, 0.1, 0.2], abs=1e-6)
    assert loaded.trajectory.fps == pytest.approx(10.0, rel=1e-6)
    assert loaded.extra["clock_start_sec"] == 1305031098.5


def test_rounded_rotations_are_made_exact_and_noted_and_scaled_ones_refused(tmp_path):
    (tmp_path / "a.txt").write_text("0.70711 0 0.70711 0 0 1 0 0 -0.70711 0 0.70711 0\n")
    loaded = load_info(tmp_path / "a.txt")
    rotation = loaded.trajectory.cameras.world_from_cam[0, :3, :3]
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(rotation.T @ rotation, eye, atol=1e-12, rtol=0)
    assert any("orthonormal" in note for note in loaded.notes)
    (tmp_path / "b.txt").write_text("2 0 0 0 0 2 0 0 0 0 2 0\n")
    with pytest.raises(InputError, match=r"b.txt, line 1, column 1: a pose must be rigid"):
        load(tmp_path / "b.txt")


def test_the_camera_asked_for_is_read_and_the_default_is_noted(tmp_path):
    still = "[1 0 0 0] [0 1 0 0] [0 0 1 0] [{x} 0 0 1] "
    value = {"frame0": {f"cam0{i}": still.format(x=100 * i) for i in (1, 2)}}
    (tmp_path / "c.json").write_text(json.dumps(value))
    first = load_info(tmp_path / "c.json")
    # Unreal's forward, 100 cm, is our +z, 1 m
    assert first.trajectory.positions.tolist() == [[0.0, 0.0, 1.0]]
    assert any("cam01, cam02; cam01 was read" in note for note in first.notes)
    second = load_info(tmp_path / "c.json", camera="cam02")
    assert second.trajectory.positions.tolist() == [[0.0, 0.0, 2.0]]
    with pytest.raises(InputError, match=r"camera must be one of cam01, cam02; got 'cam09'"):
        load(tmp_path / "c.json", camera="cam09")


def test_recammaster_poses_relative_to_the_first_are_those_its_own_program_computes(tmp_path):
    """Its way: transpose, columns [1, 2, 0, 3], second column negated, centimetres to metres."""
    path = random_path(8, 4, one_lens=True)
    save(path, tmp_path / "c.json", format="recammaster")
    value = json.loads((tmp_path / "c.json").read_text())
    theirs = []
    for index in range(4):
        rows = value[f"frame{index}"]["cam01"].replace("[", " ").replace("]", " ").split()
        pose = np.array(rows, float).reshape(4, 4).T[:, [1, 2, 0, 3]]
        pose[:3, 1] *= -1
        pose[:3, 3] /= 100
        theirs.append(pose)
    relative = np.linalg.inv(theirs[0]) @ np.array(theirs)
    ours = path.reanchored(0).cameras.world_from_cam.numpy()
    np.testing.assert_allclose(relative, ours, atol=1e-9 * (1 + np.abs(ours).max()))


def test_gen3c_timestamps_are_the_times_at_which_the_next_keyframe_begins(tmp_path):
    save(golden_path(), tmp_path / "p.json", format="ngp")
    stamps = [key["timestamp"] for key in json.loads((tmp_path / "p.json").read_text())["path"]]
    assert stamps == pytest.approx([0.1, 0.2])


def test_nothing_is_left_behind_when_a_file_cannot_be_written(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="must be a file; got the folder"):
        save(golden_path(), tmp_path / "taken", format="tum")
    with pytest.raises(InputError, match="must be writable"):
        save(golden_path(), tmp_path / "missing" / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_text_model_is_not_written_beside_a_binary_one_that_readers_prefer(tmp_path):
    save(golden_path(), tmp_path / "m", format="colmap-bin")
    with pytest.raises(InputError, match="must hold no binary model"):
        save(golden_path(), tmp_path / "m", format="colmap")


def test_a_path_of_float32_is_written_and_read(tmp_path):
    path = golden_path()
    path = Trajectory(path.cameras.to(dtype=torch.float32), path.fps)
    for name in WRITABLE:
        out = output_of(tmp_path, name)
        save(path, out, format=name)
        assert_same(load(out), golden_path())
