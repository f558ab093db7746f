"""One transformer block with a video and a ray branch (paper, section "Network").

The video branch keeps WanTransformerBlock's names, so its weights load one to one. The ray branch
has its own norms and feed-forward; attention projections are shared with the video branch at full
size and its own in small models (`share_attention`).
"""

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.normalization import FP32LayerNorm
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.config import BlockConfig
from rays_as_pixels.model.transformer.attention import RotaryAttention
from rays_as_pixels.model.transformer.rope import Tables


class Modulation:
    """Shift, scale and gate of one sub-layer, one set per image: (B, S, 1, D) each."""

    def __init__(self, shift: Tensor, scale: Tensor, gate: Tensor) -> None:
        self.shift, self.scale, self.gate = shift, scale, gate

    def before(
        self, norm: nn.Module, hidden: Float[Tensor, "batch n width"]
    ) -> Float[Tensor, "batch n width"]:
        """Normalise, then scale and shift by the noise level of each token's image."""
        images = self.shift.shape[1]
        normed = norm(hidden).unflatten(1, (images, -1))
        return (normed * (1 + self.scale) + self.shift).flatten(1, 2).type_as(hidden)

    def after(self, hidden: Tensor, update: Tensor) -> Tensor:
        """Add a gated update to the residual stream."""
        images = self.gate.shape[1]
        gated = (update.unflatten(1, (images, -1)) * self.gate).flatten(1, 2)
        return hidden + gated.type_as(hidden)


def modulations(
    table: Float[Tensor, "1 k width"], projected: Float[Tensor, "batch s k width"]
) -> list[Modulation]:
    """Split K = 3 n rows of learned offset plus time embedding into n modulations."""
    rows = (table[:, None] + projected.float()).to(projected.dtype)
    parts = [part.squeeze(2)[:, :, None] for part in rows.split(1, dim=2)]
    return [Modulation(*parts[i : i + 3]) for i in range(0, len(parts), 3)]


class RaysAsPixelsBlock(nn.Module):
    """Self-attention per modality, symmetric cross-attention, text, feed-forward per branch.

    Args:
        config: Sizes.
        text: Whether there is attention to a prompt.
    """

    def __init__(self, config: BlockConfig, *, text: bool) -> None:
        super().__init__()
        dim, heads, eps, ffn_dim = config.width, config.num_heads, config.eps, config.ffn_dim
        self.share_attention = config.share_attention
        self.global_attention = config.attention == "global"
        self.norm1 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.attn1 = RotaryAttention(dim, heads=heads, eps=eps)
        self.norm2 = nn.Identity()
        if text:
            self.attn2 = RotaryAttention(dim, heads=heads, eps=eps)
            if config.cross_attn_norm:
                self.norm2 = FP32LayerNorm(dim, eps, elementwise_affine=True)
        self.ffn = FeedForward(dim, inner_dim=ffn_dim, activation_fn="gelu-approximate")
        self.norm3 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

        self.ray_norm1 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.ray_ffn = FeedForward(dim, inner_dim=ffn_dim, activation_fn="gelu-approximate")
        self.ray_norm3 = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.ray_scale_shift_table = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)
        if self.global_attention:
            return
        if not config.share_attention:
            self.ray_attn1 = RotaryAttention(dim, heads=heads, eps=eps)
            self.cross_attn = RotaryAttention(dim, heads=heads, eps=eps)
            self.ray_cross_attn = RotaryAttention(dim, heads=heads, eps=eps)
        self.cross_norm = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.ray_cross_norm = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.cross_scale_shift_table = nn.Parameter(torch.zeros(1, 3, dim))
        self.ray_cross_scale_shift_table = nn.Parameter(torch.zeros(1, 3, dim))

    def forward(
        self,
        video: Float[Tensor, "batch n width"],
        rays: Float[Tensor, "batch m width"],
        times: tuple[Tensor, Tensor, Tensor, Tensor],
        rotary: tuple[Tables, Tables],
        text: Float[Tensor, "batch k width"] | None = None,
    ) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch m width"]]:
        """Update both token streams.

        Args:
            video: Video tokens, reference images, then the clip.
            rays: Ray tokens.
            times: Projected time embeddings (B, S, k, width): video (k=6), video cross (3), rays
                (6), rays cross (3); S is the number of images of that stream.
            rotary: Position tables of video and of rays.
            text: Embedded prompt, if the model takes one.
        """
        video_self, video_ffn = modulations(self.scale_shift_table, times[0])
        ray_self, ray_ffn = modulations(self.ray_scale_shift_table, times[2])
        if self.global_attention:
            video, rays = self._attend_globally(video, rays, (video_self, ray_self), rotary)
        else:
            video, rays = self._attend(video, rays, times, (video_self, ray_self), rotary)

        if text is not None:
            video = video + self.attn2(self.norm2(video).type_as(video), text)

        # (iii) a feed-forward per branch
        video = video_ffn.after(video, self.ffn(video_ffn.before(self.norm3, video)))
        rays = ray_ffn.after(rays, self.ray_ffn(ray_ffn.before(self.ray_norm3, rays)))
        return video, rays

    def _attend_globally(
        self,
        video: Tensor,
        rays: Tensor,
        modulated: tuple[Modulation, Modulation],
        rotary: tuple[Tables, Tables],
    ) -> tuple[Tensor, Tensor]:
        """Let all tokens of both streams attend to all: what decoupling is compared with."""
        video_self, ray_self = modulated
        tokens = torch.cat(
            [video_self.before(self.norm1, video), ray_self.before(self.ray_norm1, rays)], dim=1
        )
        cosines, sines = (
            torch.cat([v.expand(len(video), -1, -1, -1), r.expand(len(rays), -1, -1, -1)], dim=1)
            for v, r in zip(*rotary, strict=True)
        )
        update = self.attn1(tokens, None, (cosines, sines), (cosines, sines))
        to_video, to_rays = update.split([video.shape[1], rays.shape[1]], dim=1)
        return video_self.after(video, to_video), ray_self.after(rays, to_rays)

    def _attend(
        self,
        video: Tensor,
        rays: Tensor,
        times: tuple[Tensor, Tensor, Tensor, Tensor],
        modulated: tuple[Modulation, Modulation],
        rotary: tuple[Tables, Tables],
    ) -> tuple[Tensor, Tensor]:
        """Self-attention inside each modality, then cross-attention both ways."""
        video_self, ray_self = modulated
        (video_cross,) = modulations(self.cross_scale_shift_table, times[1])
        (ray_cross,) = modulations(self.ray_cross_scale_shift_table, times[3])
        video_rotary, ray_rotary = rotary
        shared = self.share_attention
        ray_attn1 = self.attn1 if shared else self.ray_attn1
        cross_attn = self.attn1 if shared else self.cross_attn
        ray_cross_attn = self.attn1 if shared else self.ray_cross_attn

        # (i) self-attention inside each modality
        normed = video_self.before(self.norm1, video)
        video = video_self.after(video, self.attn1(normed, None, video_rotary, video_rotary))
        normed = ray_self.before(self.ray_norm1, rays)
        rays = ray_self.after(rays, ray_attn1(normed, None, ray_rotary, ray_rotary))

        # (ii) symmetric cross-attention, both from the same state
        video_q = video_cross.before(self.cross_norm, video)
        rays_q = ray_cross.before(self.ray_cross_norm, rays)
        to_video = cross_attn(video_q, rays_q, video_rotary, ray_rotary)
        to_rays = ray_cross_attn(rays_q, video_q, ray_rotary, video_rotary)
        return video_cross.after(video, to_video), ray_cross.after(rays, to_rays)
