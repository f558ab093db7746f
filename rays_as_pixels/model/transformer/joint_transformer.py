"""The joint network: noisy video and ray tokens with their noise levels in, velocities out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention import AttentionMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.normalization import FP32LayerNorm
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.camera_prior.motion_features import MotionFeatures
from rays_as_pixels.model.config import (
    BlockConfig,
    CameraPriorConfig,
    ConditioningConfig,
    Group,
    MotionFeaturesConfig,
    NetworkConfig,
    RayConfig,
    RopeConfig,
    VideoConfig,
    ViewPriorConfig,
    read_group,
    read_optional_group,
)
from rays_as_pixels.model.joint_state import (
    JointState,
    JointVelocity,
    LatentImages,
    images_in_token_order,
    velocity_of_sample,
)
from rays_as_pixels.model.old_folders import grouped_config, with_current_weight_names
from rays_as_pixels.model.transformer.blocks import RaysAsPixelsBlock
from rays_as_pixels.model.transformer.context_parallel import CONTEXT_PARALLEL_PLAN, TokenEntry
from rays_as_pixels.model.transformer.rope import Tables, rotary_tables, token_positions
from rays_as_pixels.model.transformer.token_images import (
    TimeEmbedder,
    by_image,
    modulated_head,
    plus_last,
    token_rows,
    unpatchify,
)
from rays_as_pixels.model.view_prior.view_prior import View, ViewPrior


class RaysAsPixelsTransformer3DModel(ModelMixin, ConfigMixin, AttentionMixin):
    """Diffusion transformer over video and ray tokens with decoupled self-cross attention.

    Every argument holds names and values of one class of `config`; what is not given has its
    default there. (Without the ending, diffusers would give a group's values for the part of that
    name.)

    Args:
        video_config: Of `VideoConfig`.
        ray_config: Of `RayConfig`.
        block_config: Of `BlockConfig`.
        rope_config: Of `RopeConfig`.
        conditioning_config: Of `ConditioningConfig`.
        motion_features_config: Of `MotionFeaturesConfig`; None for no motion features, as in the
            paper. They need a latent frame per video frame.
        camera_prior_config: Of `CameraPriorConfig`; None for no camera prior, as in the paper.
            Both priors need motion features and rays that are predicted as samples.
        view_prior_config: Of `ViewPriorConfig`; None for no view prior, as in the paper.

    Attributes:
        sizes: The same, typed.

    Raises:
        InputError: A name is none of its group's, or a rule of `NetworkConfig.check` is broken.
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
        video_config: Group | None = None,
        ray_config: Group | None = None,
        block_config: Group | None = None,
        rope_config: Group | None = None,
        conditioning_config: Group | None = None,
        motion_features_config: Group | None = None,
        camera_prior_config: Group | None = None,
        view_prior_config: Group | None = None,
    ) -> None:
        super().__init__()
        self.sizes = NetworkConfig(
            read_group(VideoConfig, video_config),
            read_group(RayConfig, ray_config),
            read_group(BlockConfig, block_config),
            read_group(RopeConfig, rope_config),
            read_group(ConditioningConfig, conditioning_config),
            read_optional_group(MotionFeaturesConfig, motion_features_config),
            read_optional_group(CameraPriorConfig, camera_prior_config),
            read_optional_group(ViewPriorConfig, view_prior_config),
        )
        self.sizes.check()
        self.register_to_config(**self.sizes.to_dict())  # with all defaults
        self._add_entry()
        self._add_blocks()
        self._add_heads()
        self.gradient_checkpointing = False

    def _add_entry(self) -> None:
        """Add what makes tokens, and their modulation, from latents and noise levels."""
        sizes = self.sizes
        width, channels = sizes.blocks.width, sizes.video.channels
        patch, side = sizes.video.patch_size, sizes.rays.patch_size
        self.patch_embedding = nn.Conv3d(channels, width, patch, stride=patch)
        ray_patch = (1, side, side)
        self.ray_patch_embedding = nn.Conv3d(sizes.ray_channels, width, ray_patch, stride=ray_patch)
        self.motion_features: MotionFeatures | None = None
        self.camera_prior: CameraPrior | None = None
        self.view_prior: ViewPrior | None = None
        if sizes.motion_features is not None:
            features = sizes.motion_features.width
            ray_cells = (1, 2 * side, 2 * side)
            self.motion_features = MotionFeatures(channels, sizes.motion_features)
            self.motion_embedding = nn.Conv3d(features, width, patch, stride=patch)
            self.ray_motion_embedding = nn.Conv3d(features, width, ray_cells, stride=ray_cells)
        if sizes.camera_prior is not None:
            self.camera_prior = CameraPrior(channels, sizes.ray_channels, sizes.camera_prior)
        if sizes.view_prior is not None:
            self.view_prior = ViewPrior(channels, sizes.ray_channels, sizes.view_prior)
            self.view_embedding = nn.Conv3d(channels + 1, width, patch, stride=patch)
        self.kind_embedding = nn.Parameter(torch.zeros(3, width))
        self.ray_kind_embedding = nn.Parameter(torch.zeros(3, width))
        text_dim, text_len = sizes.conditioning.text_dim, sizes.conditioning.text_len
        self.condition_embedder = TimeEmbedder(
            width, freq_dim=sizes.conditioning.freq_dim, text_dim=text_dim
        )
        self.empty_text: Tensor | None
        empty = None if text_dim is None or text_len is None else torch.zeros(text_len, text_dim)
        self.register_buffer("empty_text", empty)
        self.ray_time_proj = nn.Linear(width, 6 * width)
        self.cross_time_proj = nn.Linear(width, 3 * width)
        self.ray_cross_time_proj = nn.Linear(width, 3 * width)

    def _add_blocks(self) -> None:
        text = self.sizes.conditioning.text_dim is not None
        self.blocks = nn.ModuleList(
            RaysAsPixelsBlock(self.sizes.blocks, text=text)
            for _ in range(self.sizes.blocks.num_layers)
        )
        self.video_entry, self.ray_entry = TokenEntry(), TokenEntry()

    def _add_heads(self) -> None:
        """Add what makes velocities or samples of latents from tokens."""
        sizes, width, eps = self.sizes, self.sizes.blocks.width, self.sizes.blocks.eps
        patch = sizes.video.patch_size
        self.norm_out = FP32LayerNorm(width, eps, elementwise_affine=False)
        self.proj_out = nn.Linear(width, sizes.video.channels * patch[1] * patch[2])
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, width) / width**0.5)
        self.ray_norm_out = FP32LayerNorm(width, eps, elementwise_affine=False)
        self.ray_proj_out = nn.Linear(width, sizes.ray_channels * sizes.rays.patch_size**2)
        self.ray_scale_shift_table = nn.Parameter(torch.randn(1, 2, width) / width**0.5)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | None = None,
        return_unused_kwargs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Build the network of a configuration, of today's layout or an older one."""
        return super().from_config(grouped_config(config or {}), return_unused_kwargs, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Load the network of a folder, written today or earlier, or of the Hub."""
        folder = Path(pretrained_model_name_or_path, kwargs.get("subfolder") or "")
        if not folder.is_dir():
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        kwargs.pop("subfolder", None)
        with with_current_weight_names(folder) as current:
            return super().from_pretrained(current, **kwargs)

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
        *,
        return_features: bool = False,
    ) -> JointVelocity:
        """Predict the velocity of every latent.

        Args:
            state: Latents with their noise levels.
            encoder_hidden_states: Prompt embeddings, for a model with text.
            return_features: Keep the video tokens after each block, in the result's `features`.

        Raises:
            InputError: Prompt embeddings for a model without text, or none for one with text that
                carries no `empty_text`.
        """
        text = self._text(state, encoder_hidden_states)
        if not return_features and self._camera_prior_suffices(state):
            return self.camera_prior_velocity(state)
        video, rays, layout = self._embed(state)
        temb = self.condition_embedder.embed(layout.images.sigma).type_as(video)
        ray_temb = self.condition_embedder.embed(layout.ray_images.sigma).type_as(rays)
        times = self._times(temb, ray_temb)
        features = []
        for block in self.blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                video, rays = self._gradient_checkpointing_func(
                    block, video, rays, times, layout.rotary, text
                )
            else:
                video, rays = block(video, rays, times, layout.rotary, text)
            if return_features:
                features.append(video)
        video = modulated_head(video, temb, self.norm_out, self.scale_shift_table, self.proj_out)
        rays = modulated_head(
            rays, ray_temb, self.ray_norm_out, self.ray_scale_shift_table, self.ray_proj_out
        )
        return self._velocity(state, video, rays, layout, tuple(features))

    def _text(
        self, state: JointState, encoder_hidden_states: Float[Tensor, "batch k text"] | None
    ) -> Float[Tensor, "batch k width"] | None:
        """Embed the prompt, or the empty one that the model carries; None without text."""
        text_embedder = self.condition_embedder.text_embedder
        if encoder_hidden_states is None and self.empty_text is not None:
            encoder_hidden_states = self.empty_text.expand(len(state.latents), -1, -1)
        if (encoder_hidden_states is None) != (text_embedder is None):
            raise InputError(
                "encoder_hidden_states must be given exactly when the model has text_dim; got "
                f"{'none' if encoder_hidden_states is None else 'some'} with text_dim "
                f"{self.sizes.conditioning.text_dim}. Encode an empty prompt for no text."
            )
        if encoder_hidden_states is None or text_embedder is None:
            return None
        return text_embedder(encoder_hidden_states)

    def _camera_prior_suffices(self, state: JointState) -> bool:
        """Tell whether all the video is clean, so that the camera prior alone gives the rays."""
        if self.camera_prior is None or self.training or state.reference_images is not None:
            return False
        return not state.sigma.is_meta and not bool(state.sigma.any())

    def camera_prior_velocity(self, state: JointState) -> JointVelocity:
        """Return what `forward` does for a clean clip without reference images.

        The blocks do not run. The video's velocity is 0: that of clean latents is not used.
        """
        assert self.camera_prior is not None
        raster = (state.ray_latents.shape[-2], state.ray_latents.shape[-1])
        predicted = self.camera_prior(state.latents, raster)
        rays = velocity_of_sample(predicted.rays, state.ray_latents, state.ray_sigma)
        video = torch.zeros_like(state.latents)
        return JointVelocity(video, rays, None, None, log_depth=predicted.log_depth)

    def _times(self, temb: Tensor, ray_temb: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        act = self.condition_embedder.act_fn
        return (
            self.condition_embedder.time_proj(act(temb)).unflatten(-1, (6, -1)),
            self.cross_time_proj(act(temb)).unflatten(-1, (3, -1)),
            self.ray_time_proj(act(ray_temb)).unflatten(-1, (6, -1)),
            self.ray_cross_time_proj(act(ray_temb)).unflatten(-1, (3, -1)),
        )

    def _embed(self, state: JointState) -> "tuple[Tensor, Tensor, _Layout]":
        """Make tokens of both streams: reference images first, then the clip."""
        video, rays = self.sizes.video, self.sizes.rays
        images, ray_images = images_in_token_order(state, video.temporal_stride)
        embedded = self.patch_embedding(images.latents)
        ray_embedded = self.ray_patch_embedding(ray_images.latents)
        if self.motion_features is not None:
            features = self.motion_features(state.latents, state.sigma)
            embedded = plus_last(embedded, self.motion_embedding(features))
            ray_embedded = plus_last(ray_embedded, self.ray_motion_embedding(features))
        prior = view = None
        if self.camera_prior is not None and not self.training:
            raster = (state.ray_latents.shape[-2], state.ray_latents.shape[-1])
            prior = self.camera_prior.rays_and_blend_weight(state.latents, state.sigma, raster)
        if self.view_prior is not None:
            depth = None if state.reference_images is None else state.reference_images.log_depth
            view = self.view_prior(images, ray_images, log_depth=depth)
            visible = torch.cat([view.latents * view.seen, view.seen], dim=1)
            embedded = embedded + self.view_embedding(visible.type_as(images.latents))
        tokens = token_rows(embedded, self.kind_embedding, images.kind)
        ray_tokens = token_rows(ray_embedded, self.ray_kind_embedding, ray_images.kind)
        # Positions are in video tokens, as Wan's are, whatever the patch size.
        side = video.patch_size[1]
        height, width = state.latents.shape[-2] // side, state.latents.shape[-1] // side
        clip = (state.ray_latents.shape[2], height, width)
        rotary = self._rotary(images, side, 1.0, clip)
        ray_rotary = self._rotary(ray_images, rays.patch_size, 2 * rays.patch_size / side, clip)
        tokens, *rotary = self.video_entry(tokens, *by_image(rotary, tokens))
        ray_tokens, *ray_rotary = self.ray_entry(ray_tokens, *by_image(ray_rotary, ray_tokens))
        tables = (rotary[0], rotary[1]), (ray_rotary[0], ray_rotary[1])
        return tokens, ray_tokens, _Layout(images, ray_images, tables, prior, view)

    def _rotary(
        self, images: LatentImages, side: int, cells_per_token: float, clip: tuple[int, int, int]
    ) -> Tables:
        """Return position tables of tokens of `side` latent cells; `clip` is in video tokens."""
        height, width = images.latents.shape[-2:]
        positions = token_positions(
            images.frame,
            grid=(height // side, width // side),
            cells_per_token=cells_per_token,
            clip=clip,
            extent=self.sizes.rope.extent,
            stride=self.sizes.video.temporal_stride,
        )
        return rotary_tables(
            positions, head_dim=self.sizes.blocks.head_dim, theta=self.sizes.rope.theta
        )

    def _velocity(
        self,
        state: JointState,
        video: Tensor,
        rays: Tensor,
        layout: "_Layout",
        features: tuple[Tensor, ...],
    ) -> JointVelocity:
        """Unpatchify, part reference images from the clip, and turn samples into velocities."""
        video = unpatchify(video, state.latents.shape, self.sizes.video.patch_size[1])
        if layout.view is not None:
            video = layout.view.velocity(layout.images.latents, layout.images.sigma, video)
        rays = unpatchify(rays, state.ray_latents.shape, self.sizes.rays.patch_size)
        count = 0 if state.reference_images is None else state.reference_images.latents.shape[2]
        reference_rays, clip_rays = rays[:, :, :count], rays[:, :, count:]
        if layout.prior is not None:
            # Where the video is clear the prior alone: with the rest, 2 steps read worse.
            clip_rays = torch.lerp(clip_rays, *layout.prior)
        if self.sizes.rays.prediction == "sample":
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
            features=features,
        )


@dataclass(frozen=True)
class _Layout:
    """Both streams in token order, their rotary tables, and first estimates."""

    images: LatentImages
    ray_images: LatentImages
    rotary: tuple[Tables, Tables]
    prior: tuple[Tensor, Tensor] | None  # rays, and how much of them is blended in
    view: View | None
