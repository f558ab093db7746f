"""glTF 2.0 and GLB: one animated camera node.

Right-handed, +Y up, the camera looks along -Z: world and camera axes both are ours turned by 180
degrees about x. Times in seconds, quaternions x y z w, yfov in vertical radians. Animation data
are float32 by the standard. Core glTF cannot animate a lens: where it changes, one still camera a
frame is added. `extras` keep exact times and intrinsics.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes, write_text
from rays_as_pixels.trajectories.formats.about import KEY, PROGRAM, about_of, app_version, as_about
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, parse_json
from rays_as_pixels.trajectories.formats.poses import (
    OPENGL_FROM_OPENCV,
    compose,
    fov_from_focal,
    rotations_from_wxyz,
    wxyz_of,
)
from rays_as_pixels.trajectories.formats.textfile import decode, read_bytes

GLB_MAGIC = b"glTF"
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_FLOAT = 5126
_DATA_URI = "data:application/octet-stream;base64,"


def to_gltf(world_from_cam: np.ndarray) -> np.ndarray:
    """Turn world and camera axes to glTF's. Its own inverse."""
    return OPENGL_FROM_OPENCV @ world_from_cam @ OPENGL_FROM_OPENCV


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write .glb (binary) or, for any other ending, .gltf with its data inside."""
    pose = to_gltf(frames.world_from_cam)
    xyzw = wxyz_of(pose[:, :3, :3])[:, [1, 2, 3, 0]]
    times = frames.time_sec - frames.time_sec[0]
    arrays = [np.ascontiguousarray(a, "<f4") for a in (times, pose[:, :3, 3], xyzw)]
    document = _document(frames, arrays, about_of(frames, SPEC.convention, extra))
    if not frames.has_one_lens:
        _add_still_cameras(document, frames, pose[:, :3, 3], xyzw)
    buffer = b"".join(array.tobytes() for array in arrays)
    stored_buffer: dict[str, Any] = {"byteLength": len(buffer)}
    document["buffers"] = [stored_buffer]
    if path.suffix.lower() == ".glb":
        write_bytes(path, _glb(document, buffer))
    else:
        stored_buffer["uri"] = _DATA_URI + base64.b64encode(buffer).decode()
        write_text(path, json.dumps(document, allow_nan=False))
    notes = ["Animation data are float32, as glTF demands; extras keep exact times and lenses."]
    if not frames.has_one_lens:
        notes.append(
            "The lens changes, which glTF cannot animate: a still camera a frame is added."
        )
    return Written((path,), tuple(notes))


def _document(
    frames: Frames, arrays: "list[np.ndarray]", about: "dict[str, Any]"
) -> "dict[str, Any]":
    views, accessors, offset = [], [], 0
    for array, kind in zip(arrays, ("SCALAR", "VEC3", "VEC4"), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes})
        accessor = {
            "bufferView": len(accessors),
            "componentType": _FLOAT,
            "count": len(array),
            "type": kind,
        }
        if kind == "SCALAR":
            accessor |= {"min": [float(array.min())], "max": [float(array.max())]}
        accessors.append(accessor)
        offset += array.nbytes
    node = {
        "name": "camera",
        "camera": 0,
        "translation": arrays[1][0].tolist(),
        "rotation": arrays[2][0].tolist(),
        "extras": {KEY: about},
    }
    channels = [
        {"sampler": index, "target": {"node": 0, "path": target}}
        for index, target in enumerate(("translation", "rotation"))
    ]
    samplers = [{"input": 0, "output": 1 + i, "interpolation": "LINEAR"} for i in range(2)]
    return {
        "asset": {"version": "2.0", "generator": f"{PROGRAM} {app_version()}"},
        "scene": 0,
        "scenes": [{"name": "trajectory", "nodes": [0]}],
        "nodes": [node],
        "cameras": [_lens(frames, 0)],
        "animations": [{"name": "trajectory", "channels": channels, "samplers": samplers}],
        "bufferViews": views,
        "accessors": accessors,
    }


def _lens(frames: Frames, index: int) -> "dict[str, Any]":
    width, height = frames.size
    fx, fy = frames.focal_px[index].tolist()
    perspective = {
        "aspectRatio": (width / fx) / (height / fy),
        "yfov": float(fov_from_focal(fy, height)),
        "znear": 0.01,
    }
    return {"type": "perspective", "perspective": perspective}


def _add_still_cameras(
    document: "dict[str, Any]", frames: Frames, position: np.ndarray, xyzw: np.ndarray
) -> None:
    positions, rotations = position.tolist(), xyzw.tolist()
    for index in range(len(frames)):
        document["scenes"][0]["nodes"].append(len(document["nodes"]))
        document["nodes"].append(
            {
                "name": f"frame_{index:06d}",
                "camera": len(document["cameras"]),
                "translation": positions[index],
                "rotation": rotations[index],
            }
        )
        document["cameras"].append(_lens(frames, index))


def _glb(document: "dict[str, Any]", buffer: bytes) -> bytes:
    text = json.dumps(document, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    buffer += b"\0" * (-len(buffer) % 4)
    length = 12 + 8 + len(text) + 8 + len(buffer)
    return b"".join(
        [
            GLB_MAGIC,
            struct.pack("<II", 2, length),
            struct.pack("<II", len(text), _JSON_CHUNK),
            text,
            struct.pack("<II", len(buffer), _BINARY_CHUNK),
            buffer,
        ]
    )


def read(path: Path, options: ReadOptions) -> PathData:
    """Read the first animated camera node at the root of a .gltf or .glb."""
    file, buffer = _open(path)
    try:
        return _read(path, file, buffer)
    except InputError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise InputError(
            f"{file.name} must have the structure of glTF 2.0; got a document where a field is "
            f"missing or of another kind ({error}). Export it again."
        ) from error


def _read(path: Path, file: JsonFile, buffer: bytes) -> PathData:
    node_index, channels = _animated_camera(file)
    node = file.get("nodes", node_index)
    times, position = _sampled(file, buffer, channels, "translation", 3)
    rotation_times, xyzw = _sampled(file, buffer, channels, "rotation", 4)
    if not np.array_equal(times, rotation_times):
        raise InputError(
            f"{file.where('animations', 0)}: translation and rotation must have the same times; "
            "got different ones. Bake the animation first."
        )
    notes: list[str] = []

    def where(frame: int) -> str:
        return f"{path.name}, key {frame} of node {node_index}"

    rotation = rotations_from_wxyz(xyzw[:, [3, 0, 1, 2]], where, notes)
    lens = ("cameras", int(file.number("nodes", node_index, "camera")), "perspective")
    yfov = np.full(len(times), file.positive(*lens, "yfov"))
    data = PathData(
        world_from_cam=to_gltf(compose(rotation, position)),
        where=where,
        vfov_rad=yfov,
        time_sec=times,
        notes=notes,
        about=as_about(node.get("extras", {}).get(KEY)),
    )
    if data.about is not None:
        data.time_sec = None  # the exact ones are there
        if len(data.about.get("intrinsics_px", [])) > 1:
            data.vfov_rad = None  # a lens that changes is only there
    elif "aspectRatio" in file.get(*lens):
        data.hfov_rad = 2 * np.arctan(np.tan(yfov / 2) * file.positive(*lens, "aspectRatio"))
    return data


def _open(path: Path) -> tuple[JsonFile, bytes]:
    payload = read_bytes(path)
    if not payload.startswith(GLB_MAGIC):
        file = parse_json(decode(payload, path.name), path.name)
        uri = file.get("buffers", 0, "uri")
        if not isinstance(uri, str) or ";base64," not in uri[:80]:
            raise file.fail(("buffers", 0, "uri"), "hold its data inside", "a link", "Use .glb.")
        try:
            return file, base64.b64decode(uri.split(";base64,", 1)[1], validate=True)
        except ValueError as error:
            got = str(error)
            raise file.fail(("buffers", 0, "uri"), "be base64", got, "Copy it again.") from None
    chunks, offset = {}, 12
    while offset + 8 <= len(payload):
        size, kind = struct.unpack_from("<II", payload, offset)
        chunks[kind] = payload[offset + 8 : offset + 8 + size]
        offset += 8 + size
    if _JSON_CHUNK not in chunks or offset != len(payload):
        raise InputError(
            f"{path.name}, byte {min(offset, len(payload))}: a GLB must end with its last chunk; "
            "got another length. The file is cut off: copy it again."
        )
    text = decode(chunks[_JSON_CHUNK], path.name)
    return parse_json(text, f"{path.name} (JSON chunk)"), chunks.get(_BINARY_CHUNK, b"")


def _animated_camera(file: JsonFile) -> "tuple[int, dict[str, dict]]":
    channels: dict[int, dict[str, dict]] = {}
    for animation in file.value.get("animations", []):
        for channel in animation["channels"]:
            target = channel["target"]
            sampler = animation["samplers"][channel["sampler"]]
            channels.setdefault(target.get("node", -1), {})[target["path"]] = sampler
    roots = file.get("scenes", file.value.get("scene", 0), "nodes")
    for index, node in enumerate(file.get("nodes")):
        if "camera" in node and {"translation", "rotation"} <= set(channels.get(index, {})):
            if index not in roots:
                remedy = "Apply the parents' transforms first."
                raise file.fail(("nodes", index), "stand at the scene's root", "a child", remedy)
            return index, channels[index]
    raise InputError(
        f"{file.name} must hold a camera node with animated translation and rotation; got none. "
        "Bake the camera's animation first."
    )


def _sampled(
    file: JsonFile, buffer: bytes, channels: "dict[str, dict]", name: str, width: int
) -> tuple[np.ndarray, np.ndarray]:
    sampler = channels[name]
    if sampler.get("interpolation", "LINEAR") != "LINEAR":
        raise InputError(
            f"{file.name}: animated {name} must be LINEAR; got {sampler['interpolation']}. Bake "
            "the animation first."
        )
    times = _accessor(file, buffer, sampler["input"], 1)[:, 0]
    values = _accessor(file, buffer, sampler["output"], width)
    if len(times) != len(values):
        raise InputError(
            f"{file.name}: animated {name} must have a value per time; got {len(values)} for "
            f"{len(times)}. Export it again."
        )
    return times, values


def _accessor(file: JsonFile, buffer: bytes, index: int, width: int) -> np.ndarray:
    accessor = file.get("accessors", index)
    view = file.get("bufferViews", int(file.number("accessors", index, "bufferView")))
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    count = int(file.number("accessors", index, "count"))
    plain = accessor.get("componentType") == _FLOAT and "byteStride" not in view
    if not plain or not 0 < count <= (len(buffer) - start) // (4 * width):
        rule = "be plain float32 data that lie within the buffer"
        raise file.fail(("accessors", index), rule, f"{count} entries", "Export it again.")
    values = np.frombuffer(buffer, "<f4", count * width, start)
    return values.reshape(count, width).astype(np.float64)


def sniff(content: FileContent) -> bool:
    """Look for the GLB magic number, or for asset and nodes."""
    is_gltf_json = "asset" in content.json_object and "nodes" in content.json_object
    return is_gltf_json or content.payload.startswith(GLB_MAGIC)


SPEC = FormatSpec(
    name="gltf",
    title="glTF 2.0 / GLB",
    convention="node transform in a right-handed world, +Y up; the camera looks along -Z; "
    "quaternion x y z w; yfov in vertical radians; float32",
    read=read,
    sniff=sniff,
    write=write,
    file_name="trajectory.glb",
    extensions=(".glb", ".gltf"),
)
