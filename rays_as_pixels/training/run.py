"""`train`: pool, codec, latents, transformer, export, each continued where it stopped."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKLWan

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.config import TrainingConfig, TransformerConfig
from rays_as_pixels.training.data.latents import LatentCache, encode_pool, latent_batches
from rays_as_pixels.training.data.online import online_batches, online_clips
from rays_as_pixels.training.data.pool import PoolSpec, build_pool, pool_batches, shard_paths
from rays_as_pixels.training.data.real import real_batches, real_clips
from rays_as_pixels.training.data.still_frames import still_frames
from rays_as_pixels.training.distributed import new_accelerator, one_after_the_other, own_seed
from rays_as_pixels.training.export import (
    build_pipeline,
    save_pipeline,
    start_codec,
    start_weights,
    stored_codec,
    stored_raxel_statistics,
)
from rays_as_pixels.training.init_from_pipeline import (
    adopt,
    adopted_pipeline,
    adopted_transformer,
    carry_text,
)
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.plot import plot_log
from rays_as_pixels.training.sanity_check import check_clips, check_line
from rays_as_pixels.training.stages.autoencoder import measure_statistics, train_codec
from rays_as_pixels.training.stages.camera_prior_only import source_of_prior, teach_prior_on
from rays_as_pixels.training.stages.finetune_decoder import polish_decoder
from rays_as_pixels.training.stages.motion_autoencoder import MotionSource, teach_motion
from rays_as_pixels.training.stages.pretrain import fit_motion_parts, teach_motion_parts
from rays_as_pixels.training.stages.principal_components import code_images, start_as_principal_code
from rays_as_pixels.training.stages.transformer import TransformerRun, has_state, new_transformer


@dataclass(frozen=True)
class TrainingOptions:
    """Where a run lives and how it differs from its configuration.

    Attributes:
        run_folder: State, pool, log and plot; a run found there is continued.
        export_folder: Where the pipeline goes at the end.
        start_from: Pipeline folder whose weights a new run starts from, or None for none.
        codec_from: Pipeline folder whose autoencoder is taken as it is, or None to train one; only
            the size of its latents is measured anew, unless the network comes from there too.
        seed: Seed of everything random.
        codec_minutes: Overrides the configuration.
        motion_minutes: Overrides the configuration's for each part that is taught motion; with
            `start_from`, which has been taught, only this teaches them on.
        polish_minutes: Overrides the configuration.
        transformer_minutes: Overrides the configuration.
        check: False skips the periodic look at held-out clips.
        stages: Which to run, in order; an earlier one that is not done yet is an error. "prior"
            teaches the camera prior of `start_from` on, and does what it needs before.
        compile_blocks: Compile the transformer's blocks (see TransformerConfig).
        variants: Ways each pool clip is used (of as is, mirrored, reversed, both).
        data: Real data to train on in place of rendered worlds, see `datasets/spec.py`; worlds
            are then rendered only to teach the codec motion, which needs depth.
    """

    run_folder: Path
    export_folder: Path
    start_from: Path | None = None
    codec_from: Path | None = None
    seed: int = 0
    codec_minutes: float | None = None
    motion_minutes: float | None = None
    polish_minutes: float | None = None
    transformer_minutes: float | None = None
    check: bool = True
    stages: tuple[str, ...] = ("pool", "codec", "polish", "latents", "transformer")
    compile_blocks: bool = False
    variants: int = 1
    data: tuple[str, ...] = ()


def _logger(folder: Path, accelerator: Accelerator) -> Callable[[str], None]:
    folder.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        if not accelerator.is_main_process:
            return
        with (folder / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    return log


def _trained_codec(
    config: TrainingConfig,
    options: TrainingOptions,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> AutoencoderKLWan:
    run = options.run_folder
    torch.manual_seed(options.seed)
    size = config.codec
    autoencoder = new_autoencoder(
        base_dim=size.base_dim,
        z_dim=size.z_dim,
        num_res_blocks=size.num_res_blocks,
        temporal_stride=size.temporal_stride,
    )
    if options.start_from is not None:
        start_codec(autoencoder, options.start_from)
    elif size.principal:
        start_as_principal_code(
            autoencoder, code_images(_clip_source(config, options, 16, accelerator))
        )
    if options.codec_minutes is not None:
        size = replace(size, minutes=options.codec_minutes)
    clips = _clip_source(config, options, size.batch_clips, accelerator)
    with still_frames(autoencoder):
        train_codec(
            autoencoder, clips, size, run, accelerator=accelerator, log=log, seed=options.seed
        )
    if options.motion_minutes is not None:
        size = replace(size, motion_minutes=options.motion_minutes)
    if not size.principal:
        teach_motion(
            autoencoder,
            _motion_source(config, options, size.motion_batch_clips, accelerator),
            size,
            run,
            accelerator=accelerator,
            log=log,
            seed=options.seed,
        )
    return autoencoder


def _codec_stage(
    config: TrainingConfig,
    options: TrainingOptions,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    """Train the autoencoder, measure its latents and freeze it, unless that is done."""
    run = options.run_folder
    done = run / "vae"
    if not (done / "config.json").exists():
        if options.codec_from is not None:
            autoencoder = stored_codec(options.codec_from)
        else:
            autoencoder = _trained_codec(config, options, accelerator, log)
        autoencoder.to(accelerator.device).eval()
        if accelerator.is_main_process:
            if options.codec_from is not None and options.codec_from == options.start_from:
                rays = stored_raxel_statistics(options.codec_from)  # what its network knows
            else:
                video, rays = measure_statistics(
                    autoencoder, _clip_source(config, options, 64, accelerator)
                )
                autoencoder.register_to_config(latents_mean=video["mean"], latents_std=video["std"])
            write_json(run / "raxel-statistics.json", rays)
            autoencoder.save_pretrained(done)
            if options.codec_from is not None:
                autoencoder.save_pretrained(run / "vae-polished")
            log("codec: done")
    accelerator.wait_for_everyone()


def _frozen_codec(
    run: Path, accelerator: Accelerator
) -> tuple[AutoencoderKLWan, dict[str, list[float]]]:
    """Load the codec as far as it is: polished if that is done."""
    best = run / "vae-polished"
    folder = best if (best / "config.json").exists() else run / "vae"
    if not (folder / "config.json").exists():
        raise InputError(
            f"the codec must be trained before what follows; got no {folder}. Run the stage codec."
        )
    autoencoder = AutoencoderKLWan.from_pretrained(folder).to(accelerator.device).eval()
    autoencoder.requires_grad_(False)
    return autoencoder, json.loads((run / "raxel-statistics.json").read_text())


def _latent_codec(autoencoder: AutoencoderKLWan, rays: dict[str, list[float]]) -> LatentCodec:
    return LatentCodec(autoencoder, raxel_mean=rays["mean"], raxel_std=rays["std"])


def _polish_stage(
    config: TrainingConfig,
    options: TrainingOptions,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    run = options.run_folder
    if (run / "vae-polished" / "config.json").exists():
        return
    autoencoder, _ = _frozen_codec(run, accelerator)
    size = config.codec
    if options.polish_minutes is not None:
        size = replace(size, polish_minutes=options.polish_minutes)
    clips = _clip_source(config, options, size.batch_clips, accelerator)
    with still_frames(autoencoder):
        polish_decoder(
            autoencoder, clips, size, run, accelerator=accelerator, log=log, seed=options.seed
        )
    if accelerator.is_main_process:
        autoencoder.save_pretrained(run / "vae-polished")
        log("polish: done")
    accelerator.wait_for_everyone()


def _clip_source(
    config: TrainingConfig, options: TrainingOptions, batch: int, accelerator: Accelerator
) -> Iterator[tuple[torch.Tensor, Cameras]]:
    if options.data:
        seed = own_seed(options.seed, accelerator)
        log = _logger(options.run_folder, accelerator)
        source = real_clips(
            config, options.data, batch, seed=seed, device=accelerator.device, log=log
        )
    else:
        source = _motion_source(config, options, batch, accelerator)
    return ((video, cameras) for video, cameras, _ in source)


def _motion_source(
    config: TrainingConfig, options: TrainingOptions, batch: int, accelerator: Accelerator
) -> MotionSource:
    seed = own_seed(options.seed, accelerator)
    if config.pool_clips:
        return pool_batches(options.run_folder / "pool", batch, seed=seed)
    return online_clips(config, batch, seed=seed, device=accelerator.device)


def _latent_source(
    config: TrainingConfig,
    options: TrainingOptions,
    codec: LatentCodec,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> Iterator[CleanBatch]:
    size = config.transformer
    seed = own_seed(options.seed, accelerator)
    if options.data:
        return real_batches(
            config, codec, options.data, seed=seed, device=accelerator.device, log=log
        )
    if not config.pool_clips:
        return online_batches(config, codec, seed=seed, device=accelerator.device)
    run = options.run_folder
    cache = LatentCache(run / "latents")
    cache.refresh()
    log(f"latents: {cache.clips} clips")
    return latent_batches(
        cache,
        size.batch_size,
        estimate_share=size.estimate_share,
        seed=seed + int(time.time()) % 100_000,
    )


def train(config: TrainingConfig, options: TrainingOptions) -> Path:
    """Run every stage that is not done yet and export the pipeline.

    Returns:
        The exported folder.
    """
    accelerator = new_accelerator()
    log = _logger(options.run_folder, accelerator)
    log(f"run started {time.strftime('%Y-%m-%d %H:%M:%S')}")
    stages = options.stages
    if "prior" in stages:  # with clips encoded as its network knows them
        start = source_of_prior(options.start_from, options.run_folder)
        options, stages = replace(options, codec_from=start), ("pool", "codec", "latents", "prior")
    if options.data:
        config = replace(config, pool_clips=0)
    if config.inherits_architecture and "prior" not in stages:
        with one_after_the_other(accelerator):
            config = adopt(config, options.start_from, options.run_folder)
        stages = ("transformer",)
    if config.pool_clips and "pool" in stages:
        spec = PoolSpec(config.pool_clips, config.num_frames, config.sizes)
        with one_after_the_other(accelerator):
            for done, total in build_pool(options.run_folder / "pool", spec):
                if done % 10 == 0 or done == total:
                    log(f"pool: {done} of {total} shards")
    if "codec" in stages:
        _codec_stage(config, options, accelerator, log)
    if "polish" in stages:
        _polish_stage(config, options, accelerator, log)
    if config.pool_clips and "latents" in stages:
        codec = _latent_codec(*_frozen_codec(options.run_folder, accelerator))
        pool = shard_paths(options.run_folder / "pool")
        latents = options.run_folder / "latents"
        with one_after_the_other(accelerator):
            encode_pool(codec, pool, latents, variants=options.variants, log=log)
    if "prior" in stages:
        _prior_stage(config, options, accelerator, log)
        return options.export_folder
    if "transformer" in stages:
        _transformer_stage(config, options, accelerator, log)
    return options.export_folder


def _first_model(
    config: TrainingConfig, size: TransformerConfig, options: TrainingOptions
) -> RaysAsPixelsTransformer3DModel:
    """Build the network as it is before the first step: drawn, loaded or adopted."""
    torch.manual_seed(options.seed)
    if config.inherits_architecture and options.start_from is not None:
        return adopted_transformer(options.start_from)
    model = new_transformer(
        size, channels=config.codec.z_dim, temporal_stride=config.codec.temporal_stride
    )
    if options.start_from is not None:
        start_weights(model, options.start_from)
    return model


def _prior_stage(
    config: TrainingConfig,
    options: TrainingOptions,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    codec = _latent_codec(*_frozen_codec(options.run_folder, accelerator))
    size = config.transformer
    if options.motion_minutes is not None:
        size = replace(size, prior_minutes=options.motion_minutes)
    teach_prior_on(
        source_of_prior(options.start_from, options.run_folder),
        options.export_folder,
        _latent_source(config, options, codec, accelerator, log),
        size,
        options.run_folder,
        accelerator=accelerator,
        log=log,
    )


def _transformer_stage(
    config: TrainingConfig,
    options: TrainingOptions,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    autoencoder, rays = _frozen_codec(options.run_folder, accelerator)
    codec = _latent_codec(autoencoder, rays)
    size = config.transformer
    if options.transformer_minutes is not None:
        size = replace(size, minutes=options.transformer_minutes)
    if options.compile_blocks:
        size = replace(size, compile_blocks=True)
    teach = options.start_from is None
    if options.motion_minutes is not None:
        minutes = options.motion_minutes
        size = replace(size, motion_minutes=minutes, prior_minutes=minutes, view_minutes=minutes)
        teach = True
    adopted = options.start_from if config.inherits_architecture else None
    model = _first_model(config, size, options)
    torch.nn.Module.to(model, accelerator.device)  # what is fitted is fitted there
    batches = _latent_source(config, options, codec, accelerator, log)
    if model.motion_features is not None and teach and not has_state(options.run_folder):
        clips = (video for video, _ in _clip_source(config, options, 128, accelerator))
        if options.start_from is None:
            fit_motion_parts(model, clips, batches, codec=codec, accelerator=accelerator, log=log)
        teach_motion_parts(
            model,
            batches,
            size,
            options.run_folder,
            accelerator=accelerator,
            log=log,
            seed=options.seed,
            taught=options.start_from is not None,
        )
    run = TransformerRun(model, size, options.run_folder, accelerator=accelerator, log=log)
    if adopted is not None:
        pipeline = adopted_pipeline(adopted, autoencoder, model)
    else:
        pipeline = build_pipeline(config, autoencoder, model, rays)
    check = None
    if options.check:
        clips = check_clips(config)

        def held_out(_model: torch.nn.Module) -> str:
            return check_line(pipeline, clips)

        check = held_out

    run.train(batches, seed=own_seed(options.seed, accelerator), check=check)
    weights = run.averaged()
    if accelerator.is_main_process:
        facts = {
            "config": config.name,
            "steps": run.progress.step,
            "clips_seen": run.progress.clips,
            "transformer_minutes": round(run.progress.spent_sec / 60, 1),
            "parameters": sum(math.prod(p.shape) for p in model.parameters()),
            "device": str(accelerator.device),
            "seed": options.seed,
        }
        # Another process may have polished the decoder meanwhile; latents are the same either way.
        pipeline.vae.load_state_dict(_frozen_codec(options.run_folder, accelerator)[0].state_dict())
        save_pipeline(pipeline, options.export_folder, weights=weights, facts=facts)
        if adopted is not None:
            carry_text(adopted, options.export_folder)
        plot_log(options.run_folder / "log.txt", options.run_folder / "loss.png")
    accelerator.wait_for_everyone()
