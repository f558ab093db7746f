"""A bank of procedural textures, built once and reused with random crops, colours and gains.

Families: 1/f noise, dead leaves, Voronoi, stripes, checks, gradients, glyphs, bricks. What matters
for learning geometry is that their statistics are those of natural images (arXiv 2106.05963).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

SIZE = 128  # texels along each side; textures tile
LEVELS = 6  # mip levels: 128 ... 4


def _spectrum_noise(generator: torch.Generator, exponent: float) -> Float[Tensor, "3 n n"]:
    """Noise with amplitude 1/f^exponent; tiles by construction."""
    freq = torch.fft.fftfreq(SIZE)
    radius = (freq[:, None] ** 2 + freq[None] ** 2).sqrt().clamp_min(1 / SIZE)
    phase = torch.randn(3, SIZE, SIZE, generator=generator)
    shared = torch.randn(1, SIZE, SIZE, generator=generator)
    spectrum = torch.fft.fft2(0.5 * phase + shared) / radius**exponent
    return _unit_range(torch.fft.ifft2(spectrum).real)


def _unit_range(image: Float[Tensor, "3 n n"]) -> Float[Tensor, "3 n n"]:
    low = torch.quantile(image.flatten(1), 0.01, dim=1)[:, None, None]
    high = torch.quantile(image.flatten(1), 0.99, dim=1)[:, None, None]
    return ((image - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)


def _wrapped_offsets(
    generator: torch.Generator, count: int
) -> tuple[Float[Tensor, "count n n"], Float[Tensor, "count n n"]]:
    """Offsets (dx, dy) in [-1/2, 1/2) from `count` random points on the torus to every texel."""
    axis = (torch.arange(SIZE) + 0.5) / SIZE
    point = torch.rand(count, 2, generator=generator)
    dx = (axis[None, None, :] - point[:, 0, None, None] + 0.5) % 1 - 0.5
    dy = (axis[None, :, None] - point[:, 1, None, None] + 0.5) % 1 - 0.5
    return dx.expand(-1, SIZE, -1), dy.expand(-1, -1, SIZE)


def _one_over_f(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    exponent = 0.9 + 0.8 * torch.rand((), generator=generator).item()
    return _spectrum_noise(generator, exponent)


def _dead_leaves(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    """Opaque discs and boxes with radii by a 1/r^3 law, each over the last."""
    count = 220
    dx, dy = _wrapped_offsets(generator, count)
    r_min, r_max = 0.02, 0.3
    u = torch.rand(count, generator=generator)
    radius = (r_min**-2 + u * (r_max**-2 - r_min**-2)).rsqrt().flip(0)[:, None, None]
    square = (torch.rand(count, generator=generator) < 0.5)[:, None, None]
    stretch = (0.5 + torch.rand(count, generator=generator))[:, None, None]
    inside = torch.where(
        square,
        torch.maximum(dx.abs() * stretch, dy.abs()) < radius,
        (dx**2 * stretch + dy**2) < radius**2,
    )
    order = torch.arange(1, count + 1)[:, None, None]
    top = (inside * order).amax(0)
    colour = torch.rand(count + 1, 3, generator=generator)
    return colour[top].permute(2, 0, 1)


def _voronoi(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    count = int(torch.randint(12, 90, (), generator=generator))
    dx, dy = _wrapped_offsets(generator, count)
    nearest = (dx**2 + dy**2).topk(2, dim=0, largest=False)
    colour = torch.rand(count, 3, generator=generator)[nearest.indices[0]].permute(2, 0, 1)
    edge = (nearest.values[1].sqrt() - nearest.values[0].sqrt()) * SIZE
    return colour * (0.3 + 0.7 * (edge / 3).clamp(0, 1))


def _waves(generator: torch.Generator, *, hard: bool) -> Float[Tensor, "3 n n"]:
    axis = torch.arange(SIZE) / SIZE * 2 * math.pi
    k = torch.randint(1, 13, (2,), generator=generator)
    k = k * (1 - 2 * torch.randint(0, 2, (2,), generator=generator))
    warp = 0.6 * (_spectrum_noise(generator, 1.8)[0] - 0.5)
    phase = k[0] * axis[None] + k[1] * axis[:, None] * torch.randint(0, 2, (), generator=generator)
    wave = torch.sin(phase + 2 * math.pi * warp * torch.rand((), generator=generator))
    blend = (wave * (8.0 if hard else 1.5)).clamp(-1, 1) * 0.5 + 0.5
    return _two_colours(generator, blend)


def _two_colours(generator: torch.Generator, blend: Float[Tensor, "n n"]) -> Float[Tensor, "3 n n"]:
    a, b = torch.rand(2, 3, 1, 1, generator=generator)
    return a + (b - a) * blend


def _stripes(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    return _waves(generator, hard=bool(torch.rand((), generator=generator) < 0.5))


def _checks(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    cells = int(2 ** torch.randint(2, 5, (), generator=generator))
    index = torch.arange(SIZE) * cells // SIZE
    regular = (index[:, None] + index[None]) % 2
    random_cells = torch.rand(3, cells, cells, generator=generator)[:, index][:, :, index]
    if torch.rand((), generator=generator) < 0.5:
        return random_cells
    return 0.75 * _two_colours(generator, regular.float()) + 0.25 * random_cells


def _gradient(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    smooth = _spectrum_noise(generator, 2.5)
    fine = _spectrum_noise(generator, 1.0)
    return (0.8 * smooth + 0.2 * fine).clamp(0, 1)


def _glyphs(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    """Rows of small random strokes on a plain ground, like print."""
    cell = int(torch.randint(8, 17, (), generator=generator))
    n = SIZE // cell
    ink = torch.rand(n, n, cell, cell, generator=generator)
    columns = torch.rand(n, n, 1, cell, generator=generator) < 0.35
    rows = torch.rand(n, n, cell, 1, generator=generator) < 0.25
    mark = ((columns & (ink < 0.85)) | (rows & (ink < 0.85))).float()
    mark[:, :, :2] = 0
    mark[:, :, :, :2] = 0
    mark = mark * (torch.rand(n, n, 1, 1, generator=generator) < 0.85)
    page = torch.zeros(SIZE, SIZE)
    page[: n * cell, : n * cell] = mark.permute(0, 2, 1, 3).reshape(n * cell, n * cell)
    return _two_colours(generator, page)


def _bricks(generator: torch.Generator) -> Float[Tensor, "3 n n"]:
    rows = int(2 ** torch.randint(2, 5, (), generator=generator))
    columns = max(2, rows // 2)
    y = torch.arange(SIZE) * rows / SIZE
    x = torch.arange(SIZE) * columns / SIZE
    shifted = (x[None] + 0.5 * (y.floor()[:, None] % 2)) % columns
    colour = 0.5 * torch.rand(3, 1, 1, generator=generator) + 0.5 * torch.rand(
        3, rows, columns, generator=generator
    )
    face = colour[:, y.long()[:, None].expand(SIZE, SIZE), shifted.long()]
    joint = ((y[:, None] % 1) < 0.12) | ((shifted % 1) < 0.06)
    grain = 0.3 * (_spectrum_noise(generator, 1.0) - 0.5)
    return torch.where(joint, torch.full_like(face, 0.75), face + grain).clamp(0, 1)


_FAMILIES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "one_over_f": _one_over_f,
    "dead_leaves": _dead_leaves,
    "stripes": _stripes,
    "checks": _checks,
    "gradient": _gradient,
    "glyphs": _glyphs,
    "voronoi": _voronoi,
    "bricks": _bricks,
}
TRAIN_FAMILIES = ("one_over_f", "dead_leaves", "stripes", "checks", "gradient", "glyphs")
HELDOUT_FAMILIES = ("voronoi", "bricks", "one_over_f", "dead_leaves")  # the last two: new seeds


@dataclass(frozen=True)
class TextureBank:
    """All textures with their mip levels, flattened so that one gather reads any texel.

    Attributes:
        texels: (M, 3) uint8 colours of every level of every texture.
        level_start: First row of each mip level; a level holds `count` textures in order.
        count: Number of textures.
        smooth: Indices of textures without sharp detail, for skies.
    """

    texels: UInt8[Tensor, "m 3"]
    level_start: Int[Tensor, "levels"]
    count: int
    smooth: tuple[int, ...]


@lru_cache(maxsize=4)
def texture_bank(split: str, *, count: int = 192, device: str = "cpu") -> TextureBank:
    """Build the bank of a split: `train` and `heldout` share no texture; held-out adds families."""
    names = TRAIN_FAMILIES if split == "train" else HELDOUT_FAMILIES
    images = []
    for index in range(count):
        seed = index + (0 if split == "train" else 10_000_000)
        generator = torch.Generator().manual_seed(seed)
        image = _FAMILIES[names[index % len(names)]](generator)
        if index % 5 == 4:  # two scales in one texture, as in most real surfaces
            image = (0.65 * image + 0.35 * _spectrum_noise(generator, 1.0)).clamp(0, 1)
        images.append(image)
    smooth = tuple(range(count, count + 16))
    for index in smooth:
        generator = torch.Generator().manual_seed(5_000_000 + index + 777 * (split != "train"))
        images.append(_spectrum_noise(generator, 2.0 + torch.rand((), generator=generator).item()))
    level = torch.stack(images)
    rows, starts = [], [0]
    for _ in range(LEVELS):
        texels = (level * 255).round().to(torch.uint8).permute(0, 2, 3, 1).reshape(-1, 3)
        rows.append(texels)
        starts.append(starts[-1] + len(texels))
        level = torch.nn.functional.avg_pool2d(level, 2)
    return TextureBank(
        torch.cat(rows).to(device), torch.tensor(starts[:-1], device=device), len(images), smooth
    )


def sample_texture(
    bank: TextureBank,
    texture: Int[Tensor, "*n"],
    uv: Float[Tensor, "*n 2"],
    level: Float[Tensor, "*n"],
) -> Float[Tensor, "*n 3"]:
    """Read colours in [0, 1], bilinear within the nearest mip level; textures repeat.

    Args:
        bank: The textures.
        texture: Which texture, per sample.
        uv: Position in texels of level 0.
        level: Mip level, log2 of the footprint in texels; clamped to what the bank holds.
    """
    level_index = level.round().clamp(0, LEVELS - 1).to(torch.int64)
    size = SIZE >> level_index
    scaled = uv / (1 << level_index)[..., None] - 0.5
    floor = scaled.floor()
    weight = scaled - floor
    corner = floor.to(torch.int64)
    base = bank.level_start[level_index] + texture * size * size
    mask = (size - 1)[..., None]
    x0y0, x1y1 = corner & mask, (corner + 1) & mask
    top, bottom = base + x0y0[..., 1] * size, base + x1y1[..., 1] * size
    wx, wy = weight[..., :1], weight[..., 1:]

    def texel(row: Tensor) -> Tensor:
        return bank.texels[row].to(torch.float32)

    upper = torch.lerp(texel(top + x0y0[..., 0]), texel(top + x1y1[..., 0]), wx)
    lower = torch.lerp(texel(bottom + x0y0[..., 0]), texel(bottom + x1y1[..., 0]), wx)
    return torch.lerp(upper, lower, wy) / 255
