"""A solved clip written as a COLMAP model: pycolmap and our own reader find what was written."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rays_as_pixels.datasets.colmap_folder import read as read_scene
from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.colmap import pycolmap
from rays_as_pixels.geometry.scene_points import ScenePoints
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.solve.video.mapping import MapperOptions, map_video
from rays_as_pixels.solve.video.observations import observe
from rays_as_pixels.trajectories.colmap_model import check_colmap_folder, write_colmap_model
from rays_as_pixels.trajectories.formats import load_info
from tests.solve.video.planar_scene import FOCAL_PX, HEIGHT, WIDTH, travelling

NUM_FRAMES = 16


@dataclass(frozen=True)
class Solved:
    """A clip with what was found in it."""

    frames: np.ndarray
    trajectory: Trajectory
    points: ScenePoints

    @property
    def cam_from_world(self) -> np.ndarray:
        return invert_rigid(self.trajectory.cameras.world_from_cam)[:, :3].numpy()


@pytest.fixture(scope="module")
def solved() -> Solved:
    frames = travelling(NUM_FRAMES).frames
    path = map_video(observe(frames), MapperOptions(FOCAL_PX))
    assert path is not None and path.posed.all()
    pose = torch.from_numpy(path.cam_from_world)
    focal = torch.from_numpy(path.focal_px)[:, None].expand(-1, 2)
    center = focal.new_tensor([WIDTH / 2, HEIGHT / 2]).expand(NUM_FRAMES, 2)
    world_from_cam = invert_rigid(rigid(pose[:, :, :3], pose[:, :, 3]))
    cameras = Cameras(world_from_cam, focal, center, HEIGHT, WIDTH)
    trajectory = Trajectory(cameras, 24.0, source_frame=tuple(range(100, 100 + NUM_FRAMES)))
    return Solved(frames, trajectory, path.points)


def write(solved: Solved, folder: Path, **options):
    return write_colmap_model(folder, solved.trajectory, solved.points, solved.frames, **options)


def nothing_in(folder: Path) -> bool:
    return not list(folder.iterdir())


def test_pycolmap_reads_cameras_points_tracks_and_colors_as_written(solved, tmp_path):
    report = write(solved, tmp_path / "scene")
    model = pycolmap.Reconstruction(tmp_path / "scene/sparse/0")
    assert model.is_valid() and model.num_reg_images() == report.num_images == NUM_FRAMES
    assert model.num_points3D() == report.num_points > 500
    assert model.compute_num_observations() == report.num_observations > 5000
    (camera,) = model.cameras.values()
    assert (camera.model.name, camera.width, camera.height) == ("PINHOLE", WIDTH, HEIGHT)
    focal = float(solved.trajectory.cameras.focal_px[0, 0])
    np.testing.assert_allclose(camera.params, [focal, focal, WIDTH / 2, HEIGHT / 2])
    points, found = solved.points, set()
    rows = dict(zip(sorted(model.points3D), np.unique(points.point).tolist(), strict=True))
    for number, point in model.points3D.items():
        row = rows[number]
        assert (point.xyz == points.xyz[row]).all() and (point.color == points.rgb[row]).all()
        for element in point.track.elements:
            xy = model.images[element.image_id].points2D[element.point2D_idx].xy
            found.add((row, element.image_id - 1, *xy))
    frames, places = points.frame.tolist(), points.xy_px.astype(np.float64).tolist()
    written = zip(points.point.tolist(), frames, places, strict=True)
    assert found <= {(row, frame, *xy) for row, frame, xy in written}
    seen = set(zip(points.point.tolist(), frames, strict=True))
    assert len(found) == len(seen) == report.num_observations
    assert report.num_observations_left_out == len(frames) - len(seen)
    for frame, pose in enumerate(solved.cam_from_world):
        image = model.images[frame + 1]
        assert image.name == f"frame_{frame:06d}.jpg"
        np.testing.assert_allclose(image.cam_from_world().matrix(), pose, atol=1e-6)


def test_the_reported_reprojection_error_is_what_pycolmap_computes_and_is_small(solved, tmp_path):
    report = write(solved, tmp_path)
    model = pycolmap.Reconstruction(tmp_path / "sparse/0")
    stored = model.compute_mean_reprojection_error()
    model.update_point_3d_errors()
    computed = model.compute_mean_reprojection_error()
    assert stored == pytest.approx(report.mean_reprojection_error_px, abs=1e-12)
    assert computed == pytest.approx(report.mean_reprojection_error_px, abs=1e-9)
    assert 0.01 < computed < 0.5


def test_images_are_the_frames_exactly_as_png_and_closely_as_jpeg(solved, tmp_path):
    write(solved, tmp_path / "jpg")
    write(solved, tmp_path / "png", jpeg_quality=None)
    for index in (0, NUM_FRAMES - 1):
        name = f"images/frame_{index:06d}"
        exact = np.asarray(Image.open(tmp_path / "png" / f"{name}.png"))
        assert (exact == solved.frames[index]).all()
        near = np.asarray(Image.open(tmp_path / "jpg" / f"{name}.jpg")).astype(float)
        assert np.abs(near - solved.frames[index]).mean() < 2


def test_our_own_readers_find_the_path_with_its_times_and_the_scene(solved, tmp_path):
    write(solved, tmp_path)
    loaded, path = load_info(tmp_path).trajectory, solved.trajectory
    assert load_info(tmp_path).format == "colmap-bin" and not load_info(tmp_path).assumed
    for name in ("world_from_cam", "focal_px", "center_px"):
        ours, theirs = (getattr(one.cameras, name).double() for one in (path, loaded))
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)
    torch.testing.assert_close(loaded.times_sec, path.times_sec)
    assert (loaded.fps, loaded.source_frame) == (path.fps, path.source_frame)
    scene = read_scene(tmp_path)
    assert len(scene.frames) == NUM_FRAMES and scene.points is not None
    assert len(scene.points.xyz) == len(np.unique(solved.points.point))


def test_interpolated_frames_are_left_out_unless_asked_for(solved, tmp_path):
    interpolated = np.zeros(NUM_FRAMES, bool)
    interpolated[[3, 4, 9]] = True
    report = write(solved, tmp_path / "posed", interpolated=interpolated)
    assert (report.num_images, report.num_images_left_out) == (NUM_FRAMES - 3, 3)
    assert report.num_observations + report.num_observations_left_out == len(solved.points.point)
    assert report.num_observations_left_out >= np.isin(solved.points.frame, [3, 4, 9]).sum()
    names = sorted(file.name for file in (tmp_path / "posed/images").iterdir())
    assert names[:4] == [f"frame_{index:06d}.jpg" for index in (0, 1, 2, 5)]
    model = pycolmap.Reconstruction(tmp_path / "posed/sparse/0")
    assert sorted(image.name for image in model.images.values()) == names
    loaded = load_info(tmp_path / "posed").trajectory
    assert loaded.source_frame is not None and loaded.source_frame[:4] == (100, 101, 102, 105)
    every = write(solved, tmp_path / "all", interpolated=interpolated, include_interpolated=True)
    assert (every.num_images, every.num_images_left_out) == (NUM_FRAMES, 0)


def test_a_zoom_has_one_camera_for_each_focal_length(solved, tmp_path):
    cameras = solved.trajectory.cameras
    focal = cameras.focal_px.clone()
    focal[5:9], focal[9:] = 310.0, 320.0
    zoom = replace(solved.trajectory, cameras=replace(cameras, focal_px=focal))
    write_colmap_model(tmp_path, zoom, solved.points, solved.frames)
    model = pycolmap.Reconstruction(tmp_path / "sparse/0")
    found = [model.images[index + 1].camera.params[0] for index in range(NUM_FRAMES)]
    assert len(model.cameras) == 3
    np.testing.assert_allclose(found, focal[:, 0])


def test_points_that_fewer_than_two_images_see_and_observations_behind_a_camera_are_left_out(
    solved, tmp_path
):
    points, center = solved.points, solved.trajectory.positions[0].numpy()
    count = len(points)
    behind = center - 50 * solved.cam_from_world[0, 2, :3]
    extra = ScenePoints(
        xyz=np.concatenate([points.xyz, [points.xyz[0], points.xyz[1], behind]]),
        rgb=np.concatenate([points.rgb, np.zeros((3, 3), np.uint8)]),
        # one seen once, one seen twice by one frame, one behind all cameras
        point=np.concatenate([points.point, [count, count + 1, count + 1, count + 2, count + 2]]),
        frame=np.concatenate([points.frame, [0, 1, 1, 0, 1]]),
        xy_px=np.concatenate([points.xy_px, np.full((5, 2), 100.0)]),
    )
    without = write(solved, tmp_path / "without")
    report = write(replace(solved, points=extra), tmp_path / "with")
    assert report.num_points == without.num_points
    assert report.num_points_left_out == without.num_points_left_out + 3
    assert report.num_observations_left_out == without.num_observations_left_out + 5
    assert report.mean_reprojection_error_px == without.mean_reprojection_error_px


def test_a_path_in_another_unit_and_world_keeps_its_reprojection_error(solved, tmp_path):
    pose = solved.cam_from_world[0]
    moved = replace(
        solved,
        trajectory=solved.trajectory.reanchored().scaled(3.0),
        points=replace(solved.points, xyz=3.0 * (solved.points.xyz @ pose[:, :3].T + pose[:, 3])),
    )
    first, second = write(solved, tmp_path / "first"), write(moved, tmp_path / "second")
    error = first.mean_reprojection_error_px
    assert second.mean_reprojection_error_px == pytest.approx(error, rel=1e-6)


def test_a_model_of_ours_is_replaced_and_other_files_stay(solved, tmp_path):
    write(solved, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    half = replace(solved, trajectory=solved.trajectory[:8], frames=solved.frames[:8])
    seen = solved.points.frame < 8
    kept = {name: getattr(solved.points, name)[seen] for name in ("point", "frame", "xy_px")}
    write(replace(half, points=replace(solved.points, **kept)), tmp_path, jpeg_quality=None)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["images", "notes.txt", "sparse"]
    names = sorted(one.name for one in (tmp_path / "images").iterdir())
    assert names == [f"frame_{index:06d}.png" for index in range(8)]
    assert pycolmap.Reconstruction(tmp_path / "sparse/0").num_images() == 8


@pytest.mark.parametrize("place", ["images/IMG_1.jpg", "sparse/0/cameras.bin", "sparse/1/a.bin"])
def test_a_folder_with_images_or_a_model_of_someone_else_is_refused(solved, tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_bytes(b"theirs")
    with pytest.raises(InputError, match=r"must be free, or hold a model .* Choose another folder"):
        write(solved, tmp_path)
    assert file.read_bytes() == b"theirs"
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [file]


def test_a_file_where_a_folder_must_be_is_refused(tmp_path):
    file = tmp_path / "scene"
    file.write_text("a file")
    for folder in (file, file / "deeper"):
        with pytest.raises(InputError, match=r"must go to a folder; got .* is a file"):
            check_colmap_folder(folder)
    check_colmap_folder(tmp_path / "new/one")
    (tmp_path / "images").write_text("a file")
    with pytest.raises(InputError, match=r"images must be a folder or not exist; got a file"):
        check_colmap_folder(tmp_path)


def test_bad_input_is_refused_with_its_rule_and_leaves_nothing_behind(solved, tmp_path):
    points = solved.points
    once = np.unique(points.point, return_index=True)[1]
    seen_once = {name: getattr(points, name)[once] for name in ("point", "frame", "xy_px")}
    cases = {
        "must have scene points; got none": replace(solved, points=ScenePoints.none()),
        r"must have points that 2 images see; got none of \d+ in 16 images": replace(
            solved, points=replace(points, **seen_once)
        ),
        "as many as the 16 cameras; got 9": replace(solved, frames=solved.frames[:9]),
        "as many as the 16 cameras; got more": replace(
            solved, frames=np.concatenate([solved.frames, solved.frames])
        ),
        r"must be 320 x 240 pixels .* got shape \(120, 160, 3\)": replace(
            solved, frames=solved.frames[:, ::2, ::2]
        ),
        r"points\.frame must lie between 0 and 15; got 1 to 16": replace(
            solved, points=replace(points, frame=points.frame + 1)
        ),
        "points must be finite; got NaN": replace(
            solved, points=replace(points, xyz=points.xyz * np.nan)
        ),
    }
    for message, wrong in cases.items():
        with pytest.raises(InputError, match=message):
            write(wrong, tmp_path / "scene")
        assert nothing_in(tmp_path), message
    with pytest.raises(InputError, match="interpolated must tell of each of the 16 cameras; got 3"):
        write(solved, tmp_path / "scene", interpolated=np.zeros(3, bool))
    with pytest.raises(InputError, match="jpeg_quality must lie between 1 and 100; got 0"):
        write(solved, tmp_path / "scene", jpeg_quality=0)
    assert nothing_in(tmp_path)


def test_a_writing_that_is_stopped_leaves_the_older_model_as_it_was(solved, tmp_path):
    write(solved, tmp_path)
    before = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}

    def stopping():
        yield from solved.frames[:5]
        raise Cancelled

    with pytest.raises(Cancelled):
        write(replace(solved, frames=stopping()), tmp_path, jpeg_quality=50)
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == before
