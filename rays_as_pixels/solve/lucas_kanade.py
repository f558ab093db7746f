"""Dense optical flow from coarse to fine (Lucas and Kanade 1981), warping in between.

Motions of cells between neighbouring frames come out to 0.04 cells in the median (0.15 if nothing
moved) on pictures read from latents (`model.latent_pictures`).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.warp import warped

_STEPS = 2  # per level
_COARSEST_SIDE = 6  # elements along the shorter side; motion of so much of a picture is found
_WINDOW = 5  # elements along each side over which one displacement is assumed
_DAMPING = 1e-3  # squared gradient per element, of pictures in [0, 1]
_STEP_LIMIT = 1.5  # elements


@dataclass(frozen=True)
class Flow:
    """Optical flow: where what each element of one picture shows is in another.

    Attributes:
        displacement: (n, 2, H, W) there minus here, (x, y) in elements.
        gradient: (n, 2, H, W) mean squared slope along x and y around each element.
        mismatch: (n, 1, H, W) mean squared difference left around each element.
    """

    displacement: Float[Tensor, "n 2 height width"]
    gradient: Float[Tensor, "n 2 height width"]
    mismatch: Float[Tensor, "n 1 height width"]


def flow_between(
    here: Float[Tensor, "n 3 height width"],
    there: Float[Tensor, "n 3 height width"],
    start: Float[Tensor, "n 2 height width"] | None = None,
) -> Flow:
    """Find where each element of `here` is in `there`.

    Args:
        here: Pictures.
        there: Others of the same size.
        start: A first guess, which is then only refined, at full size.
    """
    pyramid = [(here, there)]
    if start is None:
        while all(
            side % 2 == 0 and side >= 2 * _COARSEST_SIDE for side in pyramid[-1][0].shape[-2:]
        ):
            first, second = (nn.functional.avg_pool2d(one, 2) for one in pyramid[-1])
            pyramid.append((first, second))
        start = torch.zeros_like(pyramid[-1][0][:, :2])
    found = start
    gradient = mismatch = found
    for level, (one, other) in enumerate(reversed(pyramid)):
        if level:
            size = (one.shape[-2], one.shape[-1])
            found = 2 * nn.functional.interpolate(found, size=size, mode="bilinear")
        for _ in range(_STEPS):
            step, gradient, mismatch = _step(one, warped(other, found))
            found = found + step
        found = nn.functional.avg_pool2d(nn.functional.pad(found, (1, 1, 1, 1), "replicate"), 3, 1)
    return Flow(found, gradient, mismatch)


def _step(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return displacement, squared gradient and squared difference, by one step of Gauss-Newton.

    With gradients g and differences e = there - here, summed over a window around each element:
    (sum g g^T + damping I) step = -sum g e (Lucas and Kanade 1981; Baker and Matthews 2004, Eq. 10,
    for a translation). The mean of both pictures' gradients converges faster than either's
    (efficient second-order minimisation, Malis 2004).
    """
    pairs_of_gradients = zip(_gradients(here), _gradients(there), strict=True)
    x, y = ((one + other) / 2 for one, other in pairs_of_gradients)
    error = there - here
    pairs = [(x, x), (y, y), (x, y), (x, error), (y, error), (error, error)]
    products = torch.stack([(a * b).sum(1) for a, b in pairs], dim=1)
    around = nn.functional.avg_pool2d(products, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
    xx, yy, xy, xe, ye, ee = around.unbind(1)
    gradient = torch.stack([xx, yy], dim=1)
    xx, yy = xx + _DAMPING, yy + _DAMPING
    determinant = xx * yy - xy**2
    step = torch.stack([xy * ye - yy * xe, xy * xe - xx * ye], dim=1) / determinant[:, None]
    return step.clamp(-_STEP_LIMIT, _STEP_LIMIT), gradient, ee[:, None]


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    padded = nn.functional.pad(images, (1, 1, 1, 1), "replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return across, down
