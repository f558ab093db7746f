"""Start the autoencoder as the best linear code (PCA) of its images, cell by cell.

Trained from random weights for half an hour of a CPU core, an autoencoder reconstructed held-out
frames at 23 dB, where keeping the first 32 principal components of every 8x8 block keeps 31 dB. An
autoencoder that takes whole cells (`new_autoencoder` with temporal stride 1) can hold that linear
code and its inverse almost exactly, so it starts there, and its decoder learns the rest.
"""

import math

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import patchify
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, posterior_of
from rays_as_pixels.training.data.still_frames import forget_the_past
from rays_as_pixels.training.stages.autoencoder import ClipSource, training_raxels

_CONSTANT = 20.0  # constant channels keep the last norm's scale; in deviations of the code
_LOG_VARIANCE = -9.0
_RAXEL_GAIN = 8.0
_RIDGE = 1e-6


def sample_images(clips: ClipSource, *, batches: int = 40) -> list[Float[Tensor, "n 3 h w"]]:
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


def cells_of(images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "m 192"]:
    """Cut images into cells of 8x8 pixels, one row each, as the autoencoder reads them."""
    cells = patchify(images[:, :, None], SPATIAL_STRIDE)[:, :, 0]
    return cells.movedim(1, -1).flatten(0, -2)


@torch.no_grad()
def init_as_principal_components(
    autoencoder: AutoencoderKLWan, images: list[Float[Tensor, "n 3 height width"]]
) -> None:
    """Set all weights so that latents are principal components of deviation 1, and back again.

    Args:
        autoencoder: Of `new_autoencoder`, with temporal stride 1.
        images: Stacks of images in [-1, 1]; each stack counts as much as its number of images.

    Raises:
        InputError: The autoencoder has another shape.
    """
    rows = torch.cat([cells_of(stack) for stack in images])
    mean = rows.mean(0)
    centred = (rows - mean).double()
    values, axes = torch.linalg.eigh(centred.mT @ centred / len(rows))
    count = int(autoencoder.config["z_dim"])
    code = axes.flip(1)[:, :count] / values.flip(0)[:count].clamp_min(1e-10).sqrt()
    set_linear_encoder(autoencoder, code.mT.float(), -mean @ code.float())
    set_linear_decoder(autoencoder, images)


@torch.no_grad()
def set_linear_encoder(
    autoencoder: AutoencoderKLWan,
    matrix: Float[Tensor, "z 192"],
    offset: Float[Tensor, "z"],
) -> None:
    """Let latents be `matrix @ cell + offset`, bent by 4 % of their size.

    Raises:
        InputError: The autoencoder has another shape than temporal stride 1 needs.
    """
    encoder, z_dim = autoencoder.encoder, int(autoencoder.config["z_dim"])
    width = encoder.conv_in.out_channels
    if autoencoder.config["patch_size"] != SPATIAL_STRIDE or width <= 2 * z_dim:
        raise InputError(
            "principal components need temporal_stride 1 and base_dim above twice z_dim; got "
            f"{autoencoder.config['scale_factor_temporal']}, {width} and {z_dim}. "
            "Change the autoencoder's configuration."
        )
    _silence(encoder)
    _silence(autoencoder.quant_conv)
    energy = z_dim * _CONSTANT**2
    _keep(encoder.conv_in, _rows(matrix, width))
    _bias(encoder.conv_in)[:z_dim] = offset
    _bias(encoder.conv_in)[z_dim:] = math.sqrt(energy / (width - z_dim))
    # The stage's shortcut doubles all; the norm takes that away. x -> silu(share x), about half.
    encoder.norm_out.gamma.fill_(math.sqrt(2 * z_dim / width))
    share = math.sqrt(2 * z_dim / (energy + z_dim))
    _keep(encoder.conv_out, _rows(torch.eye(z_dim, width) * 2 / share, 2 * z_dim))
    _keep(autoencoder.quant_conv, torch.eye(2 * z_dim))
    _bias(autoencoder.quant_conv)[z_dim:] = _LOG_VARIANCE


@torch.no_grad()
def set_linear_decoder(
    autoencoder: AutoencoderKLWan, images: list[Float[Tensor, "n 3 height width"]]
) -> None:
    """Let the decoder be the linear map from latents to pixels that fits images best."""
    decoder, z_dim = autoencoder.decoder, int(autoencoder.config["z_dim"])
    width = decoder.conv_in.out_channels
    latents = torch.cat(
        [
            posterior_of(autoencoder, part[:, :, None]).mode()[:, :, 0].movedim(1, -1).flatten(0, 2)
            for stack in images
            for part in stack.split(256)
        ]
    ).double()
    rows = torch.cat([latents, torch.ones(len(latents), 1, dtype=torch.float64)], 1)
    pixels = torch.cat([cells_of(stack) for stack in images]).double()
    gram = rows.mT @ rows / len(rows)
    gram += _RIDGE * torch.diag(gram.diagonal())
    solution = torch.linalg.solve(gram, rows.mT @ pixels / len(rows)).float()

    _silence(decoder)
    _silence(autoencoder.post_quant_conv)
    _keep(autoencoder.post_quant_conv, torch.eye(z_dim))
    # silu(x) - silu(-x) is x, so every latent goes through twice, with either sign.
    pair = torch.cat([torch.eye(z_dim), -torch.eye(z_dim)])
    _keep(decoder.conv_in, _rows(pair, width))
    _bias(decoder.conv_in)[2 * z_dim :] = _CONSTANT
    energy = (width - 2 * z_dim) * _CONSTANT**2 + 2 * float(latents.square().sum(1).mean())
    share = math.sqrt(width / energy)
    back = torch.zeros(len(solution.T), width)
    back[:, :z_dim], back[:, z_dim : 2 * z_dim] = (
        solution[:-1].mT / share,
        -solution[:-1].mT / share,
    )
    _keep(decoder.conv_out, back)
    _bias(decoder.conv_out).copy_(solution[-1])


@torch.no_grad()
def _silence(module: nn.Module) -> None:
    """Let all blocks add nothing and all norms scale nothing; blocks can still learn to add.

    Nothing looks at earlier frames any more: frames are coded alone.
    """
    for name, parameter in module.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(1)
        elif "conv1" not in name and "to_qkv" not in name:
            parameter.zero_()
    forget_the_past(module)


def _rows(matrix: Float[Tensor, "n m"], count: int) -> Float[Tensor, "count m"]:
    """Put zeros below."""
    return nn.functional.pad(matrix, (0, 0, 0, count - len(matrix)))


def _bias(convolution: nn.Conv3d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _keep(convolution: nn.Conv3d, matrix: Float[Tensor, "out in"]) -> None:
    """Let a causal convolution map each cell of the present frame alone."""
    time, height, width = convolution.kernel_size
    convolution.weight[:, :, time - 1, height // 2, width // 2] = matrix
