"""What the inlier ratio of a path decides: all thresholds on it, in one place.

The inlier ratio is the share of patches, over pairs of frames, that look alike where a path shows
them (`photometric_refinement.PhotometricFit`). A path that is right has 0.3 to 0.8 on clips of a
scene that stands still; noise has 0.
"""

MIN_ACCEPTED = 0.02  # below it a fit is noise: the guess it started from is kept
MIN_TRUSTED = 0.16  # below it a path is to be doubted: most real clips below were off by 5 degrees
# and more, those above by 0.6 at most (docs/lab/beyond.md)
MIN_CONVERGED = 0.25  # below it the guess was poor: the fit starts again from where it ended
MIN_REVERSED = 0.4  # that the same path with its travel reversed must reach, to be believed
MIN_FOR_REVERSAL = 0.35  # below it the reversed path cannot be believed, and is not tried
MIN_FOR_DEPTH = 0.35  # below it first depths count more than what a plane sweep sees along the path
MIN_RELATIVE_WITH_EXTRA_FRAMES = 0.75  # of an estimate's, for a path that rests on more frames


def is_doubtful(inlier_ratio: float | None) -> bool:
    """Tell whether so few of a clip's patches were found again that its path is to be doubted."""
    return inlier_ratio is not None and inlier_ratio < MIN_TRUSTED
