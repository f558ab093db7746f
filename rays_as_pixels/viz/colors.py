"""The one colour map of every picture of a path."""

import numpy as np

# Viridis at ten equal steps: perceptually even, and readable without colour vision.
_STOPS = (
    "#440154",
    "#482878",
    "#3e4989",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)
COLORSCALE = [[k / (len(_STOPS) - 1), color] for k, color in enumerate(_STOPS)]
# Of the Okabe-Ito palette, far from all of viridis and from each other without colour vision too:
# vermilion and reddish purple.
OTHER_COLORS = ("#d55e00", "#cc79a7")
OTHER_COLOR = OTHER_COLORS[0]
# The part of viridis that stands out against white, and against the dark theme's ground.
_ON_LIGHT, _ON_DARK = (0.0, 0.93), (0.3, 1.0)


def viridis(share: np.ndarray) -> np.ndarray:
    """Return RGB in [0, 1] for numbers in [0, 1], shape (..., 3)."""
    stops = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in _STOPS])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, at, stops[:, k]) for k in range(3)], axis=-1)


def themed_colorscale(*, dark: bool) -> list[list[float | str]]:
    """Return the part of the colour map that can be seen on a light or a dark ground."""
    low, high = _ON_DARK if dark else _ON_LIGHT
    share = np.linspace(0, 1, len(_STOPS))
    colors = (viridis(low + share * (high - low)) * 255).round().astype(int)
    return [
        [float(at), "#{:02x}{:02x}{:02x}".format(*rgb)]
        for at, rgb in zip(share, colors, strict=True)
    ]
