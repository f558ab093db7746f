"""Load real trajectory files and show that each was read in the right convention.

`python scripts/check_real_trajectories.py --data DIR`, where DIR holds `trajectories/` (files, a
folder a format) and `real/` (clips: frames/*.jpg and cameras.json).

Files that belong to a clip: matched points of its frames must lie on each other's epipolar lines
under the loaded poses. The table gives the median Sampson error in pixels, and the least median
that any wrong reading (inverted poses, another camera's axes) reaches. Other files are compared
with a file of the same scene in another format, up to a similarity.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import umeyama
from rays_as_pixels.trajectories.formats import LoadedTrajectory, load_info

NUM_PAIRS = 8
NOT_PATHS = ("KITTI_00_gt_times.txt", "kitti06_calib.txt")  # times and intrinsics, no poses
WRONG = {
    "inverted": np.linalg.inv,
    "OpenGL camera": lambda pose: pose @ np.diag([1.0, -1.0, -1.0, 1.0]),
    "inverted, OpenGL": lambda pose: np.linalg.inv(pose) @ np.diag([1.0, -1.0, -1.0, 1.0]),
    "y and z exchanged": lambda pose: pose @ np.eye(4)[[0, 2, 1, 3]] * [1, 1, -1, 1],
}


@dataclass
class Clip:
    """Frames with known cameras, and matched points of some pairs of them.

    Attributes:
        size: (width, height).
        intrinsics: (F, 4) fx fy cx cy in pixels, the first pixel's centre at (0.5, 0.5).
        world_from_cam: (F, 4, 4).
        origins: For each frame, what its data set calls it.
        matches: (i, j) -> points (N, 2) in i and in j.
    """

    size: tuple[int, int]
    intrinsics: np.ndarray
    world_from_cam: np.ndarray
    origins: list[str]
    matches: "dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]" = field(default_factory=dict)


def read_clip(folder: Path, num_pairs: int = NUM_PAIRS) -> Clip:
    """Read cameras.json and match SIFT points between frames one and two apart."""
    value = json.loads((folder / "cameras.json").read_text("utf-8"))
    frames = value["frames"]
    clip = Clip(
        (value["width"], value["height"]),
        np.array([[frame[key] for key in ("fx", "fy", "cx", "cy")] for frame in frames]),
        np.array([frame["cam2world"] for frame in frames]),
        [str(frame.get("orig", "")) for frame in frames],
    )
    starts = np.unique(np.linspace(0, len(frames) - 3, num_pairs).astype(int))
    pairs = [(int(i), int(i) + 1 + n % 2) for n, i in enumerate(starts)]
    features = {
        index: _features(folder / frames[index]["file"])
        for index in sorted({index for pair in pairs for index in pair})
    }
    for i, j in pairs:
        clip.matches[i, j] = _match(features[i], features[j])
    return clip


def _features(path: Path) -> "tuple[np.ndarray, np.ndarray]":
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    points, descriptors = cv2.SIFT_create(1500).detectAndCompute(image, None)
    # OpenCV has the first pixel's centre at (0, 0), this project at (0.5, 0.5)
    return np.array([point.pt for point in points]) + 0.5, descriptors


def _match(first: tuple, second: tuple) -> "tuple[np.ndarray, np.ndarray]":
    pairs = cv2.BFMatcher().knnMatch(first[1], second[1], k=2)
    good = [best for best, other in pairs if best.distance < 0.7 * other.distance]
    return (
        first[0][[match.queryIdx for match in good]],
        second[0][[match.trainIdx for match in good]],
    )


def sampson_px(
    clip: Clip, world_from_cam: "dict[int, np.ndarray]", intrinsics: "dict[int, np.ndarray]"
) -> float:
    """Return the median Sampson error in pixels of a clip's matches under other cameras.

    Args:
        clip: The clip.
        world_from_cam: 4x4 poses by the clip's frame.
        intrinsics: fx fy cx cy by the clip's frame.
    """
    errors = []
    for (i, j), (one, two) in clip.matches.items():
        if i not in world_from_cam or j not in world_from_cam:
            continue
        relative = np.linalg.inv(world_from_cam[j]) @ world_from_cam[i]
        x, y, z = relative[:3, 3]
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        inverse = [np.linalg.inv(_matrix(intrinsics[index])) for index in (i, j)]
        fundamental = inverse[1].T @ cross @ relative[:3, :3] @ inverse[0]
        first, second = (np.column_stack([points, np.ones(len(points))]) for points in (one, two))
        line_two, line_one = first @ fundamental.T, second @ fundamental
        distance = np.abs((second * line_two).sum(1))
        scale = np.hypot(line_two[:, 0], line_two[:, 1]) ** 2
        scale += np.hypot(line_one[:, 0], line_one[:, 1]) ** 2
        errors.append(distance / np.sqrt(np.maximum(scale, 1e-30)))
    return float(np.median(np.concatenate(errors)))


def _matrix(row: np.ndarray) -> np.ndarray:
    fx, fy, cx, cy = row
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def epipolar_of(
    clip: Clip, loaded: LoadedTrajectory, frame_of: "Callable[[int], int | None]"
) -> tuple[float, float]:
    """Return the median error of a loaded path and the least of its wrong readings.

    Args:
        clip: The clip that the path belongs to.
        loaded: The path; the clip's intrinsics are used where the file holds none.
        frame_of: The path's frame for a clip's frame, None where it has none.
    """
    cameras = loaded.trajectory.cameras
    rows = torch.cat([cameras.focal_px, cameras.center_px], dim=1).numpy()
    poses, intrinsics = {}, {}
    for index in range(len(clip.intrinsics)):
        frame = frame_of(index)
        if frame is not None and frame < len(loaded.trajectory):
            poses[index] = cameras.world_from_cam[frame].numpy()
            own = (
                "intrinsics" not in loaded.assumed and (cameras.width, cameras.height) == clip.size
            )
            intrinsics[index] = rows[frame] if own else clip.intrinsics[index]
    right = sampson_px(clip, poses, intrinsics)
    wrong = [
        sampson_px(clip, {index: change(pose) for index, pose in poses.items()}, intrinsics)
        for change in WRONG.values()
    ]
    return right, min(wrong)


def same_frame(index: int) -> int:
    """The clip's frames are the path's."""
    return index


def clip_files(data: Path) -> "list[tuple[str, str, Callable[[Clip, LoadedTrajectory], Callable]]]":
    """List (file, clip, how frames correspond) of the files that belong to a clip."""
    files = data / "trajectories"
    plain = lambda clip, loaded: same_frame  # noqa: E731 - one of several rules, side by side
    found = [
        (f"crossformat_{name}/{file}", name, plain)
        for name in ("fox_phone", "kitti06_street")
        for file in (
            "colmap_bin",
            "colmap_txt",
            "kitti.txt",
            "re10k.txt",
            "transforms.json",
            "tum.txt",
        )
    ]
    found += [
        (f"re10k_txt/{path.name}", f"re10k_{path.stem}", plain)
        for path in sorted((files / "re10k_txt").glob("*.txt"))
        if (data / "real" / f"re10k_{path.stem}").is_dir()
    ]
    found += [
        ("kitti/kitti06_first51_poses.txt", "kitti06_street", plain),
        ("pyslam_simple/kitti06_groundtruth.txt", "kitti06_street", plain),
        ("nerf_transforms/fox_transforms.json", "fox_phone", _by_file_path(files)),
        ("bundler_out/kermit_bundle.out", "kermit", _by_camera_number),
    ]
    return [entry for entry in found if (files / entry[0]).exists()]


def _by_file_path(files: Path) -> Callable:
    def rule(clip: Clip, loaded: LoadedTrajectory) -> Callable:
        value = json.loads((files / "nerf_transforms" / "fox_transforms.json").read_text("utf-8"))
        names = sorted(frame["file_path"] for frame in value["frames"])
        return lambda index: names.index(clip.origins[index])

    return rule


def _by_camera_number(clip: Clip, loaded: LoadedTrajectory) -> Callable:
    numbers = loaded.trajectory.source_frame
    assert numbers is not None

    def frame_of(index: int) -> "int | None":
        number = int(Path(clip.origins[index]).stem)
        return numbers.index(number) if number in numbers else None

    return frame_of


def agreement(first: LoadedTrajectory, second: LoadedTrajectory) -> tuple[float, float]:
    """Return how far two paths of one scene are apart after the best similarity.

    Returns:
        Largest rotation difference in degrees, and largest distance as a share of the extent.
    """
    one, two = first.trajectory.cameras, second.trajectory.cameras
    fit = umeyama(one.world_from_cam[:, :3, 3], two.world_from_cam[:, :3, 3])
    moved = fit.scale * one.world_from_cam[:, :3, 3] @ fit.rotation.T + fit.translation
    target = two.world_from_cam[:, :3, 3]
    extent = (target - target.mean(0)).norm(dim=1).max()
    between = (fit.rotation @ one.world_from_cam[:, :3, :3]).transpose(1, 2) @ two.world_from_cam[
        :, :3, :3
    ]
    cosine = ((between.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    return float(torch.rad2deg(cosine.acos().max())), float(
        (moved - target).norm(dim=1).max() / extent
    )


PAIRS = (
    ("colmap_txt", "colmap_bin"),
    ("visualsfm_nvm/VisualSFM_example.nvm", "colmap_txt"),
    ("colmap_txt_per_image_cams", "colmap_txt"),
    ("open3d_log/open3d_example.log", "open3d_log/open3d_example.json"),
    ("pyslam_simple/kitti06_groundtruth.txt", "kitti/kitti06_first51_poses.txt"),
    ("kitti/KITTI_00_ORB.txt", "kitti/KITTI_00_gt.txt"),
)


def all_files(data: Path) -> list[str]:
    """List every trajectory file; a COLMAP model is one."""
    root = data / "trajectories"
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir() and path.name.startswith("colmap"):
            found.append(name)
        elif path.is_file() and not path.parent.name.startswith("colmap"):
            skip = path.name in NOT_PATHS or "LICENSES" in name or path.name == "README.md"
            found += [] if skip else [name]
    return found


def check(data: Path) -> int:
    """Print the tables; return how many files could not be loaded."""
    root, failures = data / "trajectories", 0
    clips: dict[str, Clip] = {}
    known = {name: (clip, rule) for name, clip, rule in clip_files(data)}
    say(f"{'format':18}{'file':52}{'frames':>7}{'Sampson px':>12}{'if misread':>12}  convention")
    for name in all_files(data):
        try:
            size = None
            if name in known:
                clip_name, rule = known[name]
                if clip_name not in clips:
                    clips[clip_name] = read_clip(data / "real" / clip_name)
                size = None if name.startswith("nerf_transforms") else clips[clip_name].size
            loaded = load_info(root / name, size=size)
        except InputError as error:
            failures += 1
            say(f"{'NOT LOADED':18}{name:52}{error}")
            continue
        errors = f"{'-':>12}{'-':>12}"
        if name in known:
            clip = clips[clip_name]
            right, wrong = epipolar_of(clip, loaded, rule(clip, loaded))
            errors = f"{right:12.3f}{wrong:12.3f}"
        say(f"{loaded.format:18}{name:52}{len(loaded.trajectory):7}{errors}  {loaded.convention}")
    say("")
    say(f"{'file':45}{'the same scene in':45}{'rotation deg':>14}{'distance':>12}")
    for first, second in PAIRS:
        one, two = (load_info(root / name) for name in (first, second))
        count = min(len(one.trajectory), len(two.trajectory))
        one, two = cut(one, count), cut(two, count)
        degrees, share = agreement(one, two)
        say(f"{first:45}{second:45}{degrees:14.4f}{100 * share:10.4f} %")
    return failures


def cut(loaded: LoadedTrajectory, count: int) -> LoadedTrajectory:
    """Return the first `count` frames."""
    return LoadedTrajectory(loaded.trajectory[:count], loaded.format, loaded.convention)


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201 - a table is what this script is for


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trajectories/, real/")
    sys.exit(check(parser.parse_args().data) > 0)
