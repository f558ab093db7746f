"""The one colour map of every picture of a path."""

import numpy as np

# Viridis at ten equal steps: perceptually even, and readable without colour vision.
_STOPS = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e",
    "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
COLORSCALE = [[k / (len(_STOPS) - 1), color] for k, color in enumerate(_STOPS)]
OTHER_COLOR = "#d55e00"  # vermilion of the Okabe-Ito palette: far from all of viridis


def viridis(share: np.ndarray) -> np.ndarray:
    """Return RGB in [0, 1] for numbers in [0, 1], shape (..., 3)."""
    stops = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in _STOPS])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, at, stops[:, k]) for k in range(3)], axis=-1)
