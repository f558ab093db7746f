"""Rotary position encoding in continuous (t, y, x), shared by the video and the ray stream.

Ray tokens sit at every frame and half the raster of video tokens, which stand for four frames each
where the autoencoder folds time as Wan's does. Both get the
position of the centre of what they cover, so that tokens which show the same thing at the same time
have the same coordinates. In `index` units (None as extent) the video's positions are the whole
numbers of WanTransformer3DModel; with an extent they are normalised by the clip's size.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE
from rays_as_pixels.model.joint_state import latent_time

Tables = tuple[Tensor, Tensor]


def token_positions(
    frame: Float[Tensor, "batch s"],
    *,
    grid: tuple[int, int],
    cells_per_token: float,
    clip: tuple[int, int, int],
    extent: tuple[float, float] | None,
    stride: int = TEMPORAL_STRIDE,
) -> Float[Tensor, "batch n 3"]:
    """Return (t, y, x) of every token of S images of h x w tokens each, N = S h w.

    Args:
        frame: Video frame number of each image; may be fractional.
        grid: (h, w) tokens of one image.
        cells_per_token: Video tokens' side lengths that a token covers along y and x: 1 for video;
            2 for rays where both patch sizes are the same.
        clip: Number of frames, and height and width in video tokens.
        extent: (time, space) lengths that a whole clip spans after normalisation; space is the
            side of a square clip. None keeps latent units.
        stride: Video frames per latent frame, after the first.
    """
    t = latent_time(frame, stride)
    device = frame.device
    # Centre of what is covered, in units where video token i sits at i, as in Wan.
    y, x = (
        (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * cells_per_token - 0.5
        for size in grid
    )
    if extent is not None:
        num_frames, height, width = clip
        last = max(1.0, (num_frames - 1 + (stride - 1) / 2) / stride)
        t = t / last * extent[0]
        # One scale for both axes keeps angles right; the clip's centre is the origin.
        scale = extent[1] / (height * width) ** 0.5
        y, x = (y + 0.5 - height / 2) * scale, (x + 0.5 - width / 2) * scale
    batch, images = frame.shape
    shape = (batch, images, grid[0], grid[1])
    return torch.stack(
        [
            t[:, :, None, None].expand(shape),
            y[None, None, :, None].expand(shape),
            x[None, None, None, :].expand(shape),
        ],
        dim=-1,
    ).flatten(1, 3)


def rotary_tables(
    positions: Float[Tensor, "batch n 3"], *, head_dim: int, theta: float
) -> tuple[Float[Tensor, "batch n 1 half"], Float[Tensor, "batch n 1 half"]]:
    """Return cosines and sines for `apply_rotary`; head_dim splits over (t, y, x) as in Wan."""
    space = 2 * (head_dim // 6)
    dims = (head_dim - 2 * space, space, space)
    angles = []
    for axis, dim in enumerate(dims):
        exponent = torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim
        angles.append(positions[..., axis, None].to(torch.float64) * theta**-exponent)
    angle = torch.cat(angles, dim=-1)[:, :, None]
    return angle.cos().float(), angle.sin().float()


def apply_rotary(
    x: Float[Tensor, "batch n heads head_dim"], tables: tuple[Tensor, Tensor]
) -> Float[Tensor, "batch n heads head_dim"]:
    """Rotate neighbouring pairs of channels by the angles of `rotary_tables`."""
    cos, sin = tables
    pairs = x.unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling() or x.device.type == "mps":
        # The compiler fuses this, but has no complex numbers of its own.
        a, b = pairs.unbind(-1)
        turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    else:
        # As one complex product: 5 to 20 times as fast on a CPU as separate real ones.
        wide = pairs.to(torch.promote_types(x.dtype, cos.dtype)).contiguous()
        turned = torch.view_as_real(torch.view_as_complex(wide) * torch.complex(cos, sin))
    return turned.flatten(-2).type_as(x)
