"""How near a video is to the true one, frame by frame: PSNR and SSIM, masked or whole."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.errors import InputError


def _check_images(image: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if image.shape != target.shape or image.ndim < 3 or image.shape[-3] != 3:
        raise InputError(
            "images must be two tensors of the same shape ending in 3 H W; got "
            f"{tuple(image.shape)} and {tuple(target.shape)}. Resize one to the other."
        )
    expected = (*image.shape[:-3], *image.shape[-2:])
    if mask is not None and tuple(mask.shape) != expected:
        raise InputError(f"mask must have shape {expected}; got {tuple(mask.shape)}. Drop axis 3.")


def psnr_db(
    image: Float[Tensor, "*batch 3 H W"],
    target: Float[Tensor, "... 3 _ _"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch"]:
    """Return -10 log10 of the mean squared difference of each image, values in [0, 1].

    Equal images give infinity, a mask without a pixel NaN.

    Args:
        image: What was made.
        target: What it should be, of the same shape.
        mask: (*batch, H, W) pixels to compare, for example those that the source image saw; all if
            None.

    Raises:
        InputError: Shapes disagree.
    """
    _check_images(image, target, mask)
    squared = (image - target).square().mean(-3).double()
    weight = torch.ones_like(squared) if mask is None else mask.double()
    return -10 * ((squared * weight).sum((-2, -1)) / weight.sum((-2, -1))).log10()


def ssim(
    image: Float[Tensor, "*batch 3 H W"],
    target: Float[Tensor, "... 3 _ _"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch"]:
    """Return the structural similarity of each image, mean over channels (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, range 1; only windows that lie
    wholly in the image. With a mask (*batch, H, W), windows whose centre is in it; NaN if there
    is none.

    Raises:
        InputError: Shapes differ or a side is shorter than 11 pixels.
    """
    _check_images(image, target, mask)
    if min(image.shape[-2:]) < 11:
        raise InputError(
            f"images must have sides of 11 pixels or more for SSIM; got {tuple(image.shape[-2:])}. "
            "Use PSNR for smaller ones."
        )
    offset = torch.arange(-5, 6, dtype=torch.float64, device=image.device)
    window = torch.exp(-(offset**2) / (2 * 1.5**2))
    window = window / window.sum()

    def blur(channels: Tensor) -> Tensor:
        return torch.conv2d(
            torch.conv2d(channels, window.view(1, 1, 11, 1)), window.view(1, 1, 1, 11)
        )

    x = image.double().reshape(-1, 1, *image.shape[-2:])
    y = target.double().reshape(-1, 1, *image.shape[-2:])
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    value = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    value = value.reshape(*image.shape[:-2], *value.shape[-2:]).mean(-3)
    weight = torch.ones_like(value) if mask is None else mask[..., 5:-5, 5:-5].double()
    return (value * weight).sum((-2, -1)) / weight.sum((-2, -1))
