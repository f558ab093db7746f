"""Where context parallelism cuts the token streams and puts them together again.

Every process gets the same share of every image's tokens, so that the noise level of an image still
belongs to a block of neighbouring tokens. Attention between the streams and within each is
exchanged between processes by diffusers; text is not cut.
"""

from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from jaxtyping import Float
from torch import Tensor, nn

_CUT = ContextParallelInput(split_dim=2, expected_dims=4)
_CUT_TABLE = ContextParallelInput(split_dim=2, expected_dims=5)
_JOIN = ContextParallelOutput(gather_dim=2, expected_dims=4)
_ENTRY = {"tokens": _CUT, "cos": _CUT_TABLE, "sin": _CUT_TABLE}
CUTS = {"video_entry": _ENTRY, "ray_entry": _ENTRY}
JOINS = {"proj_out": _JOIN, "ray_proj_out": _JOIN}
CONTEXT_PARALLEL_PLAN = {**CUTS, **JOINS}


class TokenEntry(nn.Module):
    """Lay the tokens of all images in a row. Without parameters: only a place to cut."""

    def forward(
        self,
        tokens: Float[Tensor, "batch s n width"],
        cos: Float[Tensor, "batch s n 1 half"],
        sin: Float[Tensor, "batch s n 1 half"],
    ) -> tuple[Float[Tensor, "batch m width"], Tensor, Tensor]:
        """Return tokens in order of image, then place, and their position tables."""
        return tokens.flatten(1, 2), cos.flatten(1, 2), sin.flatten(1, 2)
