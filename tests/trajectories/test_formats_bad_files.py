"""Broken files: one sentence that names file, line, column, rule and remedy; never a traceback."""

import io
import json
import struct

import numpy as np
import pytest
from format_samples import GOLDEN, WRITABLE, golden_path, output_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats import detect, load, output_format, save
from rays_as_pixels.trajectories.formats.native import native_text, parse_native

BAD_TEXTS = {
    "a word in a table": ("tum", "tum.txt", "0.1 1 2", "0.1 one 2", "line 3, column 5", "'one'"),
    "NaN in a table": ("kitti", "kitti.txt", "0 0 1 1", "0 0 nan 1", "line 2, column 5", "'nan'"),
    "a missing number": ("kitti", "kitti.txt", "-1 0 0 3", "-1 0 3", "line 2", "hold 12 numbers"),
    "a missing column": ("re10k", "re10k.txt", "1 0 0 -1", "1 0 -1", "line 3", "hold 19 numbers"),
    "a huge exponent": ("tum", "tum.txt", "0.1 1", "0.1 1e999", "line 3, column 5", "'1e999'"),
    "a zero quaternion": ("csv", "csv.csv", "1,0,0,0,500", "0,0,0,0,500", "line 2", "length 1"),
    "times that fall": ("tum", "tum.txt", "0.1 1", "-0.1 1", "line 3, column 1", "must increase"),
    "a negative focal": ("re10k", "re10k.txt", "0 0.78125", "0 -0.78", "line 2", "be positive"),
    "a scaled pose": (
        "motionctrl",
        "motionctrl.json",
        "[1, 0, 0, 0, 0, 1",
        "[2, 0, 0, 0, 0, 1",
        "line 2",
        "must be rigid",
    ),
    "a mirrored pose": (
        "nerfstudio",
        "nerfstudio.json",
        "[0, -1, 0, 0]",
        "[0, 1, 0, 0]",
        "line 6, column 26",
        "must be rigid",
    ),
    "a short matrix": (
        "nerfstudio",
        "nerfstudio.json",
        "[0, -1, 0, 2]",
        "[0, -1, 2]",
        "line 8, column 42",
        "list of 4 numbers",
    ),
    "a string for a number": (
        "inria",
        "inria.json",
        '"fx": 500, "fy": 510},',
        '"fx": "a"},',
        "line 3",
        "finite number",
    ),
    "a missing field": ("inria", "inria.json", '"fy": 510}\n', '"fz": 510}\n', "line 4", "'fy'"),
    "two image sizes": (
        "inria",
        "inria.json",
        '1.png", "width": 640',
        '1.png", "width": 641',
        "line 4",
        "641x480",
    ),
    "a cut JSON": (
        "ngp",
        "ngp.json",
        '"fov": 50.40224729095014, "timestamp": 0.2}\n  ]\n}',
        "",
        "line 7, column 1",
        "must be JSON",
    ),
    "NaN in JSON": ("ngp", "ngp.json", "[1, 2, 3]", "[1, NaN, 3]", "line 5", "must be finite"),
    "a key twice": ("ngp", "ngp.json", '"time": 0.0', '"loop": true', "line 2", "unique"),
    "fov of 180": (
        "camera-path",
        "camera-path.json",
        "50.40224729095014",
        "180",
        "line 5",
        "between 0 and 180",
    ),
    "no camera in a string": (
        "recammaster",
        "recammaster.json",
        "[300 100 -200 1]",
        "[300 100 1]",
        "line 3, column 23",
        "16 numbers",
    ),
    "usda without samples": (
        "usda",
        "usda.usda",
        "timeSamples = {",
        "samples = {",
        "line 1",
        "timeSamples",
    ),
    "a broken block": ("open3d", "open3d.log", "0 1 0 2\n", "", "line 9", "5 lines"),
    "bundler cut": ("bundler", "bundler.out", "3 2 1\n", "", "line 11", "5 lines"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_broken_text_file_is_refused_at_its_place(tmp_path, case):
    name, source, old, new, place, rule = BAD_TEXTS[case]
    text = (GOLDEN / source).read_text()
    assert old in text
    path = tmp_path / source
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as refusal:
        load(path, format=name, size=(640, 480), fps=10)
    message = str(refusal.value)
    assert source in message and place in message and rule in message
    assert (message.endswith(".") and "; got " in message) or "must" in message


COLMAP_CASES = {
    "an unknown model": ("cameras.txt", "PINHOLE 640", "LENS 640", "line 2", "camera model"),
    "a fisheye": (
        "cameras.txt",
        "PINHOLE 640 480 500 510 330 252",
        "OPENCV_FISHEYE 640 480 500 510 330 252 0 0 0 0",
        "line 2",
        "Undistort",
    ),
    "too few parameters": (
        "cameras.txt",
        "500 510 330 252",
        "500 510 330",
        "line 2",
        "4 parameters",
    ),
    "a word": ("cameras.txt", "500 510", "500 x", "line 2, column 23", "'x'"),
    "no camera of that id": ("images.txt", "-2 -1 1 frame", "-2 -1 7 frame", "line 4", "CAMERA_ID"),
    "a cut line": ("images.txt", " 1 frame_000001.png", "", "line 4", "IMAGE_ID"),
    "a word in a pose": ("images.txt", "3 -2 -1", "3 two -1", "line 4, column 50", "'two'"),
}


@pytest.mark.parametrize("case", COLMAP_CASES)
def test_a_broken_colmap_text_model_is_refused_at_its_place(tmp_path, case):
    source, old, new, place, rule = COLMAP_CASES[case]
    for file in (GOLDEN / "colmap").iterdir():
        text = file.read_text()
        assert old in text or file.name != source
        (tmp_path / file.name).write_text(
            text.replace(old, new, 1) if file.name == source else text
        )
    with pytest.raises(InputError) as refusal:
        load(tmp_path, fps=10)
    for part in (source, place, rule):
        assert part in str(refusal.value)


@pytest.mark.parametrize("cut", [4, 40, 100, 130])
def test_a_cut_binary_model_is_refused_at_its_byte(tmp_path, cut):
    for file in (GOLDEN / "colmap-bin").iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[:cut] if file.name == "images.bin" else data)
    with pytest.raises(InputError, match=r"images.bin, byte \d+: "):
        load(tmp_path, fps=10)


def test_a_binary_model_that_announces_more_than_it_holds_is_refused_at_once(tmp_path):
    for file in (GOLDEN / "colmap-bin").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 2**60))
    with pytest.raises(InputError, match=r"byte 0: the file must hold the 1152921504606846976"):
        load(tmp_path)


def test_binary_poses_that_contradict_rigs_and_frames_are_refused(tmp_path):
    for file in (GOLDEN / "colmap-bin").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "rigs.bin").write_bytes(struct.pack("<QIIiI", 1, 1, 1, 0, 1))
    frame = struct.pack("<II7dIiIQ", 1, 1, 1, 0, 0, 0, 0, 0, 0.5, 1, 0, 1, 1)
    (tmp_path / "frames.bin").write_bytes(struct.pack("<Q", 1) + frame)
    with pytest.raises(InputError, match=r"images.bin must agree with frames.bin"):
        load(tmp_path)


def test_an_archive_with_pickled_objects_is_refused_and_not_run(tmp_path):
    np.savez(tmp_path / "x.npz", extrinsics=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="without pickle"):
        load(tmp_path / "x.npz")


def test_an_archive_of_the_wrong_shape_or_kind_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", extrinsics=np.eye(4))
    with pytest.raises(InputError, match=r"array extrinsics: must have shape N 3 4"):
        load(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", poses=np.eye(4))
    with pytest.raises(InputError, match=r"known format; got an archive of poses\.npy"):
        load(tmp_path / "y.npz")
    stream = io.BytesIO()
    np.savez(stream, extrinsics=np.eye(4)[None])
    (tmp_path / "z.npz").write_bytes(stream.getvalue()[:60])
    with pytest.raises(InputError, match="whole archive"):
        load(tmp_path / "z.npz")


def test_files_that_are_no_trajectory_are_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("hello\n")
    (tmp_path / "b.json").write_text('{"a": 1}')
    (tmp_path / "c.bin").write_bytes(bytes(range(256)))
    (tmp_path / "d.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("a.txt", "b.json", "c.bin", "d.txt", "empty", "deep.json", "missing.txt"):
        with pytest.raises(InputError) as refusal:
            load(tmp_path / name)
        assert name in str(refusal.value)


NATIVE_CASES = {
    "another version": ('"version": 1', '"version": 2', "line 3", "version"),
    "a true version": ('"version": 1', '"version": true', "line 3", "version"),
    "another format": ("rays-as-pixels/trajectory", "other", "line 2", "format"),
    "another convention": ("opencv world_from_cam", "opengl", "line 4", "convention"),
    "a width of 0": ('"width": 640', '"width": 0', "line 6", "width"),
    "a width of 6.5": ('"width": 640', '"width": 6.5', "line 6", "width"),
    "a negative fps": ('"fps": 10.0', '"fps": -10', "line 8", "fps"),
    "no frames": ('"frames": [', '"frames": [], "x": [', "line 10, column 13", "frames"),
    "NaN": ('"fx": 500.0', '"fx": NaN', "line 11", "finite"),
    "infinity by digits": ('"fx": 500.0', '"fx": 1e999', "line 11", "frames[0].fx"),
    "a focal of 0": ('"fx": 500.0', '"fx": 0', "line 11", "frames[0].fx"),
    "a string": ('"cx": 330.0', '"cx": "330"', "line 11", "frames[0].cx"),
    "a boolean": ('"cx": 330.0', '"cx": true', "line 11", "frames[0].cx"),
    "a misspelt field": ('"cx": 330.0', '"cz": 330.0', "line 11", "'cx'"),
    "an unknown field": ('"cx": 330.0', '"cx": 330.0, "roll": 2', "line 11", "frames[0].roll"),
    "a non-rigid pose": (
        "[0.0, 1.0, 0.0, 2.0]",
        "[0, 2, 0, 2]",
        "line 12",
        "frames[1].world_from_cam",
    ),
    "a short row": ("[0.0, 1.0, 0.0, 2.0]", "[0, 1, 2]", "line 12", "frames[1].world_from_cam[1]"),
    "a bad last row": ("[0.0, 0.0, 0.0, 1.0]]", "[0, 0, 1, 1]]", "line 11", "rigid"),
    "a time that repeats": ('"time_sec": 0.1', '"time_sec": 0.0', "line 12", "frames[1].time_sec"),
    "a source frame on one frame only": (
        '"time_sec": 0.1,',
        '"time_sec": 0.1, "source_frame": 3,',
        "line 11",
        "source_frame",
    ),
}


@pytest.mark.parametrize("case", NATIVE_CASES)
def test_a_native_file_that_breaks_a_rule_is_refused_at_line_and_field(case):
    old, new, place, rule = NATIVE_CASES[case]
    text = native_text(golden_path())
    assert old in text
    with pytest.raises(InputError) as refusal:
        parse_native(text.replace(old, new, 1), "path.json")
    for part in ("path.json", place, rule):
        assert part in str(refusal.value)


def test_an_extra_value_that_json_cannot_hold_is_refused_and_nothing_written(tmp_path):
    for value in (float("nan"), {1, 2}, golden_path()):
        with pytest.raises(InputError, match="extra must hold only finite JSON values"):
            save(golden_path(), tmp_path / "x.json", extra={"value": value})
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_names_that_leave_the_format_open_are_refused(tmp_path):
    for call in (
        lambda: save(golden_path(), tmp_path / "x", format="fbx"),
        lambda: load(GOLDEN / "tum.txt", format="fbx"),
        lambda: save(golden_path(), tmp_path / "x.out", format="bundler"),
    ):
        with pytest.raises(InputError, match="format must be one of native"):
            call()
    with pytest.raises(InputError, match=r"leaves it open\. Add --format"):
        output_format("path.txt")
    assert output_format("some/transforms.json") == "nerfstudio"
    assert output_format("tum.txt") == "tum"
    assert output_format("model") == "colmap"


@pytest.mark.parametrize("name", WRITABLE)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_file_with_a_few_damaged_bytes_is_read_or_refused_but_never_crashes(tmp_path, name, data):
    out = output_of(tmp_path, name)
    for path in save(golden_path(), out, format=name).paths:
        content = bytearray(path.read_bytes())
        cut = data.draw(st.integers(len(content) // 2, len(content)))
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content[: max(1, cut)]))
    try:
        path = load(out, size=(640, 480), fps=10)
    except InputError:
        return
    assert len(path) >= 1


@pytest.mark.parametrize("name", ["nerfstudio", "inria", "camera-path", "ngp", "gltf"])
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_json_with_any_value_in_any_place_is_read_or_refused_but_never_crashes(
    tmp_path, name, data
):
    out = output_of(tmp_path, name)
    save(golden_path(), out, format=name)
    out = out.with_suffix(".gltf") if name == "gltf" else out
    save(golden_path(), out, format=name)
    value = json.loads(out.read_text())
    holder = value
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = data.draw(st.sampled_from(keys))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        holder = inner
    holder[key] = data.draw(
        st.sampled_from([None, True, -1, 0, 1.5, 1e308, "x", [], {}, [[]], [1, 2], {"a": 1}])
    )
    out.write_text(json.dumps(value))
    try:
        load(out, format=name, size=(640, 480), fps=10)
        detect(out)
    except InputError:
        return
