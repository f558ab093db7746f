"""A rendered room with known cameras, written by hand in every layout that the readers know.

Nothing of the package writes camera files here: formulas are spelled out, so that a mistake in a
reader cannot be cancelled by the same mistake in a writer.
"""

import json
import struct
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from rays_as_pixels.geometry.cameras import Cameras
from tests.evaluation.rooms import curved_path, room_clip

FRAMES, HEIGHT, WIDTH = 9, 120, 160
WORLD_SCALE = 3.7  # the data set's unit is not the room's
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
STAMP_US = 5_000_000, 100_000  # first timestamp, step


@dataclass(frozen=True)
class Room:
    """Frames, and what is true of them in a world that is turned, moved and scaled."""

    video: torch.Tensor  # F 3 H W, at 8 bits
    depth: torch.Tensor  # F H W, in the data set's unit
    cameras: Cameras
    xyz: np.ndarray  # P 3
    frame: np.ndarray  # O
    point: np.ndarray  # O

    @property
    def poses(self):
        return self.cameras.world_from_cam.numpy()

    @property
    def intrinsics(self):
        return torch.cat([self.cameras.focal_px, self.cameras.center_px], 1).numpy()


def make_room(frames=FRAMES, height=HEIGHT, width=WIDTH):
    path = curved_path(frames, height=height, width=width)
    off_center = torch.tensor([3.5, -2.25], dtype=torch.float64)
    path = Cameras(
        path.world_from_cam,
        path.focal_px * torch.tensor([1.0, 1.03]),
        path.center_px + off_center,
        height,
        width,
    )
    clip = room_clip(path)
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    poses = clip.cameras.world_from_cam.numpy().copy()
    poses[:, :3, 3] = WORLD_SCALE * poses[:, :3, 3] @ turn.T + [5.0, -2.0, 9.0]
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    cameras = Cameras(torch.from_numpy(poses), path.focal_px, path.center_px, height, width)
    video = (clip.video * 255).round() / 255
    depth = clip.depth.double() * WORLD_SCALE
    return Room(video, depth, cameras, *_points(cameras, depth))


def _points(cameras, depth):
    """Points on the surfaces that every second frame sees at a grid of pixels."""
    xyz, frame = [], []
    for index in range(0, len(depth), 2):
        rows = np.arange(4, depth.shape[1], 9)
        columns = np.arange(4, depth.shape[2], 9)
        v, u = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
        z = depth[index].numpy()[v, u]
        fx, fy, cx, cy = torch.cat([cameras.focal_px, cameras.center_px], 1)[index].tolist()
        local = np.stack([(u + 0.5 - cx) / fx * z, (v + 0.5 - cy) / fy * z, z], 1)
        pose = cameras.world_from_cam[index].numpy()
        xyz.append(local @ pose[:3, :3].T + pose[:3, 3])
        frame.append(np.full(len(z), index))
    return np.concatenate(xyz), np.concatenate(frame), np.arange(sum(map(len, xyz)))


def save_frames(folder, video, names):
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in zip(video, names, strict=True):
        pixels = (frame * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        Image.fromarray(pixels).save(folder / name)


def write_re10k(root, room, name="clip0", *, frames=True, poses=None):
    """NAME.txt with cam_from_world rows, frames/NAME/TIMESTAMP.png."""
    poses = room.poses if poses is None else poses
    root.mkdir(parents=True, exist_ok=True)
    stamps = [STAMP_US[0] + STAMP_US[1] * k for k in range(len(poses))]
    lines = ["https://www.youtube.com/watch?v=AbCdEf_1234"]
    for stamp, pose, (fx, fy, cx, cy) in zip(stamps, poses, room.intrinsics, strict=True):
        rows = np.linalg.inv(pose)[:3].ravel()
        lens = [fx / WIDTH, fy / HEIGHT, cx / WIDTH, cy / HEIGHT, 0.0, 0.0]
        lines.append(" ".join([str(stamp), *(repr(float(v)) for v in [*lens, *rows])]))
    (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    if frames:
        save_frames(root / "frames" / name, room.video, [f"{stamp}.png" for stamp in stamps])
    return root


def write_dl3dv(scene, room, *, poses=None, shrink=1, points=True):
    """transforms.json for the full images, images_N reduced N-fold, a PLY with points."""
    poses = room.poses if poses is None else poses
    scene.mkdir(parents=True, exist_ok=True)
    fx, fy, cx, cy = room.intrinsics[0].tolist()
    value = {
        "camera_model": "OPENCV",
        "w": WIDTH,
        "h": HEIGHT,
        "fl_x": fx,
        "fl_y": fy,
        "cx": cx,
        "cy": cy,
        "k1": 0,
        "k2": 0,
        "p1": 0,
        "p2": 0,
        "frames": [
            {"file_path": f"images/frame_{k + 1:05d}.png", "transform_matrix": (p @ FLIP).tolist()}
            for k, p in enumerate(poses)
        ],
    }
    if points:
        value["ply_file_path"] = "sparse_pc.ply"
        head = f"ply\nformat ascii 1.0\nelement vertex {len(room.xyz)}\n"
        head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
        rows = "\n".join(" ".join(repr(float(v)) for v in row) for row in room.xyz)
        (scene / "sparse_pc.ply").write_text(head + rows + "\n")
    (scene / "transforms.json").write_text(json.dumps(value))
    video = torch.nn.functional.avg_pool2d(room.video, shrink) if shrink > 1 else room.video
    names = [f"frame_{k + 1:05d}.png" for k in range(len(poses))]
    save_frames(scene / ("images" if shrink == 1 else f"images_{shrink}"), video, names)
    return scene


def write_colmap(scene, room, *, binary, poses=None):
    """sparse/0 with one PINHOLE camera, images in mixed order with ids from 11, and points."""
    poses = room.poses if poses is None else poses
    model = scene / "sparse" / "0"
    model.mkdir(parents=True)
    names = [f"im{k}.png" for k in range(len(poses))]
    order = [*range(1, len(poses), 2), *range(0, len(poses), 2)]
    rows = []
    for k in order:
        cam_from_world = np.linalg.inv(poses[k])
        x, y, z, w = Rotation.from_matrix(cam_from_world[:3, :3]).as_quat()
        rows.append((11 + k, [w, x, y, z, *cam_from_world[:3, 3]], names[k]))
    tracks = [[] for _ in room.xyz]
    for frame, point in zip(room.frame.tolist(), room.point.tolist(), strict=True):
        tracks[point].append(11 + frame)
    write = _colmap_binary if binary else _colmap_text
    write(model, room.intrinsics[0].tolist(), rows, room.xyz, tracks)
    save_frames(scene / "images", room.video, names)
    return scene


def _colmap_text(model, lens, rows, xyz, tracks):
    (model / "cameras.txt").write_text(
        f"# a comment\n1 PINHOLE {WIDTH} {HEIGHT} {' '.join(map(repr, lens))}\n"
    )
    lines = []
    for ident, pose, name in rows:
        lines += [f"{ident} {' '.join(repr(float(v)) for v in pose)} 1 {name}", "1.5 2.5 -1"]
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    lines = [
        f"{k} {' '.join(repr(float(v)) for v in p)} 9 9 9 0.5 "
        + " ".join(f"{i} 0" for i in tracks[k])
        for k, p in enumerate(xyz)
    ]
    (model / "points3D.txt").write_text("\n".join(lines) + "\n")


def _colmap_binary(model, lens, rows, xyz, tracks):
    data = struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, *lens)
    (model / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(rows))
    for ident, pose, name in rows:
        data += struct.pack("<I7dI", ident, *pose, 1) + name.encode() + b"\0"
        data += struct.pack("<QddQ", 1, 1.5, 2.5, 2**64 - 1)
    (model / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(xyz))
    for k, point in enumerate(xyz):
        data += struct.pack("<Q3d3BdQ", k, *point, 9, 9, 9, 0.5, len(tracks[k]))
        data += b"".join(struct.pack("<II", ident, 0) for ident in tracks[k])
    (model / "points3D.bin").write_bytes(data)


WRONG_AXES = {
    "inverted": np.linalg.inv,
    "camera y and z negated": lambda pose: pose @ FLIP,
    "camera x and y negated": lambda pose: pose @ np.diag([-1.0, -1.0, 1.0, 1.0]),
    "centres negated": lambda pose: np.block([[pose[:3, :3], -pose[:3, 3:]], [pose[3:]]]),
    "rotations transposed": lambda pose: np.block([[pose[:3, :3].T, pose[:3, 3:]], [pose[3:]]]),
}


def wrong_poses(room, kind):
    """Poses of the room, made relative to the first, with one axis mistake in each."""
    relative = np.linalg.inv(room.poses[0]) @ room.poses
    return np.array([WRONG_AXES[kind](pose) for pose in relative])
