"""Every reader against the truth, and the ways in which files and images can fail to match."""

import json

import numpy as np
import pytest
import torch

from rays_as_pixels.datasets import colmap_folder, dl3dv, realestate10k
from rays_as_pixels.datasets.spec import open_source, parse_spec
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import write_video
from tests.datasets.layouts import (
    FRAMES,
    HEIGHT,
    STAMP_US,
    WIDTH,
    save_frames,
    write_colmap,
    write_dl3dv,
    write_re10k,
)

TOLERANCE = 1e-6  # files keep all digits; inverting poses costs 1e-15


def only(spec):
    (ref,) = open_source(parse_spec(spec)).refs
    return ref.load()


def assert_is_the_room(video, room):
    cameras = video.cameras
    for name in ("world_from_cam", "focal_px", "center_px"):
        found, true = getattr(cameras, name), getattr(room.cameras, name)
        torch.testing.assert_close(found, true, atol=TOLERANCE, rtol=0)
    assert (cameras.height, cameras.width) == video.frames.size == (HEIGHT, WIDTH)
    frames = video.frames.read([5, 0, 3])
    torch.testing.assert_close(frames, room.video[[5, 0, 3]], atol=1e-6, rtol=0)


def test_realestate10k_is_read_as_it_is(room, tmp_path):
    video = only(f"re10k:{write_re10k(tmp_path / 're10k', room)}")
    assert_is_the_room(video, room)
    assert video.name == "clip0"
    torch.testing.assert_close(video.time_sec, torch.arange(FRAMES).double() / 10)


@pytest.mark.parametrize("binary", [True, False])
def test_a_colmap_folder_is_read_as_it_is_with_the_frames_that_saw_each_point(
    room, tmp_path, binary
):
    write_colmap(tmp_path / "data" / "scene", room, binary=binary)
    video = only(f"colmap:{tmp_path / 'data'}")
    assert_is_the_room(video, room)
    for frame in range(FRAMES):
        seen = room.xyz[room.point[room.frame == frame]]
        torch.testing.assert_close(
            video.points.seen_in(frame), torch.from_numpy(seen), atol=TOLERANCE, rtol=0
        )
    assert video.points.frames_with_points.tolist() == [0, 2, 4, 6, 8]


def test_a_dl3dv_scene_is_read_as_it_is_with_its_points(room, tmp_path):
    write_dl3dv(tmp_path / "1K" / "scene", room)
    video = only(f"dl3dv:{tmp_path}")
    assert_is_the_room(video, room)
    assert video.name == "1K/scene"
    torch.testing.assert_close(video.points.xyz, torch.from_numpy(room.xyz), atol=1e-6, rtol=0)


def test_a_reduced_copy_of_the_images_takes_the_intrinsics_with_it(room, tmp_path):
    write_dl3dv(tmp_path / "scene", room, shrink=2)
    write_dl3dv(tmp_path / "scene", room)
    small, full = (only(f"dl3dv:{tmp_path},images={name}") for name in ("images_2", "images"))
    assert small.frames.size == (HEIGHT // 2, WIDTH // 2)
    torch.testing.assert_close(small.cameras.focal_px * 2, full.cameras.focal_px)
    torch.testing.assert_close(small.cameras.center_px * 2, full.cameras.center_px)
    assert only(f"dl3dv:{tmp_path}").frames.size == small.frames.size, "the smallest by default"


def test_images_of_another_shape_than_the_cameras_name_are_refused(room, tmp_path):
    write_dl3dv(tmp_path / "scene", room)
    names = [f"frame_{k + 1:05d}.png" for k in range(FRAMES)]
    save_frames(tmp_path / "scene" / "images_2", room.video[..., :, :HEIGHT], names)
    with pytest.raises(InputError, match="shape that the cameras name"):
        only(f"dl3dv:{tmp_path}")


def test_points_of_a_colmap_model_follow_applied_transform_into_the_nerfstudio_world(
    room, tmp_path
):
    scene = write_dl3dv(tmp_path / "scene", room, points=False)
    write_colmap(tmp_path / "other", room, binary=True)
    (tmp_path / "other" / "sparse").rename(scene / "sparse")
    turn = np.array([[0.0, 1, 0, 1], [-1, 0, 0, 2], [0, 0, 1, 3]])
    value = json.loads((scene / "transforms.json").read_text())
    value["applied_transform"] = turn.tolist()
    for k, frame in enumerate(value["frames"]):
        pose = np.array(frame["transform_matrix"])
        frame["transform_matrix"] = (np.vstack([turn, [0, 0, 0, 1]]) @ pose).tolist()
        frame["file_path"] = f"images/im{k}.png"
    (scene / "transforms.json").write_text(json.dumps(value))
    for k in range(FRAMES):
        (scene / "images" / f"frame_{k + 1:05d}.png").rename(scene / "images" / f"im{k}.png")
    video = dl3dv.read(scene / "transforms.json")
    moved = room.xyz @ turn[:, :3].T + turn[:, 3]
    torch.testing.assert_close(video.points.xyz, torch.from_numpy(moved))
    assert len(video.points.seen_in(4)) == int((room.frame == 4).sum())


@pytest.mark.parametrize("whole_source", [False, True])
def test_realestate10k_frames_are_found_in_a_video_by_their_times(room, tmp_path, whole_source):
    """The clip's own video starts at its first camera; the whole source starts at zero."""
    root = write_re10k(tmp_path, room, frames=False)
    lead = STAMP_US[0] // 50_000 if whole_source else 0
    twice = room.video.repeat_interleave(2, dim=0)  # 20 frames a second for 10 cameras a second
    video = torch.cat([torch.zeros(lead, 3, HEIGHT, WIDTH), twice])
    name = "AbCdEf_1234.mp4" if whole_source else "clip0.mp4"
    (root / "videos").mkdir()
    write_video(root / "videos" / name, video, fps=20)
    read = realestate10k.read(root / "clip0.txt")
    assert read.frames.chosen == tuple(range(lead, lead + 2 * FRAMES, 2))
    off = (read.frames.read([0, 8]) - room.video[[0, 8]]).abs().mean()
    assert off < 0.05, "H.264 at 4:2:0 blurs this texture's edges; another frame is off by 0.2"


def test_a_video_that_is_too_short_for_its_cameras_is_refused(room, tmp_path):
    root = write_re10k(tmp_path, room, frames=False)
    write_video(root / "clip0.mp4", room.video[:5], fps=10)
    with pytest.raises(InputError, match="a frame at the time of each of the 9 cameras"):
        realestate10k.read(root / "clip0.txt")


@pytest.mark.parametrize(
    ("remove", "message"),
    [("all", "must have frames; got neither a folder"), ("one", "got 8 images, of which 8")],
)
def test_missing_frames_are_refused_with_their_number(room, tmp_path, remove, message):
    root = write_re10k(tmp_path, room)
    for path in sorted((root / "frames" / "clip0").iterdir())[: 1 if remove == "one" else None]:
        path.unlink()
    with pytest.raises(InputError, match=message):
        realestate10k.read(root / "clip0.txt")


def test_scenes_behind_links_are_found_and_a_link_to_its_own_folder_ends(room, tmp_path):
    scene = write_colmap(tmp_path / "elsewhere" / "scene", room, binary=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(scene)
    (scene / "loop").symlink_to(scene)
    assert only(f"colmap:{tmp_path / 'data'}").name == "linked"


def test_a_missing_image_of_a_colmap_model_is_refused_by_name(room, tmp_path):
    scene = write_colmap(tmp_path / "scene", room, binary=True)
    (scene / "images" / "im3.png").unlink()
    with pytest.raises(InputError, match=r"got no im3.png"):
        colmap_folder.read(scene)


@pytest.mark.parametrize("kind", ["re10k", "dl3dv", "colmap"])
def test_the_kind_of_a_folder_is_told_by_its_files(room, tmp_path, kind):
    match kind:
        case "re10k":
            write_re10k(tmp_path, room)
        case "dl3dv":
            write_dl3dv(tmp_path / "scene", room)
        case "colmap":
            write_colmap(tmp_path / "scene", room, binary=False)
    assert parse_spec(str(tmp_path)).kind == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dl3dw:/x", "must be of kind re10k, dl3dv"),
        ("/nowhere/at/all", "which holds none that is known"),
        ("dl3dv:/x,frames=/y", "Leave out frames"),
        ("dl3dv:/x,unit=metres", "unit must be auto, points, path or a positive number"),
        ("dl3dv:/x,weight=0", "weight must be a positive number"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(text, message):
    with pytest.raises(InputError, match=message):
        parse_spec(text)


def test_a_spec_is_taken_apart_from_its_end_so_that_paths_may_hold_commas():
    spec = parse_spec("dl3dv:/data/a,b/c,images=images_4,unit=2.5,weight=3")
    assert (spec.path, spec.options) == ("/data/a,b/c", {"images": "images_4"})
    assert (spec.unit, spec.weight) == ("2.5", 3.0)
