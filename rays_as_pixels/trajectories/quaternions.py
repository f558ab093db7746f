"""Quaternion curves: sign continuity, slerp without shortcuts, and SQUAD.

The rest of the package turns rotations by matrices; curves need quaternions, because q and -q are
one rotation but lie on different curves.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def continuous_wxyz(wxyz: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """Flip signs so that every quaternion is within a right angle (in 4D) of the one before it.

    The first keeps its sign. At exactly half a turn between neighbours the sign stays.
    """
    if len(wxyz) < 2:
        return wxyz
    flips = torch.where((wxyz[1:] * wxyz[:-1]).sum(-1) < 0, -1.0, 1.0).to(wxyz.dtype)
    sign = torch.cat([flips.new_ones(1), flips.cumprod(0)])
    return sign[:, None] * wxyz


def multiply_wxyz(
    left: Float[Tensor, "*batch 4"], right: Float[Tensor, "*batch 4"]
) -> Float[Tensor, "*batch 4"]:
    """Return the Hamilton product: rotate by `right`, then by `left`."""
    aw, ax, ay, az = left.unbind(-1)
    bw, bx, by, bz = right.unbind(-1)
    product = [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]
    return torch.stack(product, dim=-1)


def conjugate_wxyz(wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 4"]:
    """Return the inverse of a unit quaternion."""
    return wxyz * wxyz.new_tensor([1.0, -1.0, -1.0, -1.0])


def log_wxyz(wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3"]:
    """Return axis times half the rotation angle. Inverse of `exp_wxyz` below half a turn of 4D."""
    vector = wxyz[..., 1:]
    sine = vector.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, wxyz[..., :1])
    small = sine < 1e-12
    return torch.where(small, vector, vector * angle / torch.where(small, 1.0, sine))


def exp_wxyz(half_vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4"]:
    """Return the unit quaternion that turns by 2 |v| radians about v."""
    angle = half_vector.norm(dim=-1, keepdim=True)
    sinc = torch.where(angle < 1e-12, 1.0, angle.sin() / torch.where(angle < 1e-12, 1.0, angle))
    return torch.cat([angle.cos(), sinc * half_vector], dim=-1)


def slerp_wxyz(
    start: Float[Tensor, "*batch 4"],
    end: Float[Tensor, "*batch 4"],
    weight: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 4"]:
    """Walk the great arc from `start` to `end`; no sign is flipped, so the curve cannot jump."""
    step = log_wxyz(multiply_wxyz(conjugate_wxyz(start), end))
    return multiply_wxyz(start, exp_wxyz(weight[..., None] * step))


def squad_wxyz(
    keys: tuple[Tensor, Tensor], controls: tuple[Tensor, Tensor], weight: Float[Tensor, "n"]
) -> Float[Tensor, "n 4"]:
    """Shoemake's spherical quadrangle: from keys[0] to keys[1], leaning towards the controls."""
    chord = slerp_wxyz(*keys, weight)
    bow = slerp_wxyz(*controls, weight)
    return slerp_wxyz(chord, bow, 2 * weight * (1 - weight))
