"""Each format against a file written by hand: reader and writer cannot err in the same way."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from format_samples import (
    FPS,
    GOLDEN,
    LENS,
    SIZE,
    WRITABLE,
    assert_same,
    golden_path,
    output_of,
)

from rays_as_pixels.trajectories.formats import FORMATS, load, load_info, save

FILES = {
    "native": "native.json",
    "re10k": "re10k.txt",
    "colmap": "colmap",
    "colmap-bin": "colmap-bin",
    "nerfstudio": "nerfstudio.json",
    "camera-path": "camera-path.json",
    "tum": "tum.txt",
    "kitti": "kitti.txt",
    "inria": "inria.json",
    "recammaster": "recammaster.json",
    "motionctrl": "motionctrl.json",
    "da3": "da3.npz",
    "ngp": "ngp.json",
    "gltf": "gltf.gltf",
    "usda": "usda.usda",
    "blender": "blender.txt",
    "csv": "csv.csv",
    "bundler": "bundler.out",
    "nvm": "nvm.nvm",
    "open3d": "open3d.log",
    "euroc": "euroc.csv",
    "pyslam": "pyslam.txt",
}
# What each format can say of the lens by itself; the rest is the image centre, or given.
SQUARE_CENTERED = {"camera-path": 510.0, "ngp": 510.0, "bundler": 500.0, "nvm": 500.0}
NO_LENS = {"tum", "kitti", "recammaster", "motionctrl", "euroc", "pyslam"}
HFOV_60_PX = 320 / np.tan(np.deg2rad(30))


def lens_read_from(name: str) -> tuple[float, float, float, float]:
    """fx fy cx cy that the golden file alone gives."""
    if name in SQUARE_CENTERED:
        return (SQUARE_CENTERED[name], SQUARE_CENTERED[name], 320.0, 240.0)
    if name in NO_LENS or name == "open3d":
        return (HFOV_60_PX, HFOV_60_PX, 320.0, 240.0)
    if name == "gltf":
        return (500.0, 510.0, 320.0, 240.0)
    if name == "inria":
        return (500.0, 510.0, 320.0, 240.0)
    if name == "usda":
        return (500.0, 500.0, 320.0, 240.0)
    return LENS


@pytest.mark.parametrize("name", FILES)
def test_a_file_written_by_hand_is_detected_and_read_as_the_path_it_holds(name):
    loaded = load_info(GOLDEN / FILES[name], size=SIZE, fps=FPS)
    assert loaded.format == name
    assert loaded.convention == FORMATS[name].convention
    expected = golden_path(lens_read_from(name))
    # quaternions of 17 digits and glTF's float32 both stay below 1e-6; all others are exact
    assert_same(loaded.trajectory, expected, tolerance=2e-7 if name == "gltf" else 1e-12)


def test_every_format_but_keys_and_archives_has_a_golden_file():
    assert set(FORMATS) - set(FILES) == {"bundle", "trajectorycrafter"}


def numbers_in(text: str) -> list[float]:
    """All numbers of a text."""
    return [float(token) for token in re.findall(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?", text)]


def assert_contains(written, golden, at: str = "") -> None:
    """Every value of the golden JSON is in the written one, numbers to 1e-12."""
    if isinstance(golden, dict):
        for key, value in golden.items():
            assert_contains(written[key], value, f"{at}.{key}")
    elif isinstance(golden, list):
        assert len(written) == len(golden), at
        for index, value in enumerate(golden):
            assert_contains(written[index], value, f"{at}[{index}]")
    elif isinstance(golden, float | int) and not isinstance(golden, bool):
        assert written == pytest.approx(golden, abs=1e-12), at
    else:
        assert written == golden, at


@pytest.mark.parametrize(
    "name", ["native", "nerfstudio", "camera-path", "inria", "motionctrl", "ngp"]
)
def test_a_written_json_holds_the_values_of_the_one_written_by_hand(tmp_path, name):
    path = output_of(tmp_path, name)
    save(golden_path(), path, format=name)
    assert_contains(json.loads(path.read_text()), json.loads((GOLDEN / FILES[name]).read_text()))


@pytest.mark.parametrize("name", ["re10k", "tum", "kitti", "csv"])
def test_a_written_table_holds_the_numbers_of_the_one_written_by_hand(tmp_path, name):
    path = output_of(tmp_path, name)
    save(golden_path(), path, format=name)
    wanted = [line for line in (GOLDEN / FILES[name]).read_text().split("\n") if line[:1].isdigit()]
    rows = [line for line in path.read_text().split("\n") if line[:1].isdigit()]
    separator = "," if name == "csv" else None
    for row, want in zip(rows, wanted, strict=True):
        actual = [float(token) for token in row.split(separator)]
        expected = [float(token) for token in want.split(separator)]
        np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_a_written_recammaster_string_holds_the_numbers_of_the_one_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "x.json", format="recammaster")
    written = json.loads((tmp_path / "x.json").read_text())
    golden = json.loads((GOLDEN / "recammaster.json").read_text())
    for frame, cameras in golden.items():
        actual = [float(t) for t in re.sub(r"[\[\]]", " ", written[frame]["cam01"]).split()]
        wanted = [float(t) for t in re.sub(r"[\[\]]", " ", cameras["cam01"]).split()]
        np.testing.assert_allclose(actual, wanted, atol=1e-12)


def test_written_colmap_files_hold_the_numbers_of_those_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "m", format="colmap")
    for name in ("cameras.txt", "images.txt"):
        written, golden = (
            [line for line in (folder / name).read_text().split("\n") if line[:1] != "#"]
            for folder in (tmp_path / "m", GOLDEN / "colmap")
        )
        assert len(written) == len(golden)
        for line, want in zip(written, golden, strict=True):
            assert len(line.split()) == len(want.split())
            for token, wanted in zip(line.split(), want.split(), strict=True):
                if wanted[0] in "-0123456789":
                    assert float(token) == pytest.approx(float(wanted), abs=1e-12)
                else:
                    assert token == wanted


def test_a_written_binary_colmap_model_equals_the_one_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "m", format="colmap-bin")
    for name in ("cameras.bin", "points3D.bin"):
        assert (tmp_path / "m" / name).read_bytes() == (GOLDEN / "colmap-bin" / name).read_bytes()
    written = (tmp_path / "m" / "images.bin").read_bytes()
    golden = (GOLDEN / "colmap-bin" / "images.bin").read_bytes()
    assert len(written) == len(golden)
    second = 8 + 64 + 17 + 8 + 4  # count, first image with its name, no points, second id
    for data in (written, golden):
        row = np.frombuffer(data, "<f8", 7, second)
        np.testing.assert_allclose(row, [0.5**0.5, 0, -(0.5**0.5), 0, 3, -2, -1], atol=1e-12)


def test_a_written_usda_holds_the_matrices_and_lens_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "x.usda")
    written, golden = (tmp_path / "x.usda").read_text(), (GOLDEN / "usda.usda").read_text()
    for part in ("timeSamples = {",):
        ours, theirs = (text.split(part)[1].split("}")[0] for text in (written, golden))
        np.testing.assert_allclose(
            numbers_in(ours.replace(":", " ")), numbers_in(theirs.replace(":", " ")), atol=1e-12
        )
    for field in re.findall(r"float (\w+) = ", golden):
        value = [re.search(rf"float {field} = (\S+)", text)[1] for text in (written, golden)]
        assert float(value[0]) == pytest.approx(float(value[1]), abs=1e-12), field
    assert 'upAxis = "Y"' in written and "timeCodesPerSecond = 10" in written


def test_a_written_blender_script_holds_the_keys_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "x.py")
    rows = [
        [
            float(t)
            for line in text.split("KEYS = [")[1].split("\n]")[0].split("\n")
            for t in re.findall(r"[-\d.e]+", line)
        ]
        for text in ((tmp_path / "x.py").read_text(), (GOLDEN / "blender.txt").read_text())
    ]
    assert len(rows[0]) == 22
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-12)
    compile((tmp_path / "x.py").read_text(), "x.py", "exec")


def test_a_written_gltf_animates_the_node_as_the_one_written_by_hand(tmp_path):
    save(golden_path(), tmp_path / "x.gltf")
    written = json.loads((tmp_path / "x.gltf").read_text())
    golden = json.loads((GOLDEN / "gltf.gltf").read_text())
    for key in ("cameras", "bufferViews", "accessors"):
        for index, entry in enumerate(golden[key]):
            wanted = {name: value for name, value in entry.items() if name not in ("min", "max")}
            assert_contains(written[key][index], wanted, f"{key}[{index}]")
    assert written["buffers"][0]["byteLength"] == golden["buffers"][0]["byteLength"]
    assert_same(load(tmp_path / "x.gltf"), golden_path(), tolerance=2e-7)


def test_a_glb_is_one_file_of_two_aligned_chunks(tmp_path):
    save(golden_path(), tmp_path / "x.glb")
    data = (tmp_path / "x.glb").read_bytes()
    assert data[:4] == b"glTF" and len(data) % 4 == 0
    version, length, size = np.frombuffer(data, "<u4", 3, 4)
    assert (version, length) == (2, len(data)) and size % 4 == 0
    assert data[16:20] == b"JSON" and data[20 + size + 4 : 20 + size + 8] == b"BIN\0"


def test_the_first_pixels_centre_at_one_half_is_kept_by_colmap_and_moved_for_open3d(tmp_path):
    """A principal point at the centre of the first pixel is (0.5, 0.5) here and in COLMAP."""
    save(golden_path((500.0, 510.0, 0.5, 0.5)), tmp_path / "m", format="colmap")
    assert "PINHOLE 640 480 500.0 510.0 0.5 0.5" in (tmp_path / "m" / "cameras.txt").read_text()
    # Open3D counts pixel centres as whole numbers: its 329.5, 251.5 are our 330, 252.
    cameras = load(GOLDEN / "open3d.json", fps=FPS).cameras
    assert cameras.center_px.tolist() == [[330.0, 252.0]] * 2


def test_a_camera_that_looks_right_in_the_world_does_so_in_every_format():
    """The axis that a flipped sign would turn: forward of frame 1 is +x, down is +y."""
    for name, file in FILES.items():
        pose = load(GOLDEN / file, size=SIZE, fps=FPS).cameras.world_from_cam[1]
        forward, down = pose[:3, 2], pose[:3, 1]
        torch.testing.assert_close(
            forward, torch.tensor([1.0, 0, 0], dtype=torch.float64), atol=2e-7, rtol=0, msg=name
        )
        torch.testing.assert_close(
            down, torch.tensor([0, 1.0, 0], dtype=torch.float64), atol=2e-7, rtol=0, msg=name
        )


def test_trajectorycrafter_keys_circle_a_pivot_one_unit_ahead(tmp_path):
    """phi = 90 degrees: the camera is beside the pivot (0, 0, 1) and looks at it."""
    (tmp_path / "keys.txt").write_text("0 0\n0 90\n0 0\n")
    path = load(tmp_path / "keys.txt", fps=FPS)
    assert len(path) == 49
    start, end = path.cameras.world_from_cam[0], path.cameras.world_from_cam[-1]
    torch.testing.assert_close(start, torch.eye(4, dtype=torch.float64))
    pivot = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    in_cam = torch.linalg.inv(end) @ pivot
    torch.testing.assert_close(in_cam, pivot, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        end[:3, 3].abs(), torch.tensor([1.0, 0, 1.0], dtype=torch.float64), atol=1e-12, rtol=0
    )


def test_a_golden_colmap_model_without_empty_points_lines_is_still_read_and_noted(tmp_path):
    shutil.copytree(GOLDEN / "colmap", tmp_path / "m")
    images = tmp_path / "m" / "images.txt"
    images.write_text("\n".join(line for line in images.read_text().split("\n") if line) + "\n")
    loaded = load_info(tmp_path / "m", fps=FPS)
    assert_same(loaded.trajectory, golden_path(), tolerance=1e-12)
    assert any("points lines" in note for note in loaded.notes)


def test_all_formats_of_the_command_line_are_writable():
    wanted = (
        "native re10k colmap nerfstudio camera-path tum kitti inria recammaster motionctrl da3 ngp "
        "gltf usda blender csv bundle"
    )
    assert set(wanted.split()) <= set(WRITABLE)
