"""What is compared: the default training recipe, and the same with one thing changed."""

from dataclasses import dataclass, replace

from rays_as_pixels.training.config import LossWeights, NetworkSize, TaskShares, TransformerConfig

# The recipe of `mini`, small enough that two CPU cores train all variants in about an hour.
BASE = TransformerConfig(
    network=NetworkSize(num_layers=4),
    tasks=TaskShares(estimate=0.9, generate=0.0, joint=0.1),
    weights=LossWeights(motion_head=0.1, pose=0.0),
    warmup_steps=50,
)


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: Short name, for the command line and folders.
        label: What was changed, in words.
        config: How it is trained.
        representation: How cameras become images, see `representations`.
        dynamic_objects: In the training clips: "random", "none" or "many".
        seed: Of first weights, batches and noise.
    """

    name: str
    label: str
    config: TransformerConfig = BASE
    representation: str = "raxels"
    dynamic_objects: str = "random"
    seed: int = 0


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("default", "default"),
        Variant("default-seed-1", "default, another seed of everything", seed=1),
        Variant(
            "global",
            "one global attention, 6 blocks (as many parameters)",
            replace(BASE, network=replace(BASE.network, attention="global", num_layers=6)),
        ),
        Variant(
            "no-cosine",
            "without the cosine term",
            replace(BASE, weights=replace(BASE.weights, cosine=0.0)),
        ),
        Variant("apart", "directions and origins apart (6 channels)", representation="apart"),
        Variant("plucker", "Plücker rays (6 channels)", representation="plucker"),
        Variant(
            "velocity",
            "rays predicted as velocity",
            replace(BASE, network=replace(BASE.network, ray_prediction="velocity")),
        ),
        Variant(
            "no-motion-head",
            "without the motion and depth head",
            replace(BASE, weights=replace(BASE.weights, motion_head=0.0)),
        ),
        Variant(
            "paper",
            "the paper's loss: velocity, cosine, nothing else",
            replace(
                BASE,
                network=replace(BASE.network, ray_prediction="velocity"),
                weights=LossWeights(relative=0.0, motion_head=0.0, pose=0.0),
            ),
        ),
        Variant("still-worlds", "trained where nothing moves by itself", dynamic_objects="none"),
    )
}
