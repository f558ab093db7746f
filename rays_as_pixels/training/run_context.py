"""What every stage of a training run gets: its configuration, where it lives, devices and log."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from accelerate import Accelerator

from rays_as_pixels.training.config import TrainingConfig

STAGES = ("pool", "autoencoder", "decoder", "latents", "transformer")  # in order
CAMERA_PRIOR = "camera-prior"  # a stage of its own: trains the camera prior of a pipeline further


@dataclass(frozen=True)
class TrainingOptions:
    """Where a run lives and how it differs from its configuration.

    Attributes:
        run_folder: State, pool, log and plot; a run found there is continued.
        export_folder: Where the pipeline goes at the end.
        init_from: Pipeline folder whose weights a new run starts from, or None for none.
        autoencoder_from: Pipeline folder whose autoencoder is taken as it is, or None to train
            one; only the size of its latents is measured anew, unless the network comes from there
            too.
        seed: Seed of everything random.
        minutes: Times that replace the configuration's, by part: "autoencoder", "decoder",
            "transformer", and "pretrain" for each of motion features, camera prior and depth head.
            With `init_from` these three are trained further only where "pretrain" is given.
        check: False skips the periodic look at held-out clips.
        stages: Which to run; an earlier one that is not done yet is an error. CAMERA_PRIOR trains
            the camera prior of `init_from` further, and does what it needs before.
        compile_blocks: Compile each block with torch.compile; needs a C++ compiler on a CPU.
        data: Real data to train on in place of rendered worlds, see `datasets/spec.py`.
    """

    run_folder: Path
    export_folder: Path
    init_from: Path | None = None
    autoencoder_from: Path | None = None
    seed: int = 0
    minutes: Mapping[str, float] = field(default_factory=dict)
    check: bool = True
    stages: tuple[str, ...] = STAGES
    compile_blocks: bool = False
    data: tuple[str, ...] = ()

    def applied_to(self, config: TrainingConfig) -> TrainingConfig:
        """Return the configuration with the minutes and the clip source of these options."""
        autoencoder, transformer = config.autoencoder, config.transformer
        if "autoencoder" in self.minutes:
            autoencoder = replace(autoencoder, minutes=self.minutes["autoencoder"])
        if "decoder" in self.minutes:
            autoencoder = replace(autoencoder, decoder_minutes=self.minutes["decoder"])
        if "transformer" in self.minutes:
            transformer = replace(transformer, minutes=self.minutes["transformer"])
        if "pretrain" in self.minutes:
            minutes = self.minutes["pretrain"]
            pretraining = replace(
                transformer.pretraining,
                motion_features_minutes=minutes,
                camera_prior_minutes=minutes,
                depth_head_minutes=minutes,
            )
            transformer = replace(transformer, pretraining=pretraining)
        pool_clips = 0 if self.data else config.pool_clips
        return replace(
            config, autoencoder=autoencoder, transformer=transformer, pool_clips=pool_clips
        )


@dataclass(frozen=True)
class RunContext:
    """A run as its stages see it.

    Attributes:
        config: Sizes, clips and minutes, with the options applied.
        options: Where the run lives and what it starts from.
        accelerator: Device, precision and processes.
        log: Called with one line of text at a time.
    """

    config: TrainingConfig
    options: TrainingOptions
    accelerator: Accelerator
    log: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """Where state, pool and log live."""
        return self.options.run_folder


def new_log(folder: Path, accelerator: Accelerator) -> Callable[[str], None]:
    """Return a function that adds a line with its time to the run's log, in the main process."""
    folder.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        if not accelerator.is_main_process:
            return
        with (folder / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    return log
