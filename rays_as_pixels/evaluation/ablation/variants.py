"""What is compared: the default training recipe, and the same with one thing changed."""

from dataclasses import dataclass, replace

from rays_as_pixels.training.config import TransformerConfig

# The recipe of `mini`, small enough that two CPU cores train all variants in about an hour.
BASE = TransformerConfig(
    num_layers=4,
    estimate_share=0.9,
    generate_share=0.0,
    joint_share=0.1,
    warmup_steps=50,
    motion_head_weight=0.1,
    pose_weight=0.0,
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
            replace(BASE, attention="global", num_layers=6),
        ),
        Variant("no-cosine", "without the cosine term", replace(BASE, cosine_weight=0.0)),
        Variant("apart", "directions and origins apart (6 channels)", representation="apart"),
        Variant("plucker", "Plücker rays (6 channels)", representation="plucker"),
        Variant("velocity", "rays predicted as velocity", replace(BASE, ray_prediction="velocity")),
        Variant(
            "no-motion-head",
            "without the motion and depth head",
            replace(BASE, motion_head_weight=0.0),
        ),
        Variant(
            "paper",
            "the paper's loss: velocity, cosine, nothing else",
            replace(
                BASE,
                ray_prediction="velocity",
                motion_head_weight=0.0,
                pose_weight=0.0,
                relative_weight=0.0,
            ),
        ),
        Variant("still-worlds", "trained where nothing moves by itself", dynamic_objects="none"),
    )
}
