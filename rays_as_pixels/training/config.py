"""Named training configurations: what is built, on which clips, for how long.

`small` is what two CPU cores can train in about two hours; `mini` is larger and for one GPU,
`mini-cpu` trains its camera prior further without one; `paper` is `small` with the paper's loss
alone; `wan` trains what `convert-wan` made; `tiny` is for tests. The classes and the code path are
the same.
"""

from dataclasses import dataclass, field, replace

from rays_as_pixels.errors import InputError


@dataclass(frozen=True)
class AutoencoderConfig:
    """The autoencoder's size and its training.

    Attributes:
        base_dim: Width of the first stage, see `new_autoencoder`.
        z_dim: Latent channels.
        temporal_stride: Video frames per latent frame, after the first.
        batch_clips: Clips per step.
        batch_raxels: Raxel images per step.
        crops: (frames, pixels, share): windows of so many frames and pixels (0 for the whole
            image), and the share of steps that train on them. Small windows give more steps.
        video_every: A clip batch every so many steps; raxels train at every step.
        learning_rate: Peak AdamW rate.
        minutes: Time to train for.
        decoder_minutes: Time to finetune the decoder alone after that (`finetune_decoder`).
    """

    base_dim: int = 80
    z_dim: int = 32
    temporal_stride: int = 1
    batch_clips: int = 40
    batch_raxels: int = 16
    crops: tuple[tuple[int, int, float], ...] = ((1, 32, 1.0),)
    video_every: int = 1
    learning_rate: float = 2e-3
    minutes: float = 40.0
    decoder_minutes: float = 30.0

    @property
    def starts_linear(self) -> bool:
        """Whether the encoder is set to principal components and kept (`principal_components`)."""
        return self.temporal_stride == 1


@dataclass(frozen=True)
class NetworkSize:
    """The transformer's size; all else has the defaults of `model.config`.

    Attributes:
        patch: Latent cells per video token along y and x.
        width: Token width.
        num_heads: Attention heads.
        num_layers: Blocks.
        motion_width: Channels of the motion features; None for none, and for no priors.
        attention: `decoupled` or `global`.
        ray_prediction: `sample` or `velocity`.
    """

    patch: int = 2
    width: int = 128
    num_heads: int = 2
    num_layers: int = 4
    motion_width: int | None = 64
    attention: str = "decoupled"
    ray_prediction: str = "sample"


@dataclass(frozen=True)
class Pretraining:
    """What is trained by itself before the rest of the network.

    Attributes:
        motion_features_minutes: Time for the motion features (`pretrain_motion_features`).
        camera_prior_minutes: Time for the camera prior after that (`train_camera_prior`).
        camera_prior_learning_rate: Peak rate when a trained camera prior is trained further.
        depth_head_minutes: Time for the view prior's depths after that (`train_depth_head`).
    """

    motion_features_minutes: float = 10.0
    camera_prior_minutes: float = 30.0
    camera_prior_learning_rate: float = 5e-4
    depth_head_minutes: float = 15.0


@dataclass(frozen=True)
class TaskShares:
    """Shares of steps; what is left has independent noise levels.

    Attributes:
        estimate: With the video given and the rays at noise.
        generate: With the rays given and the video at noise.
        joint: With both at the same noise level.
        pure_noise: Of the estimate steps, those with the rays' noise level exactly 1.
    """

    estimate: float = 0.8
    generate: float = 0.12
    joint: float = 0.06
    pure_noise: float = 0.85


@dataclass(frozen=True)
class LossWeights:
    """Weights of loss terms; that of |v - u|^2 is 1.

    Attributes:
        cosine: Of 1 - cos(v, u); the paper's is 0.5.
        relative: Of the error of each frame's rays relative to frame 0 (`objective`).
        motion_head: Of the motion head (`auxiliary`).
        pose: Of the camera errors read from ray latents (`auxiliary`); 0 fits no readout, which
            large rasters have no memory for.
    """

    cosine: float = 0.5
    relative: float = 1.0
    motion_head: float = 0.5
    pose: float = 3.0


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer's size and its training.

    Attributes:
        network: Its size.
        pretraining: What is trained before.
        tasks: How often each task is trained.
        weights: Of the loss.
        batch_size: Clips per step.
        learning_rate: Peak rate of AdamW (and of Muon, by its own scale).
        warmup_steps: Steps of linear warm-up.
        minutes: Time to train for.
        steps: Train for so many steps instead; None for `minutes`.
    """

    network: NetworkSize = field(default_factory=NetworkSize)
    pretraining: Pretraining = field(default_factory=Pretraining)
    tasks: TaskShares = field(default_factory=TaskShares)
    weights: LossWeights = field(default_factory=LossWeights)
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    minutes: float = 75.0
    steps: int | None = None


@dataclass(frozen=True)
class TrainingConfig:
    """Clips, autoencoder and transformer of a run.

    Attributes:
        name: The name on the command line.
        num_frames: Frames per clip; 4k+1 of them where the temporal stride is 4.
        sizes: (height, width) of the clips, multiples of 16.
        pool_clips: Clips rendered to disk beforehand; 0 renders while training (for GPUs).
        render_clips: Clips rendered at a time while training.
        clip_uses: How often a clip rendered while training is drawn, on average.
        cached_clips: Encoded clips of each image size and length kept to draw from while training.
        long_clip_share: Share of clips rendered while training that have 2 num_frames - 1 frames.
        inherits_architecture: Whether network, autoencoder, frames and sizes are those of the
            pipeline to start from (`init_from_pipeline`).
        autoencoder: The autoencoder.
        transformer: The transformer.
    """

    name: str
    num_frames: int = 9
    sizes: tuple[tuple[int, int], ...] = ((64, 64), (48, 80), (64, 64), (80, 48))
    pool_clips: int = 5120
    render_clips: int = 64
    clip_uses: float = 4.0
    cached_clips: int = 8192
    long_clip_share: float = 0.0
    inherits_architecture: bool = False
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)


_MINI = TrainingConfig(
    "mini",
    sizes=((96, 160), (128, 128), (160, 96)),
    pool_clips=0,
    long_clip_share=0.15,
    render_clips=512,
    clip_uses=6.0,
    autoencoder=AutoencoderConfig(
        batch_clips=64,
        batch_raxels=256,
        crops=((1, 64, 1.0),),
        minutes=3.0,
        decoder_minutes=2.0,
    ),
    transformer=TransformerConfig(
        pretraining=Pretraining(
            motion_features_minutes=0.5,
            camera_prior_minutes=3.0,
            camera_prior_learning_rate=1e-3,
            depth_head_minutes=1.0,
        ),
        network=NetworkSize(width=192, num_heads=3, num_layers=8),
        tasks=TaskShares(estimate=0.05, generate=0.55, joint=0.3),
        weights=LossWeights(motion_head=0.1, pose=0.0),
        batch_size=192,
        learning_rate=2e-3,
        warmup_steps=50,
        minutes=5.0,
    ),
)
_MINI_CPU = replace(  # trains the camera prior further (`continue_camera_prior`) on two cores
    _MINI,
    name="mini-cpu",
    pool_clips=4096,
    transformer=replace(
        _MINI.transformer,
        pretraining=replace(
            _MINI.transformer.pretraining,
            camera_prior_minutes=90.0,
            camera_prior_learning_rate=5e-4,
        ),
        batch_size=16,
    ),
)
CONFIGS = {
    config.name: config
    for config in (
        TrainingConfig(
            "tiny",
            num_frames=5,
            sizes=((32, 32),),
            pool_clips=64,
            autoencoder=AutoencoderConfig(
                base_dim=24,
                z_dim=8,
                batch_clips=2,
                batch_raxels=4,
                minutes=0.2,
                decoder_minutes=0.1,
            ),
            transformer=TransformerConfig(
                pretraining=Pretraining(
                    motion_features_minutes=0.1, camera_prior_minutes=0.1, depth_head_minutes=0.1
                ),
                network=NetworkSize(width=48, num_heads=2, num_layers=2),
                batch_size=4,
                warmup_steps=5,
                minutes=0.2,
            ),
        ),
        TrainingConfig("small"),
        _MINI,
        _MINI_CPU,
        TrainingConfig(  # the size of `small`, the paper's loss and nothing of our own
            "paper",
            autoencoder=AutoencoderConfig(
                base_dim=32,
                temporal_stride=4,
                batch_clips=4,
                batch_raxels=32,
                crops=((5, 32, 0.6), (9, 32, 0.25), (5, 0, 0.15)),
                video_every=3,
                learning_rate=3e-3,
            ),
            transformer=TransformerConfig(
                network=NetworkSize(patch=1, motion_width=None, ray_prediction="velocity"),
                tasks=TaskShares(estimate=0.35, generate=0.35, joint=0.2, pure_noise=0.25),
                weights=LossWeights(motion_head=0.0, pose=0.0, relative=0.0),
            ),
        ),
        TrainingConfig(  # whatever `convert-wan` made; see docs/wan.md
            "wan",
            pool_clips=0,
            inherits_architecture=True,
            transformer=TransformerConfig(
                tasks=TaskShares(estimate=0.45, generate=0.35, joint=0.15),
                weights=LossWeights(pose=0.0),
                batch_size=1,
                learning_rate=1e-5,
                warmup_steps=1000,
                minutes=10080.0,
            ),
        ),
    )
}


def training_config(name: str) -> TrainingConfig:
    """Look a configuration up by name.

    Raises:
        InputError: No such configuration.
    """
    if name not in CONFIGS:
        raise InputError(
            f"config must be one of {', '.join(CONFIGS)}; got {name!r}. Use 'small' on a CPU."
        )
    return CONFIGS[name]
