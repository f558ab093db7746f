"""Start the autoencoder's encoder as the best linear code of its images.

Trained from random weights for half an hour of a CPU core, the autoencoder reconstructed held-out
frames at 23 dB, where keeping the first 32 principal components of every 8x8 block keeps 30 dB. So
the encoder starts as that linear map, which its layers can hold almost exactly (the last one bends
it by 4 %), and only the decoder has to learn.
"""

import math

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import patchify
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.training.codec import ClipSource, training_raxels
from rays_as_pixels.training.still_frames import forget_the_past

_CONSTANT = 20.0  # size of the channels that hold the last norm still, in deviations of the code
_LOG_VARIANCE = -9.0
_RAXEL_GAIN = 8.0


def code_images(clips: ClipSource, *, batches: int = 40) -> list[Float[Tensor, "n 3 h w"]]:
    """Draw what the code is fitted to: every fourth frame of clips, and raxels, drawn larger.

    Raxels are smooth, so that few components hold them; eight times as large, they get theirs.
    """
    generator = torch.Generator().manual_seed(0)
    images = []
    for _ in range(batches):
        video, cameras = next(clips)
        raxels = training_raxels(cameras, 4 * len(video), generator) / 2
        images += [video[:, ::4].flatten(0, 1).cpu() * 2 - 1, _RAXEL_GAIN * raxels.cpu()]
    return images


def principal_axes(rows: Float[Tensor, "n width"], count: int) -> Float[Tensor, "count width"]:
    """Return the orthonormal directions of largest second moment, at most `width` of them."""
    _, vectors = torch.linalg.eigh(rows.mT.double() @ rows.double())
    return vectors.flip(1)[:, :count].mT.float()


@torch.no_grad()
def start_as_principal_code(
    autoencoder: AutoencoderKLWan, images: list[Float[Tensor, "n 3 height width"]]
) -> None:
    """Set the encoder's weights so that its latents are principal components, of deviation 1.

    The decoder keeps its weights, but for those that look at earlier frames.

    Args:
        autoencoder: Of `new_autoencoder`, with temporal stride 1.
        images: Stacks of images in [-1, 1]; each stack counts as much as its number of images.

    Raises:
        InputError: The autoencoder has another shape.
    """
    encoder, z_dim = autoencoder.encoder, int(autoencoder.config["z_dim"])
    narrow, wide = encoder.conv_in.out_channels, encoder.conv_out.in_channels
    if autoencoder.config["scale_factor_temporal"] != 1 or narrow < 12 or z_dim >= wide:
        raise InputError(
            "a principal code needs temporal_stride 1, base_dim of 12 or more and z_dim below "
            f"twice that; got {autoencoder.config['scale_factor_temporal']}, {narrow} and {z_dim}. "
            "Change the codec's configuration."
        )
    patches = [patchify(stack[:, :, None], 2)[:, :, 0] for stack in images]  # N 12 h w
    first = principal_axes(torch.cat([_blocks(one) for one in patches]), narrow)  # of 4x4 pixels
    kept = len(first)  # at most the 48 numbers of 4x4 pixels
    stage = [_folded(one, first) for one in patches]
    rows = torch.cat([_blocks(one) for one in stage])
    mean = rows.mean(0)
    second = principal_axes(rows - mean, z_dim)
    second = second / ((rows - mean) @ second.mT).std(0, keepdim=True).mT.clamp_min(1e-6)

    for name, parameter in (
        *encoder.named_parameters(),
        *autoencoder.quant_conv.named_parameters(),
    ):
        if name.endswith("gamma"):
            parameter.fill_(1)
        elif "conv1" not in name:  # these stay as drawn, so that the blocks can learn later
            parameter.zero_()
    _keep(encoder.conv_in, torch.eye(narrow, 12))
    blocks = encoder.down_blocks
    # The shortcut of each stage averages what the convolution has seen: take that away again.
    weight = blocks[0].downsampler.resample[1].weight
    weight[:kept, :12, :2, :2] = first.unflatten(1, (12, 2, 2))
    for channel in range(narrow):
        weight[channel, channel, :2, :2] -= 0.25
    _keep(blocks[1].resnets[0].conv_shortcut, torch.eye(wide, narrow))
    down = blocks[1].downsampler.resample[1]
    down.weight[:z_dim, :kept, :2, :2] = second.unflatten(1, (kept, 2, 2))
    for channel in range(wide):
        down.weight[channel, channel // 2, channel % 2, :2] -= 0.5
    down.bias[:z_dim] = -second @ mean
    down.bias[z_dim:] = _CONSTANT
    # From here on all is doubled, then normalised: x -> silu(share x), which is share x / 2.
    share = math.sqrt(wide) / math.sqrt((wide - z_dim) * _CONSTANT**2 + z_dim)
    _keep(encoder.conv_out, (2 / share) * torch.eye(2 * z_dim, wide) * (torch.arange(wide) < z_dim))
    _keep(autoencoder.quant_conv, torch.eye(2 * z_dim))
    autoencoder.quant_conv.bias[z_dim:] = _LOG_VARIANCE
    forget_the_past(autoencoder.decoder)  # frames are coded alone: the decoder learns from stills


def _keep(convolution: nn.Conv3d, matrix: Float[Tensor, "out in"]) -> None:
    """Let a causal convolution map each pixel of the present frame alone."""
    time, height, width = convolution.kernel_size
    convolution.weight[:, :, time - 1, height // 2, width // 2] = matrix


def _blocks(maps: Float[Tensor, "n c height width"]) -> Float[Tensor, "m c*4"]:
    """Cut into 2x2 blocks, one row each, in the order (channel, y, x)."""
    return nn.functional.pixel_unshuffle(maps, 2).movedim(1, -1).flatten(0, -2)


def _folded(
    maps: Float[Tensor, "n c height width"], axes: Float[Tensor, "k c*4"]
) -> Float[Tensor, "n k h w"]:
    return torch.einsum("kc,nchw->nkhw", axes, nn.functional.pixel_unshuffle(maps, 2))
