"""The app's one pipeline: loaded in the background, shared by all jobs, described for people."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.model.clip_lengths import clip_lengths, largest_clip_length

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline


@dataclass(frozen=True)
class ModelFacts:
    """What the page says about the model.

    Attributes:
        name: Of the model.
        device: What it runs on.
        trained_on: In a few words; "" if its folder does not say.
        num_frames: Clip length it was trained at.
        max_frames: Longest clip it takes.
        temporal_stride: Video frames per latent frame of its autoencoder, after the first.
        camera_prior: Whether a camera prior answers estimates, which takes no noise and no steps.
    """

    name: str
    device: str
    trained_on: str = ""
    num_frames: int = 9
    max_frames: int = 17
    temporal_stride: int = 1
    camera_prior: bool = False

    @property
    def clip_lengths(self) -> range:
        """Numbers of frames that the model takes."""
        return clip_lengths(self.max_frames, self.temporal_stride)

    def fitted(self, path: Trajectory) -> Trajectory:
        """Return a path with a number of frames that the model takes, evenly spaced in time.

        One that is shorter than any of these stays as it is.
        """
        lengths = self.clip_lengths
        if len(path) < lengths[0] or len(path) in lengths:
            return path
        most = min(len(path), lengths[-1])
        return path.resampled(largest_clip_length(most, self.temporal_stride))


class ModelHolder:
    """Loads the pipeline once, when first asked for or in the background.

    Args:
        load: Gives the pipeline on its device; raises InputError with a remedy if it cannot.
        facts: What to say about it.
    """

    def __init__(self, load: "Callable[[], RaysAsPixelsPipeline]", facts: ModelFacts) -> None:
        self.facts = facts
        self._load = load
        self._lock = threading.Lock()
        self._pipeline: RaysAsPixelsPipeline | None = None
        self._problem: InputError | None = None

    @property
    def ready(self) -> "RaysAsPixelsPipeline | None":
        """The pipeline if it is loaded, without waiting."""
        return self._pipeline

    @property
    def problem(self) -> str:
        """Why the last attempt to load failed, with the remedy; "" if none did."""
        return "" if self._problem is None else str(self._problem)

    def get(self) -> "RaysAsPixelsPipeline":
        """Return the pipeline, loading it if need be; a failed attempt is made again.

        Raises:
            InputError: It cannot be loaded.
        """
        with self._lock:
            if self._pipeline is None:
                try:
                    self._pipeline = self._load()
                    self._problem = None
                except InputError as error:
                    self._problem = error
                    raise
            return self._pipeline

    def start_loading(self) -> threading.Thread:
        """Load in the background; a problem is kept for the status line."""
        thread = threading.Thread(target=self._try, name="load model", daemon=True)
        thread.start()
        return thread

    def _try(self) -> None:
        try:
            self.get()
        except InputError:
            return  # kept in self._problem, and raised again by the first job that needs it
        except Exception as error:  # a thread's exception would reach nobody
            self._problem = InputError(
                f"the model must load; got {type(error).__name__}: {error}. "
                "Start the app with --debug and report what it prints."
            )
