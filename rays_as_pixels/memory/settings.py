"""The ways to run a model in less memory, from fastest to smallest."""

from dataclasses import dataclass
from enum import StrEnum

import torch

from rays_as_pixels.errors import InputError


class Offload(StrEnum):
    """Where the weights wait while they are not needed; the words of --offload."""

    NONE = "full"  # all on the device
    MODEL = "model-offload"  # one component on the device at a time
    GROUP = "group-offload"  # one transformer block on the device at a time


class VaePieces(StrEnum):
    """How much the autoencoder takes at once; the words of --offload."""

    WHOLE = ""
    SLICES = "slicing"  # one clip or one raxel image at a time: the same numbers
    TILES = "tiling"  # and parts of an image at a time


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
        words = [self.offload.value, "fp8"] if self.fp8 else [self.offload.value]
        if self.fp8 and self.offload is Offload.NONE:
            words = ["fp8"]
        return "+".join([*words, self.vae.value] if self.vae.value else words)


# In the order of preference: what changes no number goes before what changes some, and what is
# faster before what is slower. Tiles change results at their seams, 8-bit weights everywhere.
SETTINGS = tuple(
    MemorySetting(offload, fp8, vae)
    for fp8 in (False, True)
    for pieces in ((VaePieces.WHOLE, VaePieces.SLICES), (VaePieces.TILES,))
    for offload in Offload
    for vae in pieces
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FP8 = torch.float8_e4m3fn
HALF_FROM_PARAMETERS = 500_000_000


def settings_for(device_type: str) -> tuple[MemorySetting, ...]:
    """List the settings that make sense on a kind of device.

    On a CPU there is nowhere to offload to, and 8-bit weights cost time only.
    """
    if device_type == "cuda":
        return SETTINGS
    return tuple(s for s in SETTINGS if s.offload is Offload.NONE and not s.fp8)


def named_setting(name: str, device_type: str) -> MemorySetting:
    """Read a setting's name, its words in any order.

    Raises:
        InputError: No such setting, or none for this kind of device.
    """
    wanted = sorted(name.split("+"))
    found = next((s for s in SETTINGS if sorted(s.name.split("+")) == wanted), None)
    if found is None:
        raise InputError(
            f"--offload must be auto or one of {', '.join(BY_NAME)}; got {name!r}. Use auto to let "
            "the program choose."
        )
    if found not in settings_for(device_type):
        raise InputError(
            f"--offload must suit the device; got {name!r} on {device_type}, where the weights "
            "have nowhere else to go. Use full, full+slicing or full+tiling."
        )
    return found


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
