"""The joint network: noisy video and ray tokens with their noise levels in, velocities out."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention import AttentionMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.normalization import FP32LayerNorm
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import TEMPORAL_STRIDE
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.camera_prior.motion_features import MotionFeatures
from rays_as_pixels.model.token_images import (
    TimeEmbedder,
    by_image,
    plus_last,
    unpatchify,
    velocity_of_sample,
)
from rays_as_pixels.model.transformer.blocks import RaysAsPixelsBlock
from rays_as_pixels.model.transformer.context_parallel import CONTEXT_PARALLEL_PLAN, TokenEntry
from rays_as_pixels.model.transformer.joint_state import JointState, JointVelocity
from rays_as_pixels.model.transformer.rope import (
    Tables,
    frame_of_latent,
    rotary_tables,
    token_positions,
)
from rays_as_pixels.model.view_prior.view_prior import View, ViewPrior


class RaysAsPixelsTransformer3DModel(ModelMixin, ConfigMixin, AttentionMixin):
    """Diffusion transformer over video and ray tokens with decoupled self-cross attention.

    Args:
        patch_size: (t, y, x) latent cells per video token; t must be 1.
        ray_patch_size: Latent cells per ray token along y and x.
        num_attention_heads: Heads of every attention.
        attention_head_dim: Channels per head.
        in_channels: Latent channels of video and rays.
        text_dim: Width of prompt embeddings; None for a model without text.
        text_len: Rows of `empty_text`, the embedding of the empty prompt that the model carries and
            reads where none is given; None for a model that carries none.
        freq_dim: Channels of the sinusoidal time embedding.
        ffn_dim: Hidden width of the feed-forwards.
        num_layers: Blocks.
        cross_attn_norm: Normalise before text attention, as Wan does.
        eps: Epsilon of all norms.
        rope_theta: Base of the rotary frequencies.
        rope_extent: (time, space) lengths of a clip in normalised positions; None for Wan's units.
        share_attention: One set of Q, K, V, O per block for both modalities and both directions.
        ray_prediction: What the ray head outputs: `sample` (clean latents) or `velocity`.
        attention: `decoupled` (the paper's self- and cross-attention) or `global`: one attention
            over the tokens of both streams, for comparison.
        ray_channels: Latent channels of rays; None for as many as the video's.
        temporal_stride: Video frames per latent frame of the autoencoder, after the first.
        motion_width: Features per latent cell of how it moves (see
            `motion_features`), read by the tokens of both streams; None for none, as in the paper.
            Needs a latent frame per video frame. Where rays are predicted as samples, a first
            estimate of them (`camera_prior`) is added, and one of the video (`view_prior`).
    """

    _supports_gradient_checkpointing = True
    _gradient_checkpointing_func: Any  # set by enable_gradient_checkpointing
    _no_split_modules = ["RaysAsPixelsBlock"]  # noqa: RUF012 - diffusers' protocol
    _repeated_blocks = ["RaysAsPixelsBlock"]  # noqa: RUF012
    _cp_plan = CONTEXT_PARALLEL_PLAN
    _skip_layerwise_casting_patterns = ["patch_embedding", "condition_embedder", "norm"]  # noqa: RUF012
    _keep_in_fp32_modules = ["time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"]  # noqa: RUF012

    @register_to_config
    def __init__(  # noqa: PLR0917 - diffusers builds it from these names
        self,
        patch_size: tuple[int, int, int] = (1, 1, 1),
        ray_patch_size: int = 1,
        num_attention_heads: int = 6,
        attention_head_dim: int = 32,
        in_channels: int = 32,
        text_dim: int | None = None,
        text_len: int | None = None,
        freq_dim: int = 256,
        ffn_dim: int = 768,
        num_layers: int = 6,
        cross_attn_norm: bool = True,
        eps: float = 1e-6,
        rope_theta: float = 100.0,
        rope_extent: tuple[float, float] | None = (4.0, 8.0),
        share_attention: bool = False,
        ray_prediction: str = "sample",
        attention: str = "decoupled",
        ray_channels: int | None = None,
        temporal_stride: int = TEMPORAL_STRIDE,
        motion_width: int | None = None,
    ) -> None:
        super().__init__()
        if attention not in ("decoupled", "global"):
            raise InputError(
                f"attention must be 'decoupled' or 'global'; got {attention!r}. Check the model's "
                "config.json."
            )
        if ray_prediction not in ("sample", "velocity") or patch_size[0] != 1:
            raise InputError(
                "ray_prediction must be 'sample' or 'velocity' and patch_size[0] 1; got "
                f"{ray_prediction!r} and {tuple(patch_size)}. Check the model's config.json."
            )
        if motion_width is not None and temporal_stride != 1:
            raise InputError(
                "motion_width must be None unless temporal_stride is 1; got "
                f"{motion_width} and {temporal_stride}. Check the model's config.json."
            )
        dim = num_attention_heads * attention_head_dim
        self.patch_embedding = nn.Conv3d(in_channels, dim, patch_size, stride=patch_size)
        ray_patch = (1, ray_patch_size, ray_patch_size)
        ray_channels = in_channels if ray_channels is None else ray_channels
        self.ray_patch_embedding = nn.Conv3d(ray_channels, dim, ray_patch, stride=ray_patch)
        self.motion_features: MotionFeatures | None = None
        self.camera_prior: CameraPrior | None = None
        self.view_prior: ViewPrior | None = None
        if motion_width is not None:
            seen, sides = motion_width, (1, 2 * ray_patch_size, 2 * ray_patch_size)
            self.motion_features = MotionFeatures(in_channels, seen)
            self.motion_embedding = nn.Conv3d(seen, dim, patch_size, stride=patch_size)
            self.ray_motion_embedding = nn.Conv3d(seen, dim, sides, stride=sides)
            if ray_prediction == "sample" and ray_channels == in_channels:
                self.camera_prior = CameraPrior(in_channels, ray_channels)
                self.view_prior = ViewPrior(in_channels, ray_channels)
                self.view_embedding = nn.Conv3d(in_channels + 1, dim, patch_size, stride=patch_size)
        self.kind_embedding = nn.Parameter(torch.zeros(3, dim))
        self.ray_kind_embedding = nn.Parameter(torch.zeros(3, dim))
        self.condition_embedder = TimeEmbedder(dim, freq_dim=freq_dim, text_dim=text_dim)
        self.empty_text: Tensor | None
        empty = None if text_dim is None or text_len is None else torch.zeros(text_len, text_dim)
        self.register_buffer("empty_text", empty)
        self.ray_time_proj = nn.Linear(dim, 6 * dim)
        self.cross_time_proj = nn.Linear(dim, 3 * dim)
        self.ray_cross_time_proj = nn.Linear(dim, 3 * dim)
        self.blocks = nn.ModuleList(
            RaysAsPixelsBlock(
                dim,
                ffn_dim=ffn_dim,
                heads=num_attention_heads,
                eps=eps,
                share_attention=share_attention,
                global_attention=attention == "global",
                text=text_dim is not None,
                cross_attn_norm=cross_attn_norm,
            )
            for _ in range(num_layers)
        )
        self.video_entry, self.ray_entry = TokenEntry(), TokenEntry()
        self.norm_out = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.proj_out = nn.Linear(dim, in_channels * patch_size[1] * patch_size[2])
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.ray_norm_out = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.ray_proj_out = nn.Linear(dim, ray_channels * ray_patch_size**2)
        self.ray_scale_shift_table = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.gradient_checkpointing = False

    def initialise_from_scratch(self) -> None:
        """Start as the identity on the residual stream: open gates, zero output projections."""
        if self.motion_features is not None:
            self.motion_features.initialise_from_scratch()
        for prior in (self.camera_prior, self.view_prior):
            if prior is not None:
                prior.initialise_from_scratch()
        for head in (self.proj_out, self.ray_proj_out):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        for projection in (
            self.condition_embedder.time_proj,
            self.ray_time_proj,
            self.cross_time_proj,
            self.ray_cross_time_proj,
        ):
            nn.init.zeros_(projection.weight)
            nn.init.zeros_(projection.bias)
        for table in (self.scale_shift_table, self.ray_scale_shift_table):
            nn.init.zeros_(table)
        for block in self.blocks:
            assert isinstance(block, RaysAsPixelsBlock)
            for name, table in block.named_parameters():
                if "scale_shift_table" in name:
                    nn.init.zeros_(table)
                    table.data[:, 2::3] = 1.0  # gates
                elif name.endswith(("to_out.0.weight", "ffn.net.2.weight")):
                    nn.init.zeros_(table)

    def forward(
        self,
        state: JointState,
        encoder_hidden_states: Float[Tensor, "batch k text"] | None = None,
        features: list[Tensor] | None = None,
    ) -> JointVelocity:
        """Predict the velocity of every latent.

        Args:
            state: Latents with their noise levels.
            encoder_hidden_states: Prompt embeddings, for a model with text.
            features: If given, the video tokens after each block are appended to it.

        Raises:
            InputError: Prompt embeddings for a model without text, or none for one with text that
                carries no `empty_text`.
        """
        text_embedder = self.condition_embedder.text_embedder
        if encoder_hidden_states is None and self.empty_text is not None:
            encoder_hidden_states = self.empty_text.expand(len(state.latents), -1, -1)
        if (encoder_hidden_states is None) != (text_embedder is None):
            raise InputError(
                "encoder_hidden_states must be given exactly when the model has text_dim; got "
                f"{'none' if encoder_hidden_states is None else 'some'} with text_dim "
                f"{self.config['text_dim']}. Encode an empty prompt for no text."
            )
        if features is None and self._is_told_by_prior(state):
            return self.told_by_prior(state)
        video, rays, layout = self._embed(state)
        temb = self.condition_embedder.embed(layout.sigma).type_as(video)
        ray_temb = self.condition_embedder.embed(layout.ray_sigma).type_as(rays)
        times = self._times(temb, ray_temb)
        text = None
        if encoder_hidden_states is not None:
            assert text_embedder is not None
            text = text_embedder(encoder_hidden_states)
        for block in self.blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                video, rays = self._gradient_checkpointing_func(
                    block, video, rays, times, layout.rotary, text
                )
            else:
                video, rays = block(video, rays, times, layout.rotary, text)
            if features is not None:
                features.append(video)
        video = self._head(video, temb, self.norm_out, self.scale_shift_table, self.proj_out)
        rays = self._head(
            rays, ray_temb, self.ray_norm_out, self.ray_scale_shift_table, self.ray_proj_out
        )
        return self._split(state, video, rays, layout)

    def _is_told_by_prior(self, state: JointState) -> bool:
        """Tell whether all the video is clear, so that the camera prior alone says the rays."""
        if self.camera_prior is None or self.training or state.reference_images is not None:
            return False
        return not state.sigma.is_meta and not bool(state.sigma.any())

    def told_by_prior(self, state: JointState) -> JointVelocity:
        """Return what `forward` does for a clear clip without stills, by the camera prior alone.

        The video's velocity is 0: that of clean latents is not used.
        """
        assert self.camera_prior is not None
        raster = (state.ray_latents.shape[-2], state.ray_latents.shape[-1])
        rays = self.camera_prior(state.latents, raster)
        rays = velocity_of_sample(rays, state.ray_latents, state.ray_sigma)
        return JointVelocity(torch.zeros_like(state.latents), rays, None, None)

    def _times(self, temb: Tensor, ray_temb: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        act = self.condition_embedder.act_fn
        return (
            self.condition_embedder.time_proj(act(temb)).unflatten(-1, (6, -1)),
            self.cross_time_proj(act(temb)).unflatten(-1, (3, -1)),
            self.ray_time_proj(act(ray_temb)).unflatten(-1, (6, -1)),
            self.ray_cross_time_proj(act(ray_temb)).unflatten(-1, (3, -1)),
        )

    def _embed(self, state: JointState) -> "tuple[Tensor, Tensor, _Layout]":
        """Patchify both streams: stills first, then the clip."""
        patch, ray_patch = self.config["patch_size"][1], self.config["ray_patch_size"]
        # Positions are in video tokens, as Wan's are, whatever the patch size.
        height, width = state.latents.shape[-2] // patch, state.latents.shape[-1] // patch
        clip = (state.ray_latents.shape[2], height, width)
        batch = state.latents.shape[0]
        device = state.latents.device
        stride = self.config["temporal_stride"]
        frame = frame_of_latent(state.latents.shape[2], stride).to(device).expand(batch, -1)
        ray_frame = torch.arange(clip[0], device=device, dtype=torch.float32).expand(batch, -1)
        kind = torch.full_like(frame, 2, dtype=torch.int64)
        ray_kind = torch.full_like(ray_frame, 2, dtype=torch.int64)
        latents, sigma = state.latents, state.sigma
        ray_latents, ray_sigma = state.ray_latents, state.ray_sigma
        if state.reference_images is not None:
            reference_images = state.reference_images
            latents = torch.cat([reference_images.latents, latents], dim=2)
            ray_latents = torch.cat([reference_images.ray_latents, ray_latents], dim=2)
            sigma = torch.cat([reference_images.sigma, sigma], dim=1)
            ray_sigma = torch.cat([reference_images.ray_sigma, ray_sigma], dim=1)
            frame = torch.cat([reference_images.frame, frame], dim=1)
            ray_frame = torch.cat([reference_images.frame, ray_frame], dim=1)
            kind = torch.cat([reference_images.kind, kind], dim=1)
            ray_kind = torch.cat([reference_images.kind, ray_kind], dim=1)
        embedded, ray_embedded = (
            self.patch_embedding(latents),
            self.ray_patch_embedding(ray_latents),
        )
        prior = view = None
        if self.motion_features is not None:
            seen = self.motion_features(state.latents, state.sigma)
            embedded = plus_last(embedded, self.motion_embedding(seen))
            ray_embedded = plus_last(ray_embedded, self.ray_motion_embedding(seen))
            if self.camera_prior is not None and not self.training:
                raster = (ray_latents.shape[-2], ray_latents.shape[-1])
                prior = self.camera_prior.rays_and_blend_weight(state.latents, state.sigma, raster)
        if self.view_prior is not None:
            depth = None if state.reference_images is None else state.reference_images.log_depth
            view = self.view_prior(latents, sigma, ray_latents, ray_sigma, frame, log_depth=depth)
            shown = torch.cat([view.latents * view.seen, view.seen], dim=1)
            embedded = embedded + self.view_embedding(shown.type_as(latents))
        video = self._tokens(embedded, self.kind_embedding, kind)
        rays = self._tokens(ray_embedded, self.ray_kind_embedding, ray_kind)
        rotary = []
        for times, cells, source in (
            (frame, 1.0, latents),
            (ray_frame, 2 * ray_patch / patch, ray_latents),
        ):
            side = patch if source is latents else ray_patch
            positions = token_positions(
                times,
                grid=(source.shape[-2] // side, source.shape[-1] // side),
                cells_per_token=cells,
                clip=clip,
                extent=self.config["rope_extent"],
                stride=stride,
            )
            rotary.append(
                rotary_tables(
                    positions,
                    head_dim=self.config["attention_head_dim"],
                    theta=self.config["rope_theta"],
                )
            )
        video, *video_rotary = self.video_entry(video, *by_image(rotary[0], video))
        rays, *ray_rotary = self.ray_entry(rays, *by_image(rotary[1], rays))
        tables = (video_rotary[0], video_rotary[1]), (ray_rotary[0], ray_rotary[1])
        return video, rays, _Layout(latents, sigma, ray_sigma, tables, prior, view)

    def _tokens(self, embedded: Tensor, table: Tensor, kind: Tensor) -> Tensor:
        tokens = embedded.flatten(3).permute(0, 2, 3, 1)  # B S n D
        return tokens + table[kind][:, :, None].type_as(tokens)

    def _head(
        self, hidden: Tensor, temb: Tensor, norm: nn.Module, table: Tensor, proj: nn.Linear
    ) -> Tensor:
        projected = temb[:, :, None].expand(-1, -1, 2, -1)
        shift, scale = (table[:, None] + projected).unbind(2)
        images = hidden.unflatten(1, (temb.shape[1], -1))
        normed = norm(images) * (1 + scale[:, :, None]) + shift[:, :, None]
        return proj(normed.type_as(hidden))  # B S n C*p*p

    def _split(
        self, state: JointState, video: Tensor, rays: Tensor, layout: "_Layout"
    ) -> JointVelocity:
        """Unpatchify, part stills from the clip, and turn ray samples into velocities."""
        video = unpatchify(video, state.latents.shape, self.config["patch_size"][1])
        if layout.view is not None:
            video = layout.view.velocity(layout.latents, layout.sigma, video)
        rays = unpatchify(rays, state.ray_latents.shape, self.config["ray_patch_size"])
        count = 0 if state.reference_images is None else state.reference_images.latents.shape[2]
        reference_rays, clip_rays = rays[:, :, :count], rays[:, :, count:]
        if layout.prior is not None:
            # Where the video is clear the prior alone: with the rest, 2 steps read worse.
            clip_rays = torch.lerp(clip_rays, *layout.prior)
        if self.config["ray_prediction"] == "sample":
            clip_rays = velocity_of_sample(clip_rays, state.ray_latents, state.ray_sigma)
            if state.reference_images is not None:
                reference_rays = velocity_of_sample(
                    reference_rays,
                    state.reference_images.ray_latents,
                    state.reference_images.ray_sigma,
                )
        return JointVelocity(
            video=video[:, :, count:],
            rays=clip_rays,
            reference_images=video[:, :, :count] if count else None,
            reference_rays=reference_rays if count else None,
        )


@dataclass(frozen=True)
class _Layout:
    """Video latents and noise levels in token order, rotary tables, and first estimates."""

    latents: Tensor
    sigma: Tensor
    ray_sigma: Tensor
    rotary: tuple[Tables, Tables]
    prior: tuple[Tensor, Tensor] | None  # rays, and how far they are to be believed
    view: View | None
