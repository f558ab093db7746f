"""Rotations as matrices, rotation vectors and unit quaternions (wxyz)."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the matrix [v]x for which [v]x w is the cross product v x w."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotation_from_vector(
    rotation_vector_rad: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch 3 3"]:
    """Rotate by |v| radians about v (Rodrigues). Inverse of `vector_from_rotation`."""
    angle_squared = (rotation_vector_rad**2).sum(-1)[..., None, None]
    small = angle_squared < 1e-8
    safe = torch.where(small, torch.ones_like(angle_squared), angle_squared)
    angle = safe.sqrt()
    # Below 1e-4 rad the series is exact to float64 and avoids 0/0 in value and gradient.
    sine_term = torch.where(small, 1 - angle_squared / 6, angle.sin() / angle)
    cosine_term = torch.where(small, 0.5 - angle_squared / 24, (1 - angle.cos()) / safe)
    cross = skew(rotation_vector_rad)
    eye = torch.eye(3, dtype=cross.dtype, device=cross.device)
    return eye + sine_term * cross + cosine_term * (cross @ cross)


def vector_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return axis times angle, angle in [0, pi] radians. Inverse of `rotation_from_vector`."""
    wxyz = quaternion_wxyz_from_rotation(rotation)
    sine = wxyz[..., 1:].norm(dim=-1, keepdim=True)
    cosine = wxyz[..., :1]  # >= 0 by construction, so the angle is at most pi
    half_angle = torch.atan2(sine, cosine)
    small = sine < 1e-8
    scale = torch.where(small, 2 / cosine, 2 * half_angle / sine.clamp_min(1e-30))
    return scale * wxyz[..., 1:]


def quaternion_wxyz_from_rotation(
    rotation: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch 4"]:
    """Return the unit quaternion (w, x, y, z) with w >= 0.

    Reads the quaternion off the largest of the four squared components, so no branch divides by
    a small number. Inverse of `rotation_from_quaternion_wxyz`.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    zy, xz, yx = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, xz_sum, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    # Row i is 4 q_i q, for i = w, x, y, z.
    rows = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, zy, xz, yx], -1),
            torch.stack([zy, 1 + xx - yy - zz, xy, xz_sum], -1),
            torch.stack([xz, xy, 1 - xx + yy - zz, yz], -1),
            torch.stack([yx, xz_sum, yz, 1 - xx - yy + zz], -1),
        ],
        dim=-2,
    )
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = rows.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    wxyz = torch.nn.functional.normalize(row, dim=-1)
    return torch.where(wxyz[..., :1] < 0, -wxyz, wxyz)


def rotation_from_quaternion_wxyz(wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation of a quaternion (w, x, y, z) of any non-zero length.

    Raises:
        InputError: A quaternion is zero or not finite.
    """
    length = wxyz.norm(dim=-1, keepdim=True)
    if not bool(torch.isfinite(length).all()) or bool((length < 1e-12).any()):
        raise InputError(
            "quaternion must be finite and non-zero; got "
            f"{wxyz.reshape(-1, 4)[0].tolist()} (first of {wxyz.numel() // 4}). "
            "Check the column order: this function reads w first."
        )
    w, x, y, z = (wxyz / length).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotation_angle_rad(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Return the rotation angle in [0, pi] radians, accurate for tiny and for half turns.

    Equals arccos((tr R - 1) / 2), but from atan2: the arccosine loses half the digits near zero.
    """
    sine = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        dim=-1,
    ).norm(dim=-1)
    cosine = rotation.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    return torch.atan2(sine, cosine)


def slerp(
    start: Float[Tensor, "*batch 3 3"],
    end: Float[Tensor, "*batch 3 3"],
    weight: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 3 3"]:
    """Turn from `start` (weight 0) to `end` (weight 1) at constant speed along the shorter arc."""
    step = vector_from_rotation(start.transpose(-1, -2) @ end)
    return start @ rotation_from_vector(weight[..., None] * step)


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation closest to `matrix` in the Frobenius norm (orthogonal Procrustes).

    Raises:
        InputError: The matrix is not finite or has rank below two, so that no single rotation is
            nearest.
    """
    if not bool(torch.isfinite(matrix).all()):
        raise InputError(
            "matrix must be finite for a rotation to be determined; got NaN or infinity. "
            "Look for the frame it came from."
        )
    left, singular, right_t = torch.linalg.svd(matrix)
    tolerance = 1e-10 if matrix.dtype == torch.float64 else 1e-6
    if bool((singular[..., 1] <= tolerance * singular[..., 0].clamp_min(1e-30)).any()):
        raise InputError(
            "matrix must have rank 2 or more for a rotation to be determined; got singular values "
            f"{singular.reshape(-1, 3)[0].tolist()}. Use rays that do not all point the same way."
        )
    sign = torch.det(left @ right_t).sign()
    fix = torch.ones_like(singular)
    fix[..., 2] = sign
    return left @ (fix[..., None] * right_t)
