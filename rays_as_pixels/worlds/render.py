"""Analytic ray casting of scenes, in torch, the same on a CPU and on a GPU.

Gives colour and depth for every pixel of every frame of a batch of clips. Anti-aliased by
supersampling and by the textures' mip levels. No shadows: Lambert light, ambient and fog-free.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.worlds.scenes import BOX, SPHERE, Scene
from rays_as_pixels.worlds.textures import TextureBank, sample_texture

_FAR = 1e4  # beyond every shell
_NEAR = 1e-3


def _centers(scene: Scene, frames: int) -> Float[Tensor, "batch frames k 3"]:
    """World positions of the primitives at each frame; what moves goes straight over the clip."""
    when = torch.linspace(0, 1, frames, device=scene.center.device)
    return scene.center[:, None] + when[None, :, None, None] * scene.velocity[:, None]


def _box_hit(origin: Tensor, ray: Tensor, *, inside: bool) -> Tensor:
    inverse = 1 / torch.where(ray.abs() < 1e-9, torch.full_like(ray, 1e-9), ray)
    a, b = (-1 - origin) * inverse, (1 - origin) * inverse
    # Unbound axes: a reduction over a last axis of length 3 is several times slower on a CPU.
    x, y, z = torch.minimum(a, b).unbind(-1)
    enter = torch.maximum(torch.maximum(x, y), z)
    x, y, z = torch.maximum(a, b).unbind(-1)
    leave = torch.minimum(torch.minimum(x, y), z)
    if inside:
        return leave
    return torch.where((enter <= leave) & (enter > _NEAR), enter, torch.full_like(enter, _FAR))


def _quadric_hit(origin: Tensor, ray: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Nearer and farther root of |o + t d|^2 = 1 over some axes; both _FAR where it misses."""
    o, d = origin[..., axes], ray[..., axes]
    a = (d * d).sum(-1).clamp_min(1e-12)
    b = (o * d).sum(-1)
    c = (o * o).sum(-1) - 1
    root = b * b - a * c
    far = torch.full_like(a, _FAR)
    root_sqrt = root.clamp_min(0).sqrt()
    return (
        torch.where(root > 0, (-b - root_sqrt) / a, far),
        torch.where(root > 0, (-b + root_sqrt) / a, far),
    )


def _cylinder_hit(origin: Tensor, ray: Tensor) -> Tensor:
    """Unit cylinder around the y axis with caps at y = -1 and 1."""
    far = torch.full_like(ray[..., 0], _FAR)
    side, side_out = _quadric_hit(origin, ray, (0, 2))
    slope = torch.where(ray[..., 1].abs() < 1e-9, torch.full_like(far, 1e-9), ray[..., 1])
    a, b = (-1 - origin[..., 1]) / slope, (1 - origin[..., 1]) / slope
    enter = torch.maximum(side, torch.minimum(a, b))
    leave = torch.minimum(side_out, torch.maximum(a, b))
    return torch.where((side < _FAR) & (enter <= leave) & (enter > _NEAR), enter, far)


def _sphere_hit(origin: Tensor, ray: Tensor) -> Tensor:
    near, _ = _quadric_hit(origin, ray, (0, 1, 2))
    return torch.where(near > _NEAR, near, torch.full_like(near, _FAR))


def _relief_hit(
    scene: Scene, origin: Tensor, ray: Tensor, t: Float[Tensor, "batch frames p"]
) -> Float[Tensor, "batch frames p"]:
    """Move hits on the ground from the flat floor onto its waves (a height field).

    Marches through the slab that holds the waves and closes in on the first crossing by secants.
    """
    height, length = scene.relief[:, 0], scene.relief[:, 1]
    rows = (height > 0).nonzero().squeeze(-1)
    if not len(rows):
        return t
    h, wave = height[rows, None, None], 2 * math.pi / length[rows, None, None]
    floor = (scene.center[rows, 0, 1] + scene.half_extent[rows, 0, 1])[:, None, None]
    o, d = origin[rows], ray[rows]

    def above(t_at: Tensor) -> Tensor:
        x, y, z = (o + t_at[..., None] * d).unbind(-1)
        surface = floor - h + h * torch.sin(wave * x) * torch.sin(0.8 * wave * z + 1.0)
        return surface - y  # positive while the ray is above the ground (+Y is down)

    down = d[..., 1] > 1e-4
    slope = torch.where(down, d[..., 1], torch.ones_like(d[..., 1]))
    start = ((floor - 2 * h - o[..., 1]) / slope).clamp_min(_NEAR)
    end = (floor - o[..., 1]) / slope
    left, right = start, end
    found = torch.zeros_like(down)
    previous = start
    for step in range(1, 9):
        here = start + (end - start) * step / 8
        crossed = (above(here) <= 0) & ~found
        left = torch.where(crossed, previous, left)
        right = torch.where(crossed, here, right)
        found = found | crossed
        previous = here
    for _ in range(5):
        f_left, f_right = above(left), above(right)
        middle = left + (right - left) * (f_left / (f_left - f_right).clamp_min(1e-9)).clamp(
            0.02, 0.98
        )
        below = above(middle) <= 0
        right = torch.where(below, middle, right)
        left = torch.where(below, left, middle)
    hit = torch.where(down & found & (right < t[rows]), right, t[rows])
    return t.index_copy(0, rows, hit)


def trace(
    scene: Scene, cameras: Cameras
) -> tuple[
    Float[Tensor, "batch frames p"],
    Int[Tensor, "batch frames p"],
    Float[Tensor, "batch frames p 3"],
]:
    """Find the nearest hit along the ray of every pixel.

    Returns:
        Distance along rays whose z in camera axes is 1 (so distance is depth), the index of the
        primitive hit, and those rays in world axes. P = height * width.
    """
    frames = cameras.batch_shape[1]
    ray_cam = rays_in_cam(
        cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    ).flatten(-3, -2)
    ray_cam = ray_cam / ray_cam[..., 2:]
    ray = ray_cam @ cameras.world_from_cam[..., :3, :3].transpose(-1, -2)
    eye = cameras.world_from_cam[..., :3, 3]
    centers = _centers(scene, frames)
    nearest = torch.full(ray.shape[:-1], _FAR, device=ray.device)
    which = torch.zeros_like(nearest, dtype=torch.int64)
    for k, shape in enumerate(scene.shape.tolist()):
        linear = scene.local_from_world[:, k]
        local_ray = ray @ linear[:, None].transpose(-1, -2)
        local_eye = (linear[:, None] @ (eye - centers[:, :, k])[..., None]).squeeze(-1)[:, :, None]
        if shape == BOX:
            t = _box_hit(local_eye, local_ray, inside=k == 0)
        elif shape == SPHERE:
            t = _sphere_hit(local_eye, local_ray)
        else:
            t = _cylinder_hit(local_eye, local_ray)
        t = torch.where(scene.present[:, k, None, None], t, torch.full_like(t, _FAR))
        if k == 0:
            t = _relief_hit(scene, eye[:, :, None], ray, t)
        closer = t < nearest
        nearest = torch.where(closer, t, nearest)
        which = torch.where(closer, torch.full_like(which, k), which)
    return nearest, which, ray


def _pick(values: Tensor, which: Int[Tensor, "batch n"]) -> Tensor:
    """Gather per-primitive values (B, K, ...) at hits (B, N)."""
    batch = torch.arange(len(values), device=values.device)[:, None]
    return values[batch, which]


def _face(
    scene: Scene, which: Tensor, local: Float[Tensor, "batch n 3"]
) -> tuple[Float[Tensor, "batch n 3"], Float[Tensor, "batch n 2"]]:
    """Outward normals in local axes and texture coordinates in world units on the faces."""
    shape = scene.shape[which]
    axis = torch.arange(3, device=local.device)
    box_axis = local.abs().argmax(-1)
    box_normal = local.sign() * (axis == box_axis[..., None])
    cap = (local[..., 1].abs() > 0.999)[..., None]
    side = local * local.new_tensor([1.0, 0.0, 1.0])
    rod_normal = torch.where(cap, local.sign() * local.new_tensor([0.0, 1.0, 0.0]), side)
    normal = torch.where((shape == SPHERE)[..., None], local, rod_normal)
    normal = torch.where((shape == BOX)[..., None], box_normal, normal)
    main = normal.abs().argmax(-1)
    scaled = local * _pick(scene.half_extent, which)
    others = torch.tensor([[1, 2], [0, 2], [0, 1]], device=local.device)[main]
    uv = scaled.gather(-1, others)
    face_number = main * 2 + (normal.gather(-1, main[..., None]).squeeze(-1) > 0)
    return normal, uv + face_number[..., None] * 0.37


def shade(
    scene: Scene,
    bank: TextureBank,
    cameras: Cameras,
    traced: tuple[Tensor, Tensor, Tensor],
) -> Float[Tensor, "batch frames p 3"]:
    """Colour every hit: texture, tint, Lambert light; the sky of outdoor scenes is unlit."""
    depth, which, ray = traced
    batch, frames, count = depth.shape
    eye = cameras.world_from_cam[..., :3, 3]
    centers = _centers(scene, frames)
    flat = which.reshape(batch, -1)
    frame_of = torch.arange(frames, device=ray.device).repeat_interleave(count)
    row = torch.arange(batch, device=ray.device)[:, None]
    offset = (eye[:, :, None] + depth[..., None] * ray).reshape(batch, -1, 3) - centers[
        row, frame_of[None], flat
    ]
    linear = _pick(scene.local_from_world, flat)
    local = (linear @ offset[..., None]).squeeze(-1)
    normal_local, uv = _face(scene, flat, local)
    # Normals map by the inverse transpose of world_from_local, which is local_from_world^T.
    normal = (linear.transpose(-1, -2) @ normal_local[..., None]).squeeze(-1)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    normal = torch.where((flat == 0)[..., None], -normal, normal)
    density = _pick(scene.texels_per_unit, flat)
    uv = uv * density[..., None] + _pick(scene.texture_offset, flat)
    flat_ray = ray.reshape(batch, -1, 3)
    slant = (normal * flat_ray).sum(-1).abs() / flat_ray.norm(dim=-1)
    pixel = 1 / cameras.focal_px[..., 0].repeat_interleave(count, dim=1)
    footprint = density * depth.reshape(batch, -1) * pixel / slant.clamp_min(0.2).sqrt()
    colour = sample_texture(bank, _pick(scene.texture, flat), uv, footprint.clamp_min(1e-6).log2())
    colour = colour.gather(-1, _pick(scene.permutation, flat))
    grey = colour.mean(-1, keepdim=True)
    colour = grey + _pick(scene.saturation, flat)[..., None] * (colour - grey)
    lambert = (normal * scene.sun[:, None]).sum(-1).clamp_min(0)
    light = scene.ambient[:, None] + (1 - scene.ambient[:, None]) * lambert
    in_sky = (flat == 0) & scene.outdoor[:, None] & (normal[..., 1] > -0.5)
    colour = torch.where(
        in_sky[..., None],
        0.55 + 0.45 * colour,
        colour * _pick(scene.tint, flat) * light[..., None],
    )
    ground = (flat == 0) & scene.outdoor[:, None] & ~in_sky
    colour = _ground_texture(
        scene, bank, colour, ground=ground, uv=uv, footprint=footprint, light=light
    )
    return colour.reshape(batch, frames, count, 3)


def _ground_texture(
    scene: Scene,
    bank: TextureBank,
    colour: Tensor,
    *,
    ground: Tensor,
    uv: Tensor,
    footprint: Tensor,
    light: Tensor,
) -> Tensor:
    """The outdoor shell's floor has a texture of its own; its walls and ceiling are sky."""
    if not bool(ground.any()):
        return colour
    texture = ((scene.texture[:, 1] * 7 + 3) % (bank.count - len(bank.smooth)))[:, None]
    texel = sample_texture(
        bank, texture.expand(ground.shape), uv * 4, (4 * footprint).clamp_min(1e-6).log2()
    )
    grey = texel.mean(-1, keepdim=True)
    texel = grey + scene.saturation[:, :1, None] * (texel - grey)
    return torch.where(ground[..., None], texel * light[..., None], colour)


def render(
    scene: Scene, bank: TextureBank, cameras: Cameras, *, supersample: int = 2
) -> tuple[
    Float[Tensor, "batch frames 3 height width"], Float[Tensor, "batch frames height width"]
]:
    """Render colour in [0, 1] and depth (z in camera axes, world units) of every frame.

    Depth is the median of the supersamples' depths, so an edge pixel is on one side or the other.
    """
    batch, frames = cameras.batch_shape
    height, width, s = cameras.height, cameras.width, supersample
    fine = cameras.resized(height=height * s, width=width * s)
    traced = trace(scene, fine)
    colour = shade(scene, bank, fine, traced).reshape(batch * frames, height * s, width * s, 3)
    video = torch.nn.functional.avg_pool2d(colour.permute(0, 3, 1, 2), s)
    depth = traced[0].reshape(batch, frames, height, s, width, s).transpose(3, 4).flatten(-2)
    return (
        video.clamp(0, 1).reshape(batch, frames, 3, height, width),
        depth.median(dim=-1).values,
    )
