"""How many frames a clip may have, from the autoencoder's temporal stride.

Imports no diffusers: the page and the command line state the rule before any model is loaded.
"""

import json
from pathlib import Path

from rays_as_pixels.errors import InputError

TEMPORAL_STRIDE = 4  # frames that the autoencoder takes at a time, after the first


def clip_lengths(max_frames: int, temporal_stride: int) -> range:
    """Return the frame counts of clips that an autoencoder holds without dropping frames.

    The first frame has a latent frame of its own and every later one stands for `temporal_stride`
    frames, so a clip with one latent frame of motion or more has 1 + k * `temporal_stride` frames,
    k >= 1: any number from 2 where the autoencoder keeps every frame, 5, 9, 13, ... for Wan's.

    Args:
        max_frames: Longest clip, inclusive.
        temporal_stride: Video frames per latent frame, after the first.
    """
    return range(1 + temporal_stride, max_frames + 1, temporal_stride)


def clip_lengths_in_words(allowed: range) -> str:
    """Say which numbers of frames these are, as "2 to 17" or "5, 9, ... or 17"."""
    if len(allowed) == 1 or allowed.step == 1:
        return f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else f"{allowed[0]}"
    if len(allowed) <= 3:
        return f"{', '.join(map(str, allowed[:-1]))} or {allowed[-1]}"
    return f"{allowed[0]}, {allowed[1]}, ... or {allowed[-1]}"


def largest_clip_length(num_frames: int, temporal_stride: int) -> int:
    """Return the largest frame count not above `num_frames` that the autoencoder holds; 1 or more.

    Args:
        num_frames: Frames there are, 1 or more.
        temporal_stride: Video frames per latent frame, after the first.
    """
    return max([1, *clip_lengths(num_frames, temporal_stride)[-1:]])


def check_frame_count(num_frames: int, temporal_stride: int) -> None:
    """Refuse a clip that the autoencoder could hold only by dropping frames; see `clip_lengths`.

    A single image passes.

    Raises:
        InputError: The count is not 1 more than a multiple of `temporal_stride`.
    """
    if num_frames < 1:
        raise InputError(f"num_frames must be 1 or more; got {num_frames}. Use 9 frames.")
    if (num_frames - 1) % temporal_stride:
        fewer = largest_clip_length(num_frames, temporal_stride)
        raise InputError(
            f"num_frames must be a multiple of {temporal_stride} plus 1; got {num_frames}. "
            f"Use {fewer} or {fewer + temporal_stride} frames."
        )


def latent_frames(num_frames: int, temporal_stride: int) -> int:
    """Return T, the latent frames of a clip of `num_frames` video frames."""
    check_frame_count(num_frames, temporal_stride)
    return (num_frames - 1) // temporal_stride + 1


def stored_temporal_stride(model_folder: Path) -> int:
    """Return the temporal stride of a saved pipeline's autoencoder; Wan's where it does not say."""
    config = json.loads((model_folder / "vae" / "config.json").read_text(encoding="utf-8"))
    return int(config.get("scale_factor_temporal", TEMPORAL_STRIDE))
