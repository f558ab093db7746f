"""Train every variant on the same clips for as many steps, and score all on the same worlds."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.ablation.data import (
    batches,
    encode_rays,
    encode_shards,
    read_encoded,
)
from rays_as_pixels.evaluation.ablation.report import Outcome, report
from rays_as_pixels.evaluation.ablation.representations import RayCodec, representation
from rays_as_pixels.evaluation.ablation.score import (
    DYNAMIC_OBJECTS,
    MAIN,
    HeldOut,
    baseline_rows,
    scored_dynamic_objects,
    scored_variant,
)
from rays_as_pixels.evaluation.ablation.variants import VARIANTS, Variant
from rays_as_pixels.files import write_json
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.camera_prior.motion_features import MotionFeatures
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.config import TransformerConfig
from rays_as_pixels.training.data.pool import PoolSpec, build_pool, shard_paths
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.stages.transformer import TransformerRun, new_transformer

Log = Callable[[str], None]
_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class AblationOptions:
    """Sizes of an ablation; the defaults are those of the table in docs/lab/ablations.md.

    Attributes:
        folder: Clips, weights, logs and results; what is there is not done again.
        variants: Names in `VARIANTS`.
        steps: Training steps of each.
        clips: Rendered training clips.
        worlds: Held-out worlds they are scored on.
        size: (height, width) of the clips.
        num_frames: Frames per clip.
        seeds: Noise seeds per world.
    """

    folder: Path
    variants: tuple[str, ...] = tuple(VARIANTS)
    steps: int = 350
    clips: int = 3072
    worlds: int = 64
    size: tuple[int, int] = (48, 48)
    num_frames: int = 9
    seeds: int = 2

    def chosen(self) -> list[Variant]:
        """Return the variants.

        Raises:
            InputError: A name is not known.
        """
        for name in self.variants:
            if name not in VARIANTS:
                raise InputError(
                    f"variants must be of {', '.join(VARIANTS)}; got {name!r}. "
                    "Leave the option out for all."
                )
        return [VARIANTS[name] for name in self.variants]

    def about(self) -> dict[str, object]:
        """Return the sizes, which all results in a folder share."""
        return {k: v for k, v in asdict(self).items() if k not in ("folder", "variants")}


def run_ablation(
    codec: LatentCodec, features: MotionFeatures | None, options: AblationOptions, log: Log
) -> Path:
    """Train and score what is not done yet, then write the tables.

    Args:
        codec: The frozen autoencoder, on the CPU; its latents are what every variant learns from.
        features: How cells move, frozen too and read by every variant; None for none.
        options: Sizes.
        log: Called with one line of text at a time.

    Returns:
        The folder with ablation.json and ablation.md.

    Raises:
        InputError: A variant is not known, or the folder holds results of other sizes.
    """
    variants = options.chosen()
    _check_folder(options)
    heldout = {
        kind: HeldOut.rendered(
            codec,
            options.worlds,
            num_frames=options.num_frames,
            size=options.size,
            dynamic_objects=kind,
        )
        for kind in ("random", *DYNAMIC_OBJECTS)
    }
    outcomes = []
    for variant in variants:
        path = options.folder / variant.name / _OUTCOME
        if not path.exists():
            files = _training_clips(codec, options, variant.dynamic_objects, log)
            start = _Start(codec, features, files, heldout)
            outcome = _trained(start, options, variant, log)
            write_json(path, outcome.to_dict())
            log(f"{variant.name}: {json.dumps(outcome.row)}")
        outcomes.append(Outcome.from_dict(json.loads(path.read_text())))
    baselines = baseline_rows(heldout["random"].worlds)
    report(outcomes, baselines, options.about(), options.folder)
    return options.folder


def _training_clips(
    codec: LatentCodec, options: AblationOptions, dynamic_objects: str, log: Log
) -> list[Path]:
    """Render and encode the training clips of a kind, as far as they are not there yet."""
    name = "" if dynamic_objects == "random" else f"-{dynamic_objects}"
    pool = options.folder / f"pool{name}"
    spec = PoolSpec(
        options.clips, options.num_frames, (options.size,), dynamic_objects=dynamic_objects
    )
    for done, total in build_pool(pool, spec):
        if done % 10 == 0 or done == total:
            log(f"pool{name}: {done} of {total} shards")
    return encode_shards(codec, shard_paths(pool), options.folder / f"latents{name}", log)


def _check_folder(options: AblationOptions) -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "options.json"
    about = json.loads(json.dumps(options.about()))
    if path.exists() and json.loads(path.read_text()) != about:
        raise InputError(
            "the folder must hold an ablation of the same sizes; got one of "
            f"{json.dumps(json.loads(path.read_text()))}. Name another folder with --out."
        )
    write_json(path, about)


@dataclass(frozen=True)
class _Start:
    """What all variants share."""

    codec: LatentCodec
    features: MotionFeatures | None
    files: list[Path]
    heldout: dict[str, HeldOut]


def _trained(start: _Start, options: AblationOptions, variant: Variant, log: Log) -> Outcome:
    """Train one variant and score it."""
    codec, heldout = start.codec, start.heldout
    clips = read_encoded(start.files, height=options.size[0], width=options.size[1])
    kind = representation(variant.representation)
    raw = encode_rays(codec, kind, clips.cameras)
    rays = RayCodec.measured(codec, kind, raw.float())
    normalised = rays.statistics.normalise(raw.float()).half()
    config = replace(variant.config, steps=options.steps)
    folder = options.folder / variant.name
    folder.mkdir(exist_ok=True)
    torch.manual_seed(variant.seed)
    model = new_network(
        config,
        start.features,
        codec=codec,
        channels=clips.latents.shape[1],
        ray_channels=normalised.shape[1],
    )
    run = TransformerRun(
        model,
        config,
        folder,
        accelerator=new_accelerator(),
        log=lambda line: log(f"{variant.name}: {line}"),
    )
    # A continued run draws other batches than those it has seen.
    seed = variant.seed + run.progress.step
    run.train(batches(clips, normalised, config.batch_size, seed=seed), seed=variant.seed)
    model.load_state_dict(run.averaged())
    model.eval()
    rows = scored_variant(
        model, rays, heldout["random"], seeds=options.seeds, averaged=variant.name == "default"
    )
    return Outcome(
        name=variant.name,
        label=variant.label,
        parameters=sum(p.numel() for p in model.parameters()),
        minutes=run.progress.spent_sec / 60,
        clips_seen=run.progress.clips,
        row=rows.pop(MAIN),
        more=rows,
        dynamic_objects=scored_dynamic_objects(model, rays, heldout, seeds=options.seeds),
    )


def new_network(
    config: TransformerConfig,
    features: MotionFeatures | None,
    *,
    codec: LatentCodec,
    channels: int,
    ray_channels: int,
) -> RaysAsPixelsTransformer3DModel:
    """Build an untrained transformer that reads given motion features and has no priors.

    The priors are left out because they would answer in its place.
    """
    width = None if features is None else features.config.width
    model = new_transformer(
        replace(config.network, motion_width=width),
        channels=channels,
        temporal_stride=codec.temporal_stride,
        ray_channels=ray_channels,
        priors=False,
    )
    if features is not None and model.motion_features is not None:
        model.motion_features.load_state_dict(features.state_dict())
        model.motion_features.requires_grad_(False)
    return model
