"""What is to be run: the sizes on which memory depends."""

from dataclasses import dataclass

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, check_frame_count

TASKS = ("estimate", "generate", "imagine", "loop")


@dataclass(frozen=True)
class Workload:
    """What is to be run.

    Attributes:
        task: estimate, generate, imagine or loop.
        frames: Video frames.
        height: Of the video, in pixels; a multiple of 16.
        width: Of the video, in pixels; a multiple of 16.
        seeds: Samples in one pass.
        images: Given images, where the task takes any.
        prompt: Whether a text encoder runs.
    """

    task: str
    frames: int
    height: int
    width: int
    seeds: int = 1
    images: int = 1
    prompt: bool = True

    def check(self, *, temporal_stride: int) -> None:
        """Refuse what no model with an autoencoder of this temporal stride can run.

        Raises:
            InputError: Unknown task, or a count or size that does not fit the autoencoder.
        """
        if self.task not in TASKS:
            raise InputError(
                f"task must be one of {', '.join(TASKS)}; got {self.task!r}. Pick one."
            )
        check_frame_count(self.frames, temporal_stride)
        step = 2 * SPATIAL_STRIDE
        if self.height % step or self.width % step or min(self.height, self.width) < step:
            raise InputError(
                f"height and width must be multiples of {step}; got {self.height} x {self.width}. "
                "Round them."
            )
