"""Which matches of two frames agree with one epipolar geometry, whatever the cameras are."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

_RANSAC_PX, _CONFIDENCE, _ITERATIONS = 1.0, 0.999, 2000


def epipolar_inliers(
    first_px: Float[np.ndarray, "m 2"], second_px: Float[np.ndarray, "m 2"]
) -> Bool[np.ndarray, "m"]:
    """Return which matches agree with a fundamental matrix of them (MAGSAC++, Barath et al. 2020).

    Args:
        first_px: Places in one frame, in pixels.
        second_px: Where the same is in the other.
    """
    try:
        _, inliers = cv2.findFundamentalMat(
            first_px, second_px, cv2.USAC_MAGSAC, _RANSAC_PX, _CONFIDENCE, _ITERATIONS
        )
    except cv2.error:  # of fewer points than a sample has; other methods return None there
        inliers = None
    return np.zeros(len(first_px), bool) if inliers is None else inliers[:, 0] > 0
