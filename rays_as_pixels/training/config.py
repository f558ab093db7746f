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
class TransformerConfig:
    """The transformer's size and its training.

    Attributes:
        patch: Latent cells per video token along y and x.
        motion_width: Channels of the motion features, see the network; None for none.
        motion_features_minutes: Time to pretrain those features (`pretrain_motion_features`).
        camera_prior_minutes: Time to train the camera prior after that (`train_camera_prior`).
        camera_prior_learning_rate: Peak rate when a trained camera prior is trained further.
        depth_head_minutes: Time to train the view prior's depths after that (`train_depth_head`).
        width: Token width.
        num_heads: Attention heads.
        num_layers: Blocks.
        batch_size: Clips per step.
        learning_rate: Peak rate of AdamW (and of Muon, by its own scale).
        warmup_steps: Steps of linear warm-up.
        estimate_share: Share of steps with the video given and the rays at noise.
        generate_share: Share of steps with the rays given and the video at noise.
        joint_share: Share of steps with both at the same noise level; the rest is independent.
        pure_noise_share: Share of estimate steps with the rays' noise level exactly 1.
        motion_head_weight: Weight of the motion head's loss (`auxiliary`).
        pose_weight: Weight of the camera errors read from ray latents (`auxiliary`); 0 fits no
            readout, which large rasters have no memory for.
        relative_weight: Weight of the error of each frame's rays relative to frame 0 (`objective`).
        cosine_weight: Weight of 1 - cos(v, u) beside |v - u|^2; the paper's is 0.5.
        attention: `decoupled` or `global`, see the network.
        ray_prediction: `sample` or `velocity`, see the network.
        compile_blocks: Compile each block with torch.compile; needs a C++ compiler on a CPU.
        minutes: Time to train for.
        steps: Train for so many steps instead; None for `minutes`.
    """

    patch: int = 2
    motion_width: int | None = 64
    motion_features_minutes: float = 10.0
    camera_prior_minutes: float = 30.0
    camera_prior_learning_rate: float = 5e-4
    depth_head_minutes: float = 15.0
    width: int = 128
    num_heads: int = 2
    num_layers: int = 4
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    estimate_share: float = 0.8
    generate_share: float = 0.12
    joint_share: float = 0.06
    pure_noise_share: float = 0.85
    motion_head_weight: float = 0.5
    pose_weight: float = 3.0
    relative_weight: float = 1.0
    cosine_weight: float = 0.5
    attention: str = "decoupled"
    ray_prediction: str = "sample"
    compile_blocks: bool = False
    minutes: float = 75.0
    steps: int | None = None


@dataclass(frozen=True)
class TrainingConfig:
    """Clips, autoencoder and transformer of a run.

    Attributes:
        name: The name on the command line.
        num_frames: Frames per clip; 4k+1 of them where `codec.temporal_stride` is 4.
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
        motion_features_minutes=0.5,
        camera_prior_minutes=3.0,
        camera_prior_learning_rate=1e-3,
        depth_head_minutes=1.0,
        width=192,
        num_heads=3,
        num_layers=8,
        batch_size=192,
        learning_rate=2e-3,
        warmup_steps=50,
        estimate_share=0.05,
        generate_share=0.55,
        joint_share=0.3,
        motion_head_weight=0.1,
        pose_weight=0.0,
        minutes=5.0,
    ),
)
_MINI_CPU = (
    replace(  # its camera prior is trained further on two CPU cores (`continue_camera_prior`)
        _MINI,
        name="mini-cpu",
        pool_clips=4096,
        transformer=replace(
            _MINI.transformer,
            camera_prior_minutes=90.0,
            camera_prior_learning_rate=5e-4,
            batch_size=16,
        ),
    )
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
                motion_features_minutes=0.1,
                camera_prior_minutes=0.1,
                depth_head_minutes=0.1,
                width=48,
                num_heads=2,
                num_layers=2,
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
                patch=1,
                motion_width=None,
                estimate_share=0.35,
                generate_share=0.35,
                joint_share=0.2,
                pure_noise_share=0.25,
                motion_head_weight=0.0,
                pose_weight=0.0,
                relative_weight=0.0,
                ray_prediction="velocity",
            ),
        ),
        TrainingConfig(  # whatever `convert-wan` made; see docs/wan.md
            "wan",
            pool_clips=0,
            inherits_architecture=True,
            transformer=TransformerConfig(
                batch_size=1,
                learning_rate=1e-5,
                warmup_steps=1000,
                estimate_share=0.45,
                generate_share=0.35,
                joint_share=0.15,
                pose_weight=0.0,
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
