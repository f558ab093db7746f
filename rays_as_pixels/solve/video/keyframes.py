"""Keyframes: few frames that see the scene from different places and still share points.

The rule of most visual odometry (ORB-SLAM, DSO): a new one where the median motion of the shared
points is large, or where too few points of the last keyframe are left.
"""

import numpy as np

from rays_as_pixels.solve.video.tracks import FramePoints

MOTION = 0.03  # of the image's diagonal: median motion of the points shared with the last keyframe
MIN_SHARE = 0.5  # of the last keyframe's points that must still be tracked
_MIN_SHARED = 20  # points; with fewer the median says nothing


def is_keyframe(last: FramePoints, frame: FramePoints, *, diagonal_px: float) -> bool:
    """Tell whether a frame has moved far enough from the last keyframe, or lost sight of it."""
    ids, rows, others = np.intersect1d(last.ids, frame.ids, assume_unique=True, return_indices=True)
    if len(ids) <= _MIN_SHARED or len(ids) < MIN_SHARE * len(last.ids):
        return True
    moved_px = np.linalg.norm(frame.points_px[others] - last.points_px[rows], axis=1)
    return float(np.median(moved_px)) > MOTION * diagonal_px
