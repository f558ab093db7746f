"""Camera frusta as a mesh file for other 3D programs, through open3d (imported on use).

PLY keeps the world's axes (OpenCV: +X right, +Y down, +Z forward). GLB follows glTF, where +Y is
up, so there the world is turned half a turn about X: (x, y, z) becomes (x, -y, -z).
"""

import base64
import json
import struct
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.colors import viridis
from rays_as_pixels.viz.frusta import (
    EDGES,
    FACES,
    frustum_depth,
    frustum_vertices,
    stacked_index,
)

SUFFIXES = (".ply", ".glb")
GLTF_FROM_OPENCV = (1.0, -1.0, -1.0)  # the same half turn serves both directions
ROD_OF_DEPTH = 0.03  # width of an edge's rod, as a fraction of the frustum's depth


def write_scene(trajectory: Trajectory, path: "str | Path", *, depth: float | None = None) -> None:
    """Write the path's frusta, coloured by time, as PLY or GLB by the file's suffix.

    Every edge becomes a thin three-sided rod and the path a chain of such rods, so that programs
    which show only faces show the cameras too.

    Args:
        trajectory: The path.
        path: File ending in .ply or .glb, in a folder that exists.
        depth: Depth of a frustum in scene units; by default a seventh of the path's extent.

    Raises:
        InputError: Another suffix, a folder that cannot be written, or open3d cannot be loaded.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"path must end in .ply or .glb; got {path.name!r}. Use .glb for viewers on the web."
        )
    if not path.parent.is_dir():
        raise InputError(
            f"path must lie in a folder that exists; got {path.parent}. Create the folder first."
        )
    open3d = _open3d()
    depth = frustum_depth(trajectory) if depth is None else depth
    points, faces, colors = scene_mesh(trajectory, depth=depth)
    if path.suffix.lower() == ".glb":
        points = points * np.asarray(GLTF_FROM_OPENCV)
    mesh = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(points), open3d.utility.Vector3iVector(faces)
    )
    mesh.vertex_colors = open3d.utility.Vector3dVector(colors)
    write_bytes(path, _mesh_file(open3d, mesh, path.suffix.lower()))


def scene_mesh(
    trajectory: Trajectory, *, depth: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (points in world axes, triangles, colours in [0, 1]) of all rods of the scene."""
    num_frames = len(trajectory)
    corner = frustum_vertices(trajectory.cameras, depth=depth).to(torch.float64)
    time = trajectory.times_sec.to(torch.float64)
    share = (time - time[0]) / (time[-1] - time[0]).clamp_min(1e-9)
    ends = [corner.flatten(0, 1)[stacked_index(EDGES, num_frames)]]
    shares = [share.repeat_interleave(len(EDGES))]
    centre = corner[:, 0]
    ends.append(torch.stack([centre[:-1], centre[1:]], dim=1))
    shares.append(share[:-1])
    top = FACES[-1]  # the filled triangle above the image says which way is up
    ends_all = torch.cat(ends).numpy()
    share_all = torch.cat(shares).numpy()
    moved = np.linalg.norm(ends_all[:, 1] - ends_all[:, 0], axis=-1) > 1e-12
    points, faces = _rods(ends_all[moved], width=ROD_OF_DEPTH * depth)
    colors = viridis(np.repeat(share_all[moved], 6))
    first = len(points)
    marks = corner[:, list(top)].reshape(-1, 3).numpy()
    mark_faces = first + np.arange(3 * num_frames).reshape(-1, 3)
    points = np.concatenate([points, marks])
    faces = np.concatenate([faces, mark_faces, mark_faces[:, ::-1]])
    colors = np.concatenate([colors, viridis(np.repeat(share.numpy(), 3))])
    return points, faces.astype(np.int32), colors


def _rods(ends: np.ndarray, *, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn segments (n, 2, 3) into three-sided rods: 6 points and 8 triangles each."""
    along = ends[:, 1] - ends[:, 0]
    along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    least = np.eye(3)[np.abs(along).argmin(-1)]
    side = np.cross(along, least)
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    other = np.cross(along, side)
    angle = np.arange(3) * 2 * np.pi / 3
    ring = side[:, None] * np.cos(angle)[:, None] + other[:, None] * np.sin(angle)[:, None]
    ring = ring * width / 2
    points = np.concatenate([ends[:, :1] + ring, ends[:, 1:] + ring], axis=1)  # n 6 3
    sides = [(k, (k + 1) % 3, (k + 1) % 3 + 3, k + 3) for k in range(3)]
    faces = [f for a, b, c, d in sides for f in ((a, b, c), (a, c, d))] + [(2, 1, 0), (3, 4, 5)]
    index = np.asarray(faces)[None] + 6 * np.arange(len(ends))[:, None, None]
    return points.reshape(-1, 3), index.reshape(-1, 3)


def _with_binary_chunk(glb: bytes) -> bytes:
    """Move a GLB's buffer from base64 text in its JSON to the binary chunk readers expect.

    Open3D writes the former, which its own reader, among others, does not accept.
    """
    length = struct.unpack_from("<I", glb, 12)[0]
    document = json.loads(glb[20 : 20 + length])
    (buffer,) = document["buffers"]
    if "uri" not in buffer:
        return glb
    data = base64.b64decode(buffer.pop("uri").split(",", 1)[1])
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _mesh_file(open3d: ModuleType, mesh: Any, suffix: str) -> bytes:
    """Return the bytes of a PLY or GLB file; open3d picks the format by the name it writes to."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"scene{suffix}"
        if not open3d.io.write_triangle_mesh(str(file), mesh, write_vertex_normals=False):
            raise InputError(
                f"the folder for temporary files must be writable; got {folder}, to which open3d "
                "could not write. Check free disk space."
            )
        data = file.read_bytes()
    return _with_binary_chunk(data) if suffix == ".glb" else data


def _open3d() -> ModuleType:
    try:
        import open3d  # noqa: PLC0415 - heavy, optional, and needs system libraries
    except (ImportError, OSError) as error:
        raise InputError(
            f"open3d must be installed to write a mesh file; got: {error}. Run `pip install "
            "open3d`, and on Debian or Ubuntu `apt-get install libegl1 libgl1 libgomp1 "
            "libusb-1.0-0 libx11-6`."
        ) from error
    return open3d
