"""Sizes of the joint network, as its config.json holds them: one group per part."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE

Group = Mapping[str, Any]
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class VideoConfig:
    """Video latents and their tokens.

    Attributes:
        channels: Latent channels.
        patch_size: (t, y, x) latent cells per token; t must be 1.
        temporal_stride: Video frames per latent frame of the autoencoder, after the first.
    """

    channels: int = 32
    patch_size: tuple[int, int, int] = (1, 1, 1)
    temporal_stride: int = TEMPORAL_STRIDE


@dataclass(frozen=True)
class RayConfig:
    """Ray latents and their tokens.

    Attributes:
        channels: Latent channels; None for as many as the video's.
        patch_size: Latent cells per token along y and x.
        prediction: What the ray head outputs: `sample` (clean latents) or `velocity`.
    """

    channels: int | None = None
    patch_size: int = 1
    prediction: str = "sample"


@dataclass(frozen=True)
class BlockConfig:
    """Transformer blocks.

    Attributes:
        num_layers: Blocks.
        num_heads: Heads of every attention.
        head_dim: Channels per head.
        ffn_dim: Hidden width of the feed-forwards.
        cross_attn_norm: Normalise before text attention, as Wan does.
        eps: Epsilon of all norms.
        share_attention: One set of Q, K, V, O per block for both modalities and both directions.
        attention: `decoupled` (the paper's self- and cross-attention) or `global`: one attention
            over the tokens of both streams, for comparison.
    """

    num_layers: int = 6
    num_heads: int = 6
    head_dim: int = 32
    ffn_dim: int = 768
    cross_attn_norm: bool = True
    eps: float = 1e-6
    share_attention: bool = False
    attention: str = "decoupled"

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.num_heads * self.head_dim


@dataclass(frozen=True)
class RopeConfig:
    """Rotary position encoding, see `rope`.

    Attributes:
        theta: Base of the frequencies.
        extent: (time, space) lengths of a clip in normalised positions; None for Wan's units.
    """

    theta: float = 100.0
    extent: tuple[float, float] | None = (4.0, 8.0)


@dataclass(frozen=True)
class ConditioningConfig:
    """Embeddings of noise level and text.

    Attributes:
        freq_dim: Channels of the sinusoidal embedding of noise levels.
        text_dim: Width of prompt embeddings; None for a model without text.
        text_len: Rows of `empty_text`, the embedding of the empty prompt that the model carries and
            reads where none is given; None for a model that carries none.
    """

    freq_dim: int = 256
    text_dim: int | None = None
    text_len: int | None = None


@dataclass(frozen=True)
class MotionFeaturesConfig:
    """How latent cells move, as an input of both streams (`motion_features`).

    Attributes:
        width: Features per latent cell.
        hidden: Width of the layer before them.
        groups: Matching costs per pair of cells.
        group_width: Channels per cost.
        radius: Cells to each side of a cell's own position that it is matched with.
        windows: Odd sides, in cells, of the windows of Lucas and Kanade's least squares.
    """

    width: int = 64
    hidden: int = 96
    groups: int = 4
    group_width: int = 16
    radius: int = 2
    windows: tuple[int, ...] = (1, 3, 5)


@dataclass(frozen=True)
class CameraPriorConfig:
    """A first estimate of the rays (`camera_prior`).

    Attributes:
        width: Token width.
        rounds: Of guess and bundle adjustment.
        layers: Per round.
        heads: Of every attention.
        matching_width: Channels of the features that tracks are matched by.
        matching_blocks: Layers behind them.
        matching_levels: Of the correlation pyramid, the finest with half cells.
        matching_radius: Of the window that is read around a track, in elements of each level.
    """

    width: int = 128
    rounds: int = 3
    layers: int = 2
    heads: int = 4
    matching_width: int = 64
    matching_blocks: int = 2
    matching_levels: int = 2
    matching_radius: int = 2

    @property
    def matches(self) -> int:
        """Values read around a track at all levels."""
        return self.matching_levels * (2 * self.matching_radius + 1) ** 2


@dataclass(frozen=True)
class ViewPriorConfig:
    """A first estimate of the video (`view_prior`).

    Attributes:
        depth_width: Channels of the network that estimates depths.
        depth_blocks: Its layers.
        depth_heads: Of its attention.
    """

    depth_width: int = 128
    depth_blocks: int = 4
    depth_heads: int = 4


@dataclass(frozen=True)
class NetworkConfig:
    """All sizes of the joint network; a part that is None is not built."""

    video: VideoConfig = field(default_factory=VideoConfig)
    rays: RayConfig = field(default_factory=RayConfig)
    blocks: BlockConfig = field(default_factory=BlockConfig)
    rope: RopeConfig = field(default_factory=RopeConfig)
    conditioning: ConditioningConfig = field(default_factory=ConditioningConfig)
    motion_features: MotionFeaturesConfig | None = None
    camera_prior: CameraPriorConfig | None = None
    view_prior: ViewPriorConfig | None = None

    @property
    def ray_channels(self) -> int:
        """Latent channels of rays."""
        return self.video.channels if self.rays.channels is None else self.rays.channels

    def to_dict(self) -> dict[str, Any]:
        """Return plain values of each group, by its name in config.json."""
        return dict(zip(GROUP_NAMES, asdict(self).values(), strict=True))

    def check(self) -> None:
        """Refuse sizes that no network can have.

        Raises:
            InputError: A rule is broken.
        """
        if self.blocks.attention not in ("decoupled", "global"):
            raise InputError(
                "block_config.attention must be 'decoupled' or 'global'; got "
                f"{self.blocks.attention!r}. {_REMEDY}"
            )
        if self.rays.prediction not in ("sample", "velocity") or self.video.patch_size[0] != 1:
            raise InputError(
                "ray_config.prediction must be 'sample' or 'velocity' and "
                "video_config.patch_size[0] 1; got "
                f"{self.rays.prediction!r} and {self.video.patch_size}. {_REMEDY}"
            )
        if self.motion_features is not None and self.video.temporal_stride != 1:
            raise InputError(
                "motion_features_config must be None unless video_config.temporal_stride is 1; got "
                f"{self.motion_features} and {self.video.temporal_stride}. {_REMEDY}"
            )
        priors = (self.camera_prior, self.view_prior)
        if any(prior is not None for prior in priors) and (
            self.motion_features is None
            or self.rays.prediction != "sample"
            or self.ray_channels != self.video.channels
        ):
            raise InputError(
                "camera_prior_config and view_prior_config must be None unless there are motion "
                "features, rays are predicted as samples and have the video's channels; got "
                f"{self.motion_features}, {self.rays.prediction!r}, {self.ray_channels} and "
                f"{self.video.channels}. {_REMEDY}"
            )


GROUP_NAMES = (
    "video_config",
    "ray_config",
    "block_config",
    "rope_config",
    "conditioning_config",
    "motion_features_config",
    "camera_prior_config",
    "view_prior_config",
)
_REMEDY = "Check the model's config.json."


def read_group(kind: type[_Kind], given: Group | None) -> _Kind:
    """Return a group's sizes; what is not given has its default.

    Args:
        kind: One of the classes of this module.
        given: Names and values, as config.json holds them.

    Raises:
        InputError: A name is none of the group's.
    """
    given = given or {}
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in names:
            raise InputError(
                f"{kind.__name__} must have names of {', '.join(names)}; got {name!r}. {_REMEDY}"
            )
    values = {name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}
    return kind(**values)


def read_optional_group(kind: type[_Kind], given: Group | None) -> _Kind | None:
    """Return a group's sizes; None for a part that is not built.

    Raises:
        InputError: See `read_group`.
    """
    return None if given is None else read_group(kind, given)
