"""Structure from motion of keyframes by COLMAP's mappers; other frames posed from its points.

Incremental: Schoenberger and Frahm 2016; global (GLOMAP): Pan et al. 2024; both as pycolmap has
them. The other frames by perspective-n-point (P3P in RANSAC, then refined).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from rays_as_pixels.geometry.colmap import pycolmap
from rays_as_pixels.solve.video.observations import Observations
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath

_MIN_MATCHES = 20  # of a pair of keyframes, for the pair to be looked at
_MIN_POINTS = 30  # of a model; a mapper that fails returns one without points
_TRACKS_PER_VIEW = 300  # that the global mapper takes, the longest first: twice as fast as all
_BA_TOLERANCE = 1e-4  # share of the cost that a step must still gain: COLMAP's own is 1e-5
_MIN_PNP_POINTS = 12
_MIN_PNP_INLIERS = 0.4  # of those points
_MAX_PNP_ERROR_PX = 4.0


@dataclass(frozen=True)
class MapperOptions:
    """How to map.

    Attributes:
        focal_px: Focal length to start from, in pixels of the frames.
        refine_focal: Whether it is adjusted; held where the motion cannot tell it.
        mapper: COLMAP's "global" or "incremental" one.
        use_features: Whether SIFT matches are used beside the tracks.
    """

    focal_px: float
    refine_focal: bool = True
    mapper: Literal["global", "incremental"] = "global"
    use_features: bool = True


def map_video(observations: Observations, options: MapperOptions) -> VideoPath | None:
    """Return a path of the frames that could be posed; None where the mapper fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        track_rows = _write_database(folder, observations, options)
        model = _run_mapper(folder, options)
    if model is None:
        return None
    return _with_all_frames(observations, model, track_rows)


def _write_database(
    folder: Path, observations: Observations, options: MapperOptions
) -> dict[int, Int[np.ndarray, "_"]]:
    """Write cameras, keyframes, points and matches; return each keyframe's rows of track points."""
    tracks = observations.tracks
    database = pycolmap.Database.open(str(folder / "database.db"))
    camera = pycolmap.Camera(
        camera_id=1,
        model="SIMPLE_PINHOLE",
        width=tracks.width,
        height=tracks.height,
        params=[options.focal_px, tracks.width / 2, tracks.height / 2],
    )
    camera.has_prior_focal_length = True
    database.write_camera(camera, use_camera_id=True)
    rig = pycolmap.Rig(rig_id=1)
    rig.add_ref_sensor(camera.sensor_id)
    database.write_rig(rig, use_rig_id=True)
    rows = {}
    for frame in observations.keyframes:
        rows[frame] = np.flatnonzero(~observations.held_out_tracks(frame))
        points = [tracks.points_px[frame][rows[frame]]]
        points += [observations.features[frame].points_px] if options.use_features else []
        _write_keyframe(database, frame, np.concatenate(points).astype(np.float32))
    pairs = _write_matches(database, observations, rows, use_features=options.use_features)
    database.close()
    (folder / "pairs.txt").write_text("\n".join(pairs), encoding="utf-8")
    options_of_pairs = pycolmap.TwoViewGeometryOptions()
    options_of_pairs.ransac.random_seed = 0  # its own default differs from run to run
    pycolmap.verify_matches(folder / "database.db", folder / "pairs.txt", options=options_of_pairs)
    return rows


def _write_keyframe(
    database: pycolmap.Database, frame: int, points_px: Float[np.ndarray, "n 2"]
) -> None:
    image = pycolmap.Image(name=_image_name(frame), camera_id=1, image_id=frame + 1)
    holder = pycolmap.Frame(frame_id=frame + 1, rig_id=1)
    holder.add_data_id(image.data_id)
    database.write_image(image, use_image_id=True)
    database.write_frame(holder, use_frame_id=True)
    database.write_keypoints(frame + 1, points_px)


def _image_name(frame: int) -> str:
    return f"{frame:08d}"


def _write_matches(
    database: pycolmap.Database,
    observations: Observations,
    rows: dict[int, Int[np.ndarray, "_"]],
    *,
    use_features: bool,
) -> list[str]:
    """Write what pairs of keyframes share, but for what is held out; return the pairs' names."""
    tracks, names = observations.tracks, []
    for (first, second), matches in observations.matches.items():
        _, a, b = np.intersect1d(
            tracks.ids[first][rows[first]],
            tracks.ids[second][rows[second]],
            assume_unique=True,
            return_indices=True,
        )
        pairs = [np.stack([a, b], axis=1)]
        if use_features:
            fitted = ~observations.held_out_matches((first, second))
            after = np.array([len(rows[first]), len(rows[second])])
            pairs.append(matches[fitted] + after)
        both = np.concatenate(pairs).astype(np.uint32)
        if len(both) >= _MIN_MATCHES:
            database.write_matches(first + 1, second + 1, both)
            names.append(f"{_image_name(first)} {_image_name(second)}")
    return names


def _run_mapper(folder: Path, options: MapperOptions) -> pycolmap.Reconstruction | None:
    """Return the model with the most images; None where there is none, or none with points."""
    database, images, out = folder / "database.db", folder / "images", folder / "models"
    images.mkdir()
    if options.mapper == "global":
        chosen = pycolmap.GlobalPipelineOptions(random_seed=0)
        chosen.mapper.bundle_adjustment.refine_focal_length = options.refine_focal
        chosen.mapper.track_required_tracks_per_view = _TRACKS_PER_VIEW
        chosen.mapper.bundle_adjustment.ceres.solver_options.function_tolerance = _BA_TOLERANCE
        models = pycolmap.global_mapping(database, images, out, chosen)
    else:
        chosen = pycolmap.IncrementalPipelineOptions(
            multiple_models=False,
            min_num_matches=15,
            random_seed=0,
            extract_colors=False,
            ba_refine_focal_length=options.refine_focal,
            ba_refine_extra_params=False,
        )
        chosen.mapper.init_max_forward_motion = 1.0  # drives straight ahead are motion too
        models = pycolmap.incremental_mapping(database, images, out, chosen)
    model = max(models.values(), key=lambda one: one.num_reg_images(), default=None)
    return None if model is None or model.num_points3D() < _MIN_POINTS else model


def _with_all_frames(
    observations: Observations,
    model: pycolmap.Reconstruction,
    track_rows: dict[int, Int[np.ndarray, "_"]],
) -> VideoPath:
    """Pose the frames between the keyframes from the points that their tracks see."""
    tracks = observations.tracks
    (camera,) = model.cameras.values()
    poses = np.full((len(tracks), 3, 4), np.nan)
    points = _PointsOfModel(observations, model, track_rows)
    for image in model.images.values():
        if image.has_pose:
            poses[image.image_id - 1] = image.cam_from_world().matrix()
    for frame in np.flatnonzero(np.isnan(poses[:, 0, 0])):
        rows, seen = points.rows_of_tracks(int(frame))
        places = tracks.points_px[frame][rows].astype(np.float64)
        pose, inliers = _resected(places, points.xyz[seen], camera)
        if pose is not None:
            poses[frame] = pose
            points.add(int(frame), seen[inliers], places[inliers])
    focal_px = np.full(len(tracks), camera.mean_focal_length())
    return VideoPath(poses, focal_px, points.gathered())


class _PointsOfModel:
    """The model's points by their place in a list, and where frames see them."""

    def __init__(
        self,
        observations: Observations,
        model: pycolmap.Reconstruction,
        track_rows: dict[int, Int[np.ndarray, "_"]],
    ) -> None:
        """Gather what the keyframes see."""
        self._tracks = observations.tracks
        index = {number: place for place, number in enumerate(model.points3D)}
        self.xyz = np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3)
        self._color_sums, self._colored = np.zeros((len(index), 3)), np.zeros(len(index))
        self._seen: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._point_of_track: dict[int, int] = {}
        for image in model.images.values():
            if not image.has_pose:
                continue
            frame = image.image_id - 1
            rows = [row for row, point in enumerate(image.points2D) if point.has_point3D()]
            found = [image.points2D[row] for row in rows]
            seen = np.array([index[point.point3D_id] for point in found], np.int64)
            self.add(frame, seen, np.array([point.xy for point in found]).reshape(-1, 2))
            fitted = track_rows[frame]  # a keyframe's points are these tracks', then its features
            num_tracks = len(self._tracks.ids[frame])
            ids = self._tracks.ids[frame][fitted]
            self._point_of_track |= {
                int(ids[row]): int(point)
                for row, point in zip(rows, seen, strict=True)
                if row < len(ids)
            }
            colors = observations.colors[frame]
            colors = np.concatenate([colors[:num_tracks][fitted], colors[num_tracks:]])[rows]
            np.add.at(self._color_sums, seen, colors)
            np.add.at(self._colored, seen, 1)

    def rows_of_tracks(self, frame: int) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Return which of a frame's track points are known points, and which."""
        pairs = [
            (row, self._point_of_track[int(track)])
            for row, track in enumerate(self._tracks.ids[frame])
            if int(track) in self._point_of_track
        ]
        rows, seen = np.array(pairs, np.int64).reshape(-1, 2).T
        return rows, seen

    def add(self, frame: int, seen: Int[np.ndarray, "n"], places: Float[np.ndarray, "n 2"]) -> None:
        """Note that a frame sees points at these places."""
        self._seen.append((frame, seen, places))

    def gathered(self) -> ScenePoints:
        """Return the points with all that was noted."""
        mean: UInt8[np.ndarray, "P 3"] = np.round(
            self._color_sums / np.maximum(self._colored, 1)[:, None]
        ).astype(np.uint8)
        return ScenePoints(
            xyz=self.xyz,
            rgb=mean,
            point=np.concatenate([seen for _, seen, _ in self._seen]).astype(np.int32),
            frame=np.repeat(
                np.array([frame for frame, _, _ in self._seen], np.int32),
                [len(seen) for _, seen, _ in self._seen],
            ),
            xy_px=np.concatenate([places for _, _, places in self._seen]).astype(np.float32),
        )


def _resected(
    places_px: Float[np.ndarray, "n 2"],
    xyz: Float[np.ndarray, "n 3"],
    camera: pycolmap.Camera,
) -> tuple[Float[np.ndarray, "3 4"] | None, Bool[np.ndarray, "n"]]:
    """Return a frame's pose (world to camera) from known points, and which of them agree.

    None where too few do.
    """
    none = np.zeros(len(xyz), bool)
    if len(xyz) < _MIN_PNP_POINTS:
        return None, none
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = _MAX_PNP_ERROR_PX
    answer = pycolmap.estimate_and_refine_absolute_pose(
        places_px, xyz, camera, options, pycolmap.AbsolutePoseRefinementOptions()
    )
    if answer is None or answer["num_inliers"] < _MIN_PNP_INLIERS * len(xyz):
        return None, none
    return answer["cam_from_world"].matrix(), np.asarray(answer["inlier_mask"], bool)
