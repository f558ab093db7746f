"""How good a variant's network is: its paths on held-out worlds, beside its autoencoder's floor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.ablation.representations import RayCodec, raw_latents
from rays_as_pixels.evaluation.baselines.trivial import constant_velocity, identity
from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.evaluation.scores import PathResult, PathScore, score_path, summarise
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.conditioning import condition_on_video
from rays_as_pixels.pipeline.flip_augmentation import AugmentedEstimate, Flip, average_flips
from rays_as_pixels.pipeline.sampler import SamplerOptions, denoise_jointly
from rays_as_pixels.pipeline.schedule import new_scheduler

MAIN = "1 step"  # what barely trained networks do best at
FLOOR = "autoencoder floor"
DYNAMIC_OBJECTS = {"none": "five objects stand still", "many": "the same five move"}
_SWEEP = (1, 2, 4)
_AVERAGED = (4, 8)
_NOISES_PER_WORLD = 100

Rows = dict[str, dict[str, object]]


@dataclass(frozen=True)
class HeldOut:
    """Worlds to score on, and their encoded video.

    Attributes:
        worlds: Clips with known cameras.
        video: (N, C, T, h, w) normalised latents.
    """

    worlds: list[EvalClip]
    video: Float[Tensor, "n c t h w"]

    @classmethod
    @torch.no_grad()
    def rendered(
        cls,
        codec: LatentCodec,
        count: int,
        *,
        num_frames: int,
        size: tuple[int, int],
        dynamic_objects: str,
    ) -> "HeldOut":
        """Render and encode `count` held-out worlds, seeds from 0."""
        worlds = list(
            world_clips(
                count, num_frames=num_frames, sizes=(size,), dynamic_objects=dynamic_objects
            )
        )
        return cls(worlds, torch.cat([codec.encode_video(w.video[None].float()) for w in worlds]))


def cameras_of(
    model: RaysAsPixelsTransformer3DModel,
    rays: RayCodec,
    video: Float[Tensor, "1 c t h w"],
    *,
    steps: int,
    seeds: Sequence[int],
    frames: int,
) -> Cameras:
    """Estimate the cameras (S, F) of one clip, once per noise seed."""
    empty = condition_on_video(video, frames=frames).repeated(len(seeds))
    channels = len(rays.statistics.mean)
    given = replace(empty, rays=empty.rays.new_zeros(len(seeds), channels, *empty.rays.shape[2:]))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    denoised = denoise_jointly(
        model,
        given,
        SamplerOptions(steps, generator=generators),
        scheduler=new_scheduler(),
        ray_scheduler=new_scheduler(),
    )
    return rays.cameras_from_images(denoised.rays)


class _Scores:
    """Scores by what was measured, and one row for each."""

    def __init__(self) -> None:
        self._scores: dict[str, list[PathScore]] = {}

    def add(self, key: str, cameras: Cameras, world: EvalClip, seed: int = 0) -> None:
        answer = PathResult(cameras.to(dtype=torch.float64), 0.0)
        score = score_path(answer, truth_of(world), clip=world.name, seed=seed)
        self._scores.setdefault(key, []).append(score)

    def rows(self, worlds: list[EvalClip]) -> Rows:
        still = [_scored(identity, world) for world in worlds]
        return {key: summarise(scores, still) for key, scores in self._scores.items()}


def truth_of(world: EvalClip) -> Cameras:
    """Return the true cameras (F,) in float64; rendered worlds have them."""
    assert world.cameras is not None
    return world.cameras.to(dtype=torch.float64)


def scored_variant(
    model: RaysAsPixelsTransformer3DModel,
    rays: RayCodec,
    heldout: HeldOut,
    *,
    seeds: int,
    averaged: bool,
) -> Rows:
    """Score a network at 1, 2 and 4 steps, and its autoencoder alone.

    Args:
        model: The network.
        rays: Its representation of cameras.
        heldout: Worlds.
        seeds: Noise seeds per world.
        averaged: Whether to score the mean path of 4 and of 8 seeds too.

    Returns:
        One row per measurement, as `evaluation.scores.summarise`: angles in degrees unless a key
        says otherwise, lengths in scene units.
    """
    scores = _Scores()
    for number, world in enumerate(heldout.worlds):
        video = heldout.video[number : number + 1]
        first, frames = number * _NOISES_PER_WORLD, len(world.video)
        for steps in _SWEEP:
            own = range(first, first + seeds)
            each = cameras_of(model, rays, video, steps=steps, seeds=own, frames=frames)
            for seed in range(seeds):
                scores.add(MAIN if steps == 1 else f"{steps} steps", each[seed], world, seed)
        clip = truth_of(world).to(dtype=torch.float32)[torch.arange(frames)[None]]
        true = raw_latents(rays.codec, rays.representation, clip)
        scores.add(FLOOR, rays.cameras_from_images(rays.statistics.normalise(true))[0], world)
        for count in _AVERAGED if averaged else ():
            own = range(first, first + count)
            each = cameras_of(model, rays, video, steps=1, seeds=own, frames=frames)
            answers = [AugmentedEstimate.of_one_sample(Flip(), each[seed]) for seed in range(count)]
            scores.add(f"mean of {count} seeds", average_flips(answers)[0], world)
    return scores.rows(heldout.worlds)


def scored_dynamic_objects(
    model: RaysAsPixelsTransformer3DModel,
    rays: RayCodec,
    heldout: dict[str, HeldOut],
    *,
    seeds: int,
) -> Rows:
    """Score a network, 1 step, on the same worlds with five objects still and moving."""
    rows: Rows = {}
    for kind, label in DYNAMIC_OBJECTS.items():
        scores = _Scores()
        for number, world in enumerate(heldout[kind].worlds):
            first = number * _NOISES_PER_WORLD
            each = cameras_of(
                model,
                rays,
                heldout[kind].video[number : number + 1],
                steps=1,
                seeds=range(first, first + seeds),
                frames=len(world.video),
            )
            for seed in range(seeds):
                scores.add(label, each[seed], world, seed)
        rows |= scores.rows(heldout[kind].worlds)
    return rows


def _scored(method: Callable[[Cameras], PathResult], world: EvalClip) -> PathScore:
    answer = PathResult(method(truth_of(world)).cameras, 0.0)
    return score_path(answer, truth_of(world), clip=world.name, seed=0)


def baseline_rows(worlds: list[EvalClip]) -> list[dict[str, object]]:
    """Score what looks at nothing."""
    still = [_scored(identity, world) for world in worlds]
    moving = [_scored(constant_velocity, world) for world in worlds]
    label = "constant velocity (given step 0 to 1)"
    return [
        {"id": "identity", "label": "identity", **summarise(still, still)},
        {"id": "constant-velocity", "label": label, **summarise(moving, still)},
    ]
