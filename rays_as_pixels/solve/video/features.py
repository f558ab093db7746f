"""SIFT features of keyframes, and their matches: what tracks lose over wide baselines.

Lowe 2004, with the square-root normalisation of Arandjelovic and Zisserman 2012 (RootSIFT).
OpenCV's default places lie a quarter of a pixel off (findings/opencv_sift_quarter_pixel.sh); its
precise form does not.
"""

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

NUM_FEATURES = 2500
_LONGEST_SIDE_PX = 800  # larger frames are shrunk for detection
_CONTRAST = 0.015  # OpenCV's default is 0.04, which leaves bare walls without features
_MAX_RATIO = 0.8  # of the distances to the best and the second best match


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one frame.

    Attributes:
        points_px: (n, 2) places (x, y) in pixels of the frame, from its corner.
        descriptors: (n, 128) RootSIFT, each of length 1.
    """

    points_px: Float[np.ndarray, "n 2"]
    descriptors: Float[np.ndarray, "n 128"]


def colors_at(
    image: UInt8[np.ndarray, "height width 3"], points_px: Float[np.ndarray, "n 2"]
) -> UInt8[np.ndarray, "n 3"]:
    """Return the colours of the pixels that places in pixels from the corner lie in."""
    limit = np.array([image.shape[1] - 1, image.shape[0] - 1])
    column, row = np.clip(points_px.astype(np.int64), 0, limit).T
    return image[row, column]


def detect_features(frame: UInt8[np.ndarray, "height width"]) -> Features:
    """Detect SIFT features in a grey frame."""
    scale = min(1.0, _LONGEST_SIDE_PX / max(frame.shape))
    if scale < 1:
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    detector = cast(Any, cv2).SIFT_create(  # its stub has no SIFT
        NUM_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True
    )
    points, descriptors = detector.detectAndCompute(frame, None)
    if descriptors is None:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    places = (np.array([point.pt for point in points], np.float32) + 0.5) / scale
    return Features(places.astype(np.float32), np.sqrt(descriptors / sums).astype(np.float32))


def match_features(first: Features, second: Features) -> Int[np.ndarray, "m 2"]:
    """Return pairs of rows that are each other's best match and clearly better than the second."""
    if len(first.descriptors) < 2 or len(second.descriptors) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = torch.from_numpy(first.descriptors) @ torch.from_numpy(second.descriptors).T
    cosine, column = likeness.topk(2, dim=1)  # all descriptors have length 1
    best, rows = column[:, 0], torch.arange(len(likeness))
    mutual = cosine[:, 0] == likeness.amax(dim=0)[best]  # several times as fast as argmax
    distance = (2 - 2 * cosine).clamp_min(0).sqrt()
    good = mutual & (distance[:, 0] < _MAX_RATIO * distance[:, 1])
    return torch.stack([rows[good], best[good]], dim=1).numpy()
