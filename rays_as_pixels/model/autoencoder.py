"""One frozen video autoencoder for two kinds of image: video frames and raxels.

Wan's autoencoder folds video 4x in time and 8x in space; small ones may keep every frame (time
stride 1). Raxels are encoded frame by frame, 8x in space only.
Latents are normalised per modality, because raxels are far smoother than video (paper, section
"Raxels").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE, check_frame_count, latent_frames

SPATIAL_STRIDE = 8
_FRAMES_PER_CALL = 4  # of `AutoencoderKLWan.encode`, after the first, for every temporal stride
RAXEL_LIMIT = 2.0  # raxels are halved before encoding and the autoencoder's range is [-1, 1]


def new_autoencoder(
    *, base_dim: int, z_dim: int, num_res_blocks: int = 1, temporal_stride: int = TEMPORAL_STRIDE
) -> AutoencoderKLWan:
    """Build an untrained Wan autoencoder of stride 8 in space.

    With stride 4 in time as Wan's: 2x2 patches, then two halvings, with Wan 2.2's averaging
    shortcuts (`is_residual`): after 100 steps its error was 0.27 where the plain one's was 0.38.
    They need the last stage to keep its width, hence `dim_mult`. With stride 1: one stage on whole
    cells of 8x8 pixels, which can start as a linear code (`training.stages.principal_components`).

    Args:
        base_dim: Width of the first stage; of any others, half theirs.
        z_dim: Latent channels.
        num_res_blocks: Residual blocks per stage.
        temporal_stride: Frames per latent frame after the first, 4 or 1.

    Raises:
        InputError: Another temporal stride.
    """
    if temporal_stride not in (1, TEMPORAL_STRIDE):
        raise InputError(f"temporal_stride must be 1 or 4; got {temporal_stride}. Use 1.")
    folded = temporal_stride == TEMPORAL_STRIDE
    patch = 2 if folded else SPATIAL_STRIDE
    return AutoencoderKLWan(
        base_dim=base_dim,
        z_dim=z_dim,
        dim_mult=[1, 2, 2] if folded else [1],
        num_res_blocks=num_res_blocks,
        temperal_downsample=[True, True] if folded else [],
        patch_size=patch,
        in_channels=3 * patch**2,
        out_channels=3 * patch**2,
        is_residual=True,
        latents_mean=[0.0] * z_dim,
        latents_std=[1.0] * z_dim,
        scale_factor_temporal=temporal_stride,
        scale_factor_spatial=SPATIAL_STRIDE,
    )


def posterior_of(
    autoencoder: AutoencoderKLWan, pixels: Float[Tensor, "batch 3 frames height width"]
) -> DiagonalGaussianDistribution:
    """Encode pixels in [-1, 1] to the distribution of their latents.

    After the first frame diffusers encodes 4 at a time and drops what is left over, whatever the
    temporal stride. So the last frame is repeated to fill them, and the latents of the copies are
    cut off: convolutions over time look back only, so the others do not depend on them.
    """
    frames = pixels.shape[2]
    missing = (1 - frames) % _FRAMES_PER_CALL
    if not missing:
        return autoencoder.encode(pixels, return_dict=False)[0]
    filled = torch.cat([pixels, pixels[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
    parameters = autoencoder.encode(filled, return_dict=False)[0].parameters
    count = latent_frames(frames, int(autoencoder.config["scale_factor_temporal"]))
    return DiagonalGaussianDistribution(parameters[:, :, :count])


def decoded_by(
    autoencoder: AutoencoderKLWan, latents: Float[Tensor, "batch c t h w"]
) -> Float[Tensor, "batch 3 frames height width"]:
    """Decode latents of the autoencoder's own scale to pixels in [-1, 1]."""
    return autoencoder.decode(latents, return_dict=False)[0]


@dataclass(frozen=True)
class LatentStatistics:
    """Per-channel mean and standard deviation of a modality's latents, each (C,)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, latents: Float[Tensor, "batch c ..."]) -> Float[Tensor, "batch c ..."]:
        """Map latents to zero mean and unit deviation per channel. Inverse of `restore`."""
        mean, std = self._shaped(latents)
        return (latents - mean) / std

    def restore(self, latents: Float[Tensor, "batch c ..."]) -> Float[Tensor, "batch c ..."]:
        """Map normalised latents back to the autoencoder's own scale. Inverse of `normalise`."""
        mean, std = self._shaped(latents)
        return latents * std + mean

    def _shaped(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, *([1] * (latents.dim() - 2)))
        mean = latents.new_tensor(self.mean).reshape(shape)
        return mean, latents.new_tensor(self.std).reshape(shape)


class LatentCodec:
    """Video and raxels to normalised latents and back, through one autoencoder."""

    def __init__(
        self,
        autoencoder: AutoencoderKLWan,
        *,
        raxel_mean: Sequence[float],
        raxel_std: Sequence[float],
    ) -> None:
        self.autoencoder = autoencoder
        config = autoencoder.config
        self.video_statistics = LatentStatistics(
            tuple(config["latents_mean"]), tuple(config["latents_std"])
        )
        self.raxel_statistics = LatentStatistics(tuple(raxel_mean), tuple(raxel_std))

    @property
    def temporal_stride(self) -> int:
        """Video frames per latent frame, after the first."""
        return int(self.autoencoder.config["scale_factor_temporal"])

    def encode_video(
        self, video: Float[Tensor, "batch frames 3 height width"]
    ) -> Float[Tensor, "batch c t h w"]:
        """Encode clips in [0, 1]; the first latent frame is that of the first image alone."""
        check_frame_count(video.shape[1], self.temporal_stride)
        _check_size(video.shape[-2], video.shape[-1], SPATIAL_STRIDE)
        pixels = video.transpose(1, 2) * 2 - 1
        latents = self._posterior(pixels).mode()
        return self.video_statistics.normalise(latents.to(video.dtype))

    def decode_video(
        self, latents: Float[Tensor, "batch c t h w"]
    ) -> Float[Tensor, "batch frames 3 height width"]:
        """Decode to clips in [0, 1]."""
        restored = self.video_statistics.restore(latents)
        pixels = self._decoded(restored)
        return ((pixels.to(latents.dtype) + 1) / 2).clamp(0, 1).transpose(1, 2)

    def encode_raxels(
        self, raxels: Float[Tensor, "batch frames 3 height width"]
    ) -> Float[Tensor, "batch c frames h w"]:
        """Encode raxel images one by one.

        Raises:
            InputError: A value is beyond the autoencoder's range, so that it would be clipped.
        """
        _check_size(raxels.shape[-2], raxels.shape[-1], SPATIAL_STRIDE)
        largest = raxels.abs().max().item()
        if not largest <= RAXEL_LIMIT:
            raise InputError(
                f"raxel values |d + o| must be at most {RAXEL_LIMIT:g}; got {largest:.3g}. "
                "Bring the path closer to its reference camera: scale it down or shorten it."
            )
        batch = raxels.shape[0]
        images = (raxels / 2).flatten(0, 1)[:, :, None]
        latents = self._posterior(images).mode()
        latents = latents.squeeze(2).unflatten(0, (batch, -1)).transpose(1, 2)
        return self.raxel_statistics.normalise(latents.to(raxels.dtype))

    def decode_raxels(
        self, latents: Float[Tensor, "batch c frames h w"]
    ) -> Float[Tensor, "batch frames 3 height width"]:
        """Decode raxel images one by one; values lie in [-2, 2]."""
        restored = self.raxel_statistics.restore(latents)
        images = restored.transpose(1, 2).flatten(0, 1)[:, :, None]
        pixels = self._decoded(images)
        raxels = pixels.to(latents.dtype).squeeze(2) * 2
        return raxels.unflatten(0, (latents.shape[0], -1))

    def _posterior(self, pixels: Tensor) -> DiagonalGaussianDistribution:
        return posterior_of(self.autoencoder, pixels.to(self.autoencoder.dtype))

    def _decoded(self, latents: Tensor) -> Tensor:
        return decoded_by(self.autoencoder, latents.to(self.autoencoder.dtype))


def _check_size(height: int, width: int, stride: int) -> None:
    if height % stride or width % stride or height < stride or width < stride:
        raise InputError(
            f"height and width must be multiples of {stride}; got {height} x {width}. "
            "Resize the images to one of the model's sizes."
        )
