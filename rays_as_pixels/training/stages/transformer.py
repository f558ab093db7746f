"""Train the joint transformer on latents: optimisers, EMA, resume, quick held-out checks."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from rays_as_pixels.files import atomic_write
from rays_as_pixels.model.transformer.attention import MatmulAttentionProcessor
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.auxiliary import (
    Readouts,
    WithMotionHead,
    fit_readouts,
    motion_head_loss,
    readout_loss,
)
from rays_as_pixels.training.config import NetworkSize, TransformerConfig
from rays_as_pixels.training.distributed import (
    gathered,
    is_sharded,
    load_optimiser,
    shard_like,
    shared_clock,
)
from rays_as_pixels.training.muon import Float32Muon
from rays_as_pixels.training.objective import (
    CleanBatch,
    clean_ray_error,
    joint_loss,
    noisy_batch,
)
from rays_as_pixels.training.stages.pretrain_motion_features import load_pretrained_features

_FFN_RATIO = 4  # width of the feed-forwards over that of the tokens, as in ViT (2010.11929)
_STATE_FILE = "transformer-state.pt"
_SAVE_EVERY_SEC = 120.0
_CHECK_EVERY_SEC = 480.0


def new_transformer(
    size: NetworkSize,
    *,
    channels: int,
    temporal_stride: int,
    ray_channels: int | None = None,
    priors: bool = True,
) -> RaysAsPixelsTransformer3DModel:
    """Build an untrained transformer.

    Args:
        size: Of the network.
        channels: Of video latents.
        temporal_stride: Video frames per latent frame, after the first.
        ray_channels: Of ray latents; None for as many as the video's.
        priors: Build camera and view prior where they can be.
    """
    features = None if size.motion_width is None else {"width": size.motion_width}
    same = size.ray_prediction == "sample" and ray_channels in (None, channels)
    prior = {} if priors and same and features is not None else None
    model = RaysAsPixelsTransformer3DModel(
        video_config={
            "channels": channels,
            "patch_size": (1, size.patch, size.patch),
            "temporal_stride": temporal_stride,
        },
        ray_config={"channels": ray_channels, "prediction": size.ray_prediction},
        block_config={
            "num_layers": size.num_layers,
            "num_heads": size.num_heads,
            "head_dim": size.width // size.num_heads,
            "ffn_dim": size.width * _FFN_RATIO,
            "attention": size.attention,
        },
        motion_features_config=features,
        camera_prior_config=prior,
        view_prior_config=prior,
    )
    model.initialise_from_scratch()
    return model


def new_optimisers(
    model: nn.Module, *, learning_rate: float, sharded: bool = False
) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for the rest.

    `Float32Muon` orthogonalises all matrices of a shape at once. Where weights are `sharded` over
    processes torch's own Muon (2.9 and later) is used, which can gather them, or AdamW where torch
    has none.
    """
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        hidden = parameter.dim() == 2 and ".blocks." in f".{name}" and "table" not in name
        (matrices if hidden else others).append(parameter)
    if sharded and not hasattr(torch.optim, "Muon"):
        others, matrices = others + matrices, []
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    ]
    if matrices and not sharded:
        optimisers.append(Float32Muon(matrices, lr=learning_rate))
    elif matrices:
        optimisers.append(
            torch.optim.Muon(
                matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimisers


def has_state(folder: Path) -> bool:
    """Tell whether a run in `folder` has begun and can be continued."""
    return (folder / _STATE_FILE).exists()


@dataclass
class Progress:
    """How far a run is; saved with the weights."""

    step: int = 0
    spent_sec: float = 0.0
    clips: int = 0


class TransformerRun:
    """A training run that can be killed at any moment and continued.

    Args:
        model: The transformer, on the CPU or wherever accelerate puts it.
        config: Sizes, shares and minutes.
        folder: Where state and log live; an existing state is continued.
        accelerator: Device, precision and processes.
        log: Called with one line of text at a time.
        compile_blocks: Compile each block with torch.compile; needs a C++ compiler on a CPU.
    """

    def __init__(
        self,
        model: RaysAsPixelsTransformer3DModel,
        config: TransformerConfig,
        folder: Path,
        *,
        accelerator: Accelerator,
        log: Callable[[str], None],
        compile_blocks: bool = False,
    ) -> None:
        self.config, self.folder, self.accelerator, self.log = config, folder, accelerator, log
        self.progress = Progress()
        self.readouts: Readouts = {}
        self._sums: list[dict[str, float]] = []
        if accelerator.device.type == "cpu":
            model.set_attn_processor(cast(Any, MatmulAttentionProcessor()))
        for prior in (model.camera_prior, model.view_prior):
            if prior is not None:  # is trained before, by itself
                prior.requires_grad_(False)
        with_head = WithMotionHead(model)
        if load_pretrained_features(with_head, folder):
            log("transformer: starts from pretrained motion features")
        optimisers = new_optimisers(
            with_head,
            learning_rate=config.learning_rate,
            sharded=accelerator.distributed_type == DistributedType.FSDP,
        )
        self.state_path = folder / _STATE_FILE
        state = None
        if self.state_path.exists():
            state = torch.load(self.state_path, map_location="cpu", weights_only=True)
            with_head.load_state_dict(state["model"])
            self.progress = Progress(**state["progress"])
            log(f"transformer: resumed at step {self.progress.step}")
        if compile_blocks:
            # One program per image size and number of reference images, and as many for the checks.
            torch._dynamo.config.recompile_limit = 64
            for block in model.blocks:
                block.compile(dynamic=False)
        prepared = accelerator.prepare(with_head, *optimisers)
        self.model, self.optimisers = prepared[0], list(prepared[1:])
        self.ema = EMAModel(
            self._transformer.parameters(),
            decay=0.999,
            use_ema_warmup=True,
            power=0.75,
        )
        self.ema.to(accelerator.device)
        if state is not None:
            self._load(state)

    def _load(self, state: dict[str, Any]) -> None:
        """Take over what belongs to the weights after they are where they will be trained."""
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            load_optimiser(optimiser, saved)
        weights = self._transformer.parameters()
        shadow = zip(state["ema"]["shadow_params"], weights, strict=True)
        self.ema.load_state_dict(
            {**state["ema"], "shadow_params": [shard_like(s, w) for s, w in shadow]}
        )
        self.ema.to(self.accelerator.device)

    @property
    def _transformer(self) -> RaysAsPixelsTransformer3DModel:
        return self.accelerator.unwrap_model(self.model).transformer

    def train(
        self,
        batches: Iterator[CleanBatch],
        *,
        seed: int,
        check: Callable[[RaysAsPixelsTransformer3DModel], str] | None = None,
    ) -> None:
        """Train for `config.steps`, or `config.minutes`; `check` sees the EMA weights at times."""
        generator = torch.Generator().manual_seed(seed + self.progress.step)
        if self.config.weights.pose:
            self.readouts = fit_readouts(batches, self.log)
        budget = self.config.minutes * 60
        last = saved = checked = shared_clock(self.accelerator)
        while (done := self._done(budget)) < 1:
            self._step(next(batches), generator, done)
            now = shared_clock(self.accelerator)
            self.progress.spent_sec += now - last
            last = now
            if self.progress.step % 50 == 0:
                self.log(
                    f"step {self.progress.step} min {self.progress.spent_sec / 60:.1f} "
                    f"clips {self.progress.clips} {self._averages()}"
                )
            if now - saved > _SAVE_EVERY_SEC:
                self.save()
                saved = now
            if check is not None and now - checked > _CHECK_EVERY_SEC:
                self.log(f"check step {self.progress.step} {self._checked(check)}")
                checked = last = shared_clock(self.accelerator)
        self.save()
        if check is not None:
            self.log(f"check step {self.progress.step} {self._checked(check)}")

    def _done(self, budget_sec: float) -> float:
        """Return which share of the run is behind it, by steps where they are counted."""
        if self.config.steps is not None:
            return self.progress.step / self.config.steps
        return self.progress.spent_sec / budget_sec if budget_sec else 1.0

    def _step(self, clean: CleanBatch, generator: torch.Generator, done: float) -> None:
        warm = min(1.0, (self.progress.step + 1) / self.config.warmup_steps)
        rate = self.config.learning_rate * warm * max(0.02, min(1.0, (1 - done) / 0.5))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        noisy = noisy_batch(clean, self.config, generator)
        with self.accelerator.autocast():
            velocity, motions = self.model(noisy.state)
        loss, terms = joint_loss(velocity, noisy, config=self.config)
        errors = [motion_head_loss(one, clean.motion, noisy.state.sigma) for one in motions]
        motion = torch.stack(errors).mean()
        pose, degrees = loss.new_zeros(()), float("nan")
        if self.readouts:
            error = clean_ray_error(velocity, noisy)
            readout = self.readouts[error.shape[-2], error.shape[-1]]
            pose, degrees = readout_loss(error, readout, noisy.state.ray_sigma)
        loss = loss + self.config.weights.motion_head * motion + self.config.weights.pose * pose
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        assert norm is not None  # only DeepSpeed gives none
        if math.isfinite(float(norm)):
            for optimiser in self.optimisers:
                optimiser.step()
        else:
            self.log(f"step {self.progress.step}: left out, its gradient is {float(norm)}")
        self.ema.step(self._transformer.parameters())
        self.progress.step += 1
        self.progress.clips += len(clean.latents)
        self._sums.append(
            {
                "loss": float(loss.detach()),
                "video": terms.video,
                "rays": terms.rays,
                "rays_pure": terms.rays_pure,
                "motion": float(motion.detach()),
                "deg_pure": degrees,
                "grad": float(norm),
            }
        )

    def _averages(self) -> str:
        """Mean of each term since the last call, where it was defined."""
        steps, self._sums = self._sums, []
        parts = []
        for name in steps[0]:
            values = torch.tensor([step[name] for step in steps])
            parts.append(f"{name} {float(values.nanmean()):.4f}")
        return " ".join(parts)

    def averaged(self) -> dict[str, Tensor]:
        """Return the EMA weights by name, on the CPU. All processes must call it."""
        with self._average() as model:
            weights = gathered(model.state_dict())
            return {k: v.detach().cpu().clone() for k, v in weights.items()}

    def _checked(self, check: Callable[[RaysAsPixelsTransformer3DModel], str]) -> str:
        with self._average() as model, torch.no_grad():
            model.eval()
            try:
                return check(model)
            finally:
                model.train()

    @contextmanager
    def _average(self) -> Iterator[RaysAsPixelsTransformer3DModel]:
        """Hold the EMA weights in the model for a while."""
        model = self._transformer
        kept = [parameter.detach().clone() for parameter in model.parameters()]
        self.ema.copy_to(model.parameters())
        try:
            yield model
        finally:
            with torch.no_grad():
                for parameter, value in zip(model.parameters(), kept, strict=True):
                    parameter.copy_(value)

    def save(self) -> None:
        """Write the full state atomically. All processes must call it."""
        if not self.accelerator.is_main_process and not is_sharded(self.model):
            return
        model = self.accelerator.unwrap_model(self.model)
        state = {
            "model": gathered(model.state_dict()),
            "optimisers": [gathered(o.state_dict()) for o in self.optimisers],
            "ema": gathered(self.ema.state_dict()),
            "progress": vars(self.progress),
        }
        if not self.accelerator.is_main_process:
            return
        with atomic_write(self.state_path) as temporary:
            torch.save(state, temporary)
