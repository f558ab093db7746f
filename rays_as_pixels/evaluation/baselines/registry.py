"""The classical baselines that this project has, and which of them can run here."""

from collections.abc import Sequence

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines import colmap, opencv
from rays_as_pixels.evaluation.baselines.classical import ClassicalBaseline

BASELINES = (*opencv.BASELINES, *colmap.BASELINES)  # their packages load when they run


def installed_baselines(
    baselines: Sequence[ClassicalBaseline] = BASELINES,
) -> list[ClassicalBaseline]:
    """Return the baselines whose package is installed.

    Raises:
        InputError: None is.
    """
    found = [baseline for baseline in baselines if baseline.installed]
    if not found:
        names = " and ".join(sorted({baseline.package for baseline in baselines}))
        raise InputError(
            f"baselines must have at least one of {names} installed; got none. "
            "Run 'pip install opencv-python-headless pycolmap' or leave out --baselines."
        )
    return found
