"""`train`: pool, autoencoder, latents, transformer, export, each continued where it stopped."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TrainingConfig
from rays_as_pixels.training.data.latents import encode_pool
from rays_as_pixels.training.data.pool import PoolSpec, build_pool, shard_paths
from rays_as_pixels.training.data.sources import clean_batches, posed_clips
from rays_as_pixels.training.data.still_frames import still_frames
from rays_as_pixels.training.distributed import new_accelerator, one_after_the_other, own_seed
from rays_as_pixels.training.export import (
    build_pipeline,
    load_autoencoder,
    load_autoencoder_weights,
    load_raxel_statistics,
    load_transformer_weights,
    save_pipeline,
)
from rays_as_pixels.training.init_from_pipeline import (
    assemble_pipeline,
    copy_autoencoder,
    copy_text_encoder,
    load_transformer,
)
from rays_as_pixels.training.plot import plot_log
from rays_as_pixels.training.run_context import (
    CAMERA_PRIOR,
    RunContext,
    TrainingOptions,
    new_log,
)
from rays_as_pixels.training.sanity_check import check_clips, check_line
from rays_as_pixels.training.stages.autoencoder import measure_statistics, train_autoencoder
from rays_as_pixels.training.stages.camera_prior_only import (
    continue_camera_prior,
    pipeline_with_prior,
)
from rays_as_pixels.training.stages.finetune_decoder import finetune_decoder
from rays_as_pixels.training.stages.pretrain import fit_by_least_squares, pretrain
from rays_as_pixels.training.stages.principal_components import (
    init_as_principal_components,
    sample_images,
)
from rays_as_pixels.training.stages.transformer import TransformerRun, has_state, new_transformer


def train(config: TrainingConfig, options: TrainingOptions) -> Path:
    """Run every stage that is not done yet and export the pipeline.

    Returns:
        The exported folder.
    """
    accelerator = new_accelerator()
    log = new_log(options.run_folder, accelerator)
    log(f"run started {time.strftime('%Y-%m-%d %H:%M:%S')}")
    stages = options.stages
    if CAMERA_PRIOR in stages:  # with clips encoded as its network knows them
        start = pipeline_with_prior(options.init_from, options.run_folder)
        options = replace(options, autoencoder_from=start)
        stages = ("pool", "autoencoder", "latents", CAMERA_PRIOR)
    config = options.applied_to(config)
    if config.inherits_architecture and CAMERA_PRIOR not in stages:
        with one_after_the_other(accelerator):
            config = copy_autoencoder(config, options.init_from, options.run_folder)
        stages = ("transformer",)
    context = RunContext(config, options, accelerator, log)
    if config.pool_clips and "pool" in stages:
        _pool_stage(context)
    if "autoencoder" in stages:
        _autoencoder_stage(context)
    if "decoder" in stages:
        _decoder_stage(context)
    if config.pool_clips and "latents" in stages:
        codec = _latent_codec(*_frozen_autoencoder(context))
        with one_after_the_other(accelerator):
            encode_pool(
                codec, shard_paths(context.folder / "pool"), context.folder / "latents", log
            )
    if CAMERA_PRIOR in stages:
        _camera_prior_stage(context)
    elif "transformer" in stages:
        _transformer_stage(context)
    return options.export_folder


def _pool_stage(context: RunContext) -> None:
    config = context.config
    spec = PoolSpec(config.pool_clips, config.num_frames, config.sizes)
    with one_after_the_other(context.accelerator):
        for done, total in build_pool(context.folder / "pool", spec):
            if done % 10 == 0 or done == total:
                context.log(f"pool: {done} of {total} shards")


def _autoencoder_stage(context: RunContext) -> None:
    """Train the autoencoder, measure its latents and freeze it, unless that is done."""
    options, folder, accelerator = context.options, context.folder, context.accelerator
    if not (folder / "vae" / "config.json").exists():
        if options.autoencoder_from is not None:
            autoencoder = load_autoencoder(options.autoencoder_from)
        else:
            autoencoder = _trained_autoencoder(context)
        autoencoder.to(accelerator.device).eval()
        if accelerator.is_main_process:
            source = options.autoencoder_from
            if source is not None and source == options.init_from:
                rays = load_raxel_statistics(source)  # those that its network was trained on
            else:
                rays = _measured_statistics(autoencoder, context)
            write_json(folder / "raxel-statistics.json", rays)
            autoencoder.save_pretrained(folder / "vae")
            if source is not None:
                autoencoder.save_pretrained(folder / "vae-finetuned")
            context.log("autoencoder: done")
    accelerator.wait_for_everyone()


def _trained_autoencoder(context: RunContext) -> AutoencoderKLWan:
    config, options = context.config.autoencoder, context.options
    torch.manual_seed(options.seed)
    autoencoder = new_autoencoder(
        base_dim=config.base_dim, z_dim=config.z_dim, temporal_stride=config.temporal_stride
    )
    if options.init_from is not None:
        load_autoencoder_weights(autoencoder, options.init_from)
    elif config.starts_linear:
        init_as_principal_components(autoencoder, sample_images(posed_clips(context, 16)))
    with still_frames(autoencoder):
        train_autoencoder(
            autoencoder,
            posed_clips(context, config.batch_clips),
            config,
            context.folder,
            accelerator=context.accelerator,
            log=context.log,
            seed=options.seed,
        )
    return autoencoder


def _measured_statistics(
    autoencoder: AutoencoderKLWan, context: RunContext
) -> dict[str, list[float]]:
    """Measure the latents; note the video's in the autoencoder, return the raxels'."""
    video, rays = measure_statistics(autoencoder, posed_clips(context, 64))
    autoencoder.register_to_config(latents_mean=video["mean"], latents_std=video["std"])
    return rays


def _frozen_autoencoder(context: RunContext) -> tuple[AutoencoderKLWan, dict[str, list[float]]]:
    """Load the autoencoder, with its decoder finetuned if that is done, and raxel statistics."""
    run = context.folder
    best = run / "vae-finetuned"
    folder = best if (best / "config.json").exists() else run / "vae"
    if not (folder / "config.json").exists():
        raise InputError(
            f"the autoencoder must be trained before what follows; got no {folder}. "
            "Run the stage autoencoder."
        )
    autoencoder = AutoencoderKLWan.from_pretrained(folder).to(context.accelerator.device).eval()
    autoencoder.requires_grad_(False)
    return autoencoder, json.loads((run / "raxel-statistics.json").read_text())


def _latent_codec(autoencoder: AutoencoderKLWan, rays: dict[str, list[float]]) -> LatentCodec:
    return LatentCodec(autoencoder, raxel_mean=rays["mean"], raxel_std=rays["std"])


def _decoder_stage(context: RunContext) -> None:
    done = context.folder / "vae-finetuned"
    if (done / "config.json").exists():
        return
    autoencoder, _ = _frozen_autoencoder(context)
    config = context.config.autoencoder
    with still_frames(autoencoder):
        finetune_decoder(
            autoencoder,
            posed_clips(context, config.batch_clips),
            config,
            context.folder,
            accelerator=context.accelerator,
            log=context.log,
            seed=context.options.seed,
        )
    if context.accelerator.is_main_process:
        autoencoder.save_pretrained(done)
        context.log("decoder: done")
    context.accelerator.wait_for_everyone()


def _camera_prior_stage(context: RunContext) -> None:
    continue_camera_prior(
        pipeline_with_prior(context.options.init_from, context.folder),
        context.options.export_folder,
        clean_batches(context, _latent_codec(*_frozen_autoencoder(context))),
        context.config.transformer,
        context.folder,
        accelerator=context.accelerator,
        log=context.log,
    )


def _transformer_stage(context: RunContext) -> None:
    config, options, accelerator = context.config, context.options, context.accelerator
    autoencoder, rays = _frozen_autoencoder(context)
    model = _initial_transformer(context)
    torch.nn.Module.to(model, accelerator.device)  # what is fitted is fitted there
    codec = _latent_codec(autoencoder, rays)
    batches = clean_batches(context, codec)
    new = options.init_from is None
    if model.motion_features is not None and not has_state(context.folder):
        if new:
            videos = (video for video, _ in posed_clips(context, 128))
            fit_by_least_squares(
                model, videos, batches, codec=codec, accelerator=accelerator, log=context.log
            )
        if new or "pretrain" in options.minutes:
            pretrain(
                model,
                batches,
                config.transformer,
                context.folder,
                accelerator=accelerator,
                log=context.log,
                seed=options.seed,
                pretrained=not new,
            )
    run = TransformerRun(
        model,
        config.transformer,
        context.folder,
        accelerator=accelerator,
        log=context.log,
        compile_blocks=options.compile_blocks,
    )
    if config.inherits_architecture and options.init_from is not None:
        pipeline = assemble_pipeline(options.init_from, autoencoder, model)
    else:
        pipeline = build_pipeline(config, autoencoder, model, rays)
    clips = check_clips(config) if options.check else None
    check = None if clips is None else lambda _model: check_line(pipeline, clips)
    run.train(batches, seed=own_seed(options.seed, accelerator), check=check)
    _export(context, run, pipeline)


def _initial_transformer(context: RunContext) -> RaysAsPixelsTransformer3DModel:
    """Build the network as it is before the first step: random, or with a pipeline's weights."""
    config, source = context.config, context.options.init_from
    torch.manual_seed(context.options.seed)
    if config.inherits_architecture and source is not None:
        return load_transformer(source)
    model = new_transformer(
        config.transformer.network,
        channels=config.autoencoder.z_dim,
        temporal_stride=config.autoencoder.temporal_stride,
    )
    if source is not None:
        load_transformer_weights(model, source)
    return model


def _export(context: RunContext, run: TransformerRun, pipeline: RaysAsPixelsPipeline) -> None:
    """Write the pipeline with averaged weights, and the plot of the log."""
    options, accelerator = context.options, context.accelerator
    weights = run.averaged()
    if accelerator.is_main_process:
        model = pipeline.transformer
        facts = {
            "config": context.config.name,
            "steps": run.progress.step,
            "clips_seen": run.progress.clips,
            "transformer_minutes": round(run.progress.spent_sec / 60, 1),
            "parameters": sum(math.prod(p.shape) for p in model.parameters()),
            "device": str(accelerator.device),
            "seed": options.seed,
        }
        # Another process may have finetuned the decoder meanwhile; latents are the same either way.
        pipeline.vae.load_state_dict(_frozen_autoencoder(context)[0].state_dict())
        save_pipeline(pipeline, options.export_folder, weights=weights, facts=facts)
        if context.config.inherits_architecture and options.init_from is not None:
            copy_text_encoder(options.init_from, options.export_folder)
        plot_log(context.folder / "log.txt", context.folder / "loss.png")
    accelerator.wait_for_everyone()
