"""The sizes that are measured: networks (mini, 1.3B, 14B), clips, and their inputs."""

from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE, latent_frames
from rays_as_pixels.model.joint_state import JointState
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel

TEXT_TOKENS = 512


@dataclass(frozen=True)
class Clip:
    """A clip's size in pixels."""

    frames: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.frames}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Network:
    """A network's size; the larger two are Wan 2.1's text-to-video models with a ray branch.

    Attributes:
        name: As in the tables.
        width: Token width.
        heads: Attention heads.
        ffn: Hidden width of the feed-forwards.
        layers: Blocks.
        patch: Latent cells per token, along y and x, of both streams.
        channels: Latent channels.
        shared: One attention per block for both modalities and both directions.
        text: Width of prompt embeddings; None for no text.
        clip: The clip it is made for.
    """

    name: str
    width: int
    heads: int
    ffn: int
    layers: int
    patch: int
    channels: int
    shared: bool
    text: int | None
    clip: Clip

    def ours(self, layers: int | None = None) -> RaysAsPixelsTransformer3DModel:
        """Build the joint network with random weights, on the current device in its dtype."""
        model = RaysAsPixelsTransformer3DModel(
            video_config={"channels": self.channels, "patch_size": (1, self.patch, self.patch)},
            ray_config={"patch_size": self.patch, "prediction": "velocity"},
            block_config={
                "num_layers": self.layers if layers is None else layers,
                "num_heads": self.heads,
                "head_dim": self.width // self.heads,
                "ffn_dim": self.ffn,
                "share_attention": self.shared,
            },
            rope_config={"theta": 10000.0, "extent": None} if self.shared else None,
            conditioning_config={"text_dim": self.text},
        )
        return model.eval().requires_grad_(False)

    def wan(self, layers: int | None = None) -> WanTransformer3DModel:
        """Build diffusers' Wan of the same width, heads, feed-forward and blocks."""
        model = WanTransformer3DModel(
            patch_size=(1, self.patch, self.patch),
            num_attention_heads=self.heads,
            attention_head_dim=self.width // self.heads,
            in_channels=self.channels,
            out_channels=self.channels,
            text_dim=self.text or 64,
            ffn_dim=self.ffn,
            num_layers=self.layers if layers is None else layers,
        )
        return model.eval().requires_grad_(False)

    @property
    def text_tokens(self) -> int:
        """Prompt tokens; Wan gets 1 where the joint network has no text, for it needs some."""
        return 1 if self.text is None else TEXT_TOKENS

    def tokens(self, clip: Clip) -> tuple[int, int]:
        """Return the numbers of video and of ray tokens of a clip, without stills."""
        cells = (clip.height // 8 // self.patch) * (clip.width // 8 // self.patch)
        ray_cells = (clip.height // 16 // self.patch) * (clip.width // 16 // self.patch)
        return latent_frames(clip.frames, TEMPORAL_STRIDE) * cells, clip.frames * ray_cells


NETWORKS = {
    network.name: network
    for network in (
        Network("mini", 128, 4, 512, 4, 1, 32, False, None, Clip(9, 64, 64)),
        Network("1.3B", 1536, 12, 8960, 30, 2, 16, True, 4096, Clip(49, 480, 832)),
        Network("14B", 5120, 40, 13824, 40, 2, 16, True, 4096, Clip(49, 480, 832)),
    )
}
SMALL_CLIP = Clip(5, 192, 320)  # what a CPU can be asked to do at 1.3B and 14B


def joint_inputs(
    network: Network, clip: Clip, *, device: torch.device, dtype: torch.dtype, batch: int = 1
) -> tuple[JointState, Tensor | None]:
    """Draw what the joint network sees half-way through an estimate: video clean, rays noisy."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device, dtype=dtype)

    frames, (height, width) = clip.frames, (clip.height // 8, clip.width // 8)
    latents = latent_frames(frames, TEMPORAL_STRIDE)
    state = JointState(
        normal(batch, network.channels, latents, height, width),
        torch.zeros(batch, latents, device=device),
        normal(batch, network.channels, frames, height // 2, width // 2),
        torch.full((batch, frames), 0.5, device=device),
    )
    text = None if network.text is None else normal(batch, network.text_tokens, network.text)
    return state, text


def wan_inputs(
    network: Network, clip: Clip, *, device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Draw inputs of Wan with as many tokens as the joint network has in both streams.

    Tokens lie in one row of latents as high as a patch, since only their number matters.
    """
    generator = torch.Generator(device).manual_seed(0)
    tokens = sum(network.tokens(clip))
    rows = next(r for r in range(int(tokens**0.5), 0, -1) if tokens % r == 0 and tokens // r < 1024)
    shape = (1, network.channels, 1, rows * network.patch, tokens // rows * network.patch)
    return {
        "hidden_states": torch.randn(shape, generator=generator, device=device, dtype=dtype),
        "timestep": torch.tensor([500.0], device=device),
        "encoder_hidden_states": torch.randn(
            1,
            network.text_tokens,
            network.text or 64,
            generator=generator,
            device=device,
            dtype=dtype,
        ),
    }
