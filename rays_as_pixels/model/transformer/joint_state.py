"""What the network sees and says: latents of a clip, of its rays and of single images."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

SOURCE, SPARSE_TARGET = 0, 1  # kinds of stills; kind 2 is the video target


@dataclass(frozen=True)
class ReferenceImages:
    """Single images beside the video, anywhere on the clip's time axis.

    Attributes:
        latents: (B, C, S, h, w) image latents, clean for sources, noisy for sparse targets.
        sigma: (B, S) their noise levels.
        ray_latents: (B, C, S, hr, wr) their raxel latents.
        ray_sigma: (B, S) noise levels of those; 1 where the camera is not known.
        frame: (B, S) video frame number each belongs to.
        kind: (B, S) SOURCE or SPARSE_TARGET.
        log_depth: (B, S, height, width) logarithm of how far away what each pixel shows is, in
            scene units along the camera's axis, NaN where not known; None where nowhere.
    """

    latents: Float[Tensor, "batch c s h w"]
    sigma: Float[Tensor, "batch s"]
    ray_latents: Float[Tensor, "batch c s hr wr"]
    ray_sigma: Float[Tensor, "batch s"]
    frame: Float[Tensor, "batch s"]
    kind: Int[Tensor, "batch s"]
    log_depth: Float[Tensor, "batch s height width"] | None = None


@dataclass(frozen=True)
class JointState:
    """Everything the network sees: the clip's latents, its rays' latents, and stills.

    Attributes:
        latents: (B, C, T, h, w) video latents at noise level `sigma`.
        sigma: (B, T) noise level per latent frame, 0 clean to 1 noise.
        ray_latents: (B, C, F, hr, wr) raxel latents at noise level `ray_sigma`.
        ray_sigma: (B, F) noise level per video frame.
        reference_images: Single images, or None.
    """

    latents: Float[Tensor, "batch c t h w"]
    sigma: Float[Tensor, "batch t"]
    ray_latents: Float[Tensor, "batch c frames hr wr"]
    ray_sigma: Float[Tensor, "batch frames"]
    reference_images: ReferenceImages | None = None


@dataclass(frozen=True)
class JointVelocity:
    """d x_t / d t of every latent in a JointState, same shapes."""

    video: Float[Tensor, "batch c t h w"]
    rays: Float[Tensor, "batch c frames hr wr"]
    reference_images: Float[Tensor, "batch c s h w"] | None
    reference_rays: Float[Tensor, "batch c s hr wr"] | None
