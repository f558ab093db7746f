"""The ways to run a model in less memory, from fastest to smallest."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from diffusers import AutoencoderKLWan


class Offload(StrEnum):
    """Where the weights wait while they are not needed."""

    NONE = "none"  # all on the device
    MODEL = "model"  # one component on the device at a time
    GROUP = "group"  # one transformer block on the device at a time


class VaePieces(StrEnum):
    """How much the autoencoder takes at once."""

    WHOLE = "whole"
    SLICES = "slices"  # one clip or one raxel image at a time: the same numbers
    TILES = "tiles"  # parts of an image at a time, besides


@dataclass(frozen=True)
class MemorySetting:
    """How to run.

    Attributes:
        offload: What waits in the machine's memory.
        fp8: Whether the transformer's matrices are kept in 8 bits between their uses.
        vae: How much the autoencoder takes at once.
    """

    offload: Offload = Offload.NONE
    fp8: bool = False
    vae: VaePieces = VaePieces.WHOLE

    @property
    def name(self) -> str:
        """The words of --offload that choose it."""
        words = {
            Offload.NONE: ["fp8"] if self.fp8 else ["full"],
            Offload.MODEL: ["model-offload"],
            Offload.GROUP: ["group-offload"],
        }[self.offload]
        if self.fp8 and self.offload is not Offload.NONE:
            words = [*words, "fp8"]
        if self.vae is not VaePieces.WHOLE:
            words = [*words, {VaePieces.SLICES: "slicing", VaePieces.TILES: "tiling"}[self.vae]]
        return "+".join(words)


# In the order of preference: what changes no number goes before what changes some, and what is
# faster before what is slower. Tiles change results at their seams, 8-bit weights everywhere.
SETTINGS = tuple(
    MemorySetting(offload, fp8, vae)
    for fp8, pieces in (
        (False, (VaePieces.WHOLE, VaePieces.SLICES)),
        (False, (VaePieces.TILES,)),
        (True, (VaePieces.WHOLE, VaePieces.SLICES)),
        (True, (VaePieces.TILES,)),
    )
    for offload in Offload
    for vae in pieces
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FP8 = torch.float8_e4m3fn
HALF_FROM_PARAMETERS = 500_000_000


def use_pieces(vae: AutoencoderKLWan, pieces: VaePieces) -> AutoencoderKLWan:
    """Set up an autoencoder for a setting; returns it."""
    if pieces is not VaePieces.WHOLE:
        vae.enable_slicing()
    if pieces is VaePieces.TILES:
        vae.enable_tiling()
    return vae


def choose_dtype(name: str, *, device_type: str, parameters: int) -> torch.dtype:
    """Turn --dtype into the transformer's precision; the autoencoder stays in float32.

    Args:
        name: auto, float32, bfloat16 or float16.
        device_type: cpu, cuda or mps.
        parameters: Of the transformer; auto keeps small ones in float32, and all on a CPU.
    """
    if name != "auto":
        return DTYPES[name]
    large = parameters >= HALF_FROM_PARAMETERS
    return torch.bfloat16 if large and device_type == "cuda" else torch.float32
