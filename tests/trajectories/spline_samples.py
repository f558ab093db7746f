"""Short ways to write keyframes, to read paths along them, and what tests ask of a path."""

import numpy as np
import torch

from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.trajectories.splines import Keyframe, SplineOptions, trajectory_from_keyframes

SIZE = {"fps": 10.0, "height": 48, "width": 64}
EXACT = {"atol": 1e-12, "rtol": 0}  # float64 products of numbers near 1


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def key(time_sec, centre=(0, 0, 0), turn_deg=(0, 0, 0), hfov_deg=60.0, **shape):
    turn = torch.deg2rad(vector(*turn_deg))
    return Keyframe(time_sec, rigid(rotation_from_vector(turn), vector(*centre)), hfov_deg, **shape)


def read(keys, num_frames, **options):
    return trajectory_from_keyframes(
        keys, num_frames=num_frames, **SIZE, options=SplineOptions(**options)
    )


def random_keys(seed, count=5, turn=60.0):
    random = np.random.default_rng(seed)
    return [
        key(
            float(index),
            random.uniform(-1, 1, 3),
            turn * random.uniform(-1, 1, 3),
            random.uniform(40, 80),
        )
        for index in range(count)
    ]


def rotation_of(trajectory):
    return trajectory.cameras.world_from_cam[:, :3, :3]


def turns_deg(trajectory):
    rotation = rotation_of(trajectory)
    return torch.rad2deg(rotation_angle_rad(rotation[:-1].transpose(-1, -2) @ rotation[1:]))
