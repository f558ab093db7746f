"""Cameras and depths that explain tracks, by Gauss and Newton around a first guess.

Not in the paper. Bundle adjustment (Triggs et al. 2000) whose guess, weights and trust in the guess
a network may tell, as DROID-SLAM (2108.10869) does; here points are the cells of frame 0 and few.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import rotation_from_vector

FRAME_NUMBERS = 7  # rotation (3), centre (3), zoom since frame 0
TRACK_UNIT = 0.004  # roots of the image's area; an error of a track that far counts one
_TRACKS = 30.0  # how many independent tracks a clip's are taken for
_ROBUST = 4.0  # units; an error that far counts half
_NEAREST = 0.05  # scene units
_LIMITS = (0.3,) * 3 + (0.5,) * 3 + (0.3,)  # of one step


@dataclass(frozen=True)
class TrackedScene:
    """Cameras of F frames after frame 0, and what frame 0 shows.

    Attributes:
        rotation: (B, F, 3, 3) world_from_cam; the world's axes are frame 0's.
        center: (B, F, 3) in scene units.
        zoom: (B, F) logarithm of a frame's focal length over frame 0's.
        lens: (B, 2) log (fx, fy) of frame 0 per root of the image's area.
        log_depth: (B, N) of frame 0's cells, in scene units.
    """

    rotation: Float[Tensor, "batch f 3 3"]
    center: Float[Tensor, "batch f 3"]
    zoom: Float[Tensor, "batch f"]
    lens: Float[Tensor, "batch 2"]
    log_depth: Float[Tensor, "batch cells"]

    def moved(self, frames: Tensor, zoom: Tensor, log_depth: Tensor) -> "TrackedScene":
        """Return it changed by (B, F, 7) frame numbers, (B,) of all lenses and (B, N) depths."""
        return TrackedScene(
            rotation_from_vector(frames[..., :3]) @ self.rotation,
            self.center + frames[..., 3:6],
            self.zoom + frames[..., 6],
            self.lens + zoom[:, None],
            self.log_depth + log_depth,
        )

    def in_scene_units(self) -> "TrackedScene":
        """Return it scaled so that the median depth of frame 0 is 1."""
        unit = self.log_depth.median(dim=1).values
        return TrackedScene(
            self.rotation,
            self.center * (-unit).exp()[:, None, None],
            self.zoom,
            self.lens,
            self.log_depth - unit[:, None],
        )

    def points(self, place: Float[Tensor, "cells 2"]) -> Float[Tensor, "batch f cells 3"]:
        """Return what frame 0 shows at `place`, in each frame's camera axes."""
        return (self._world(place) - self.center[:, :, None]) @ self.rotation

    def seen(self, place: Float[Tensor, "cells 2"]) -> Float[Tensor, "batch f cells 2"]:
        """Return where each frame shows what frame 0 shows at `place`."""
        point = self.points(place)
        return self._focal()[:, :, None] * point[..., :2] / point[..., 2:].clamp_min(_NEAREST)

    def _world(self, place: Tensor) -> Float[Tensor, "batch 1 cells 3"]:
        plane = place / self.lens.exp()[:, None]
        ray = torch.nn.functional.pad(plane, (0, 1), value=1.0)
        return (ray * self.log_depth.exp()[..., None])[:, None]

    def _focal(self) -> Float[Tensor, "batch f 2"]:
        return (self.lens[:, None] + self.zoom[..., None]).exp()


@dataclass(frozen=True)
class PriorPrecision:
    """How firmly a guess is held, as one over squared deviations.

    Attributes:
        frames: (B, F, 7) of rotation (1 / rad^2), centre (1 / scene units^2) and zoom.
        lens: (B,) of the logarithm of all focal lengths.
        log_depth: (B, N).
    """

    frames: Float[Tensor, "batch f 7"]
    lens: Float[Tensor, "batch"]
    log_depth: Float[Tensor, "batch cells"]


@dataclass(frozen=True)
class Tracks:
    """Where what frame 0's cells show is seen in the other frames.

    Attributes:
        place: (N, 2) centres of frame 0's cells.
        seen: (B, F, N, 2) places in each frame.
        weight: (B, F, N) of each track; 1 for one that is right to TRACK_UNIT, 0 for one not to be
            used.

    Places are from the image's centre, (x, y) in roots of its area.
    """

    place: Float[Tensor, "cells 2"]
    seen: Float[Tensor, "batch f cells 2"]
    weight: Float[Tensor, "batch f cells"]


def adjusted(
    guess: TrackedScene, trust: PriorPrecision, tracks: Tracks, *, steps: int = 2
) -> TrackedScene:
    """Move a guess towards what tracks say.

    Minimises the weighted squared errors of tracks, robustly, plus the squared change of the guess
    times its trust. All float32.

    Args:
        guess: Where to start.
        trust: In it.
        tracks: What is to be explained.
        steps: Of Gauss and Newton.
    """
    frames, lens, depth = (torch.zeros_like(one) for one in vars(trust).values())
    scene = guess
    limit = tracks.place.new_tensor(_LIMITS)
    for _ in range(steps):
        change = _step(scene, (frames, lens, depth), trust, tracks)
        step = change[0].clamp(-limit, limit), *(one.clamp(-0.5, 0.5) for one in change[1:])
        scene = scene.moved(*step)
        frames, lens, depth = frames + step[0], lens + step[1], depth + step[2]
    return scene


def _step(
    scene: TrackedScene,
    off: tuple[Tensor, Tensor, Tensor],
    trust: PriorPrecision,
    tracks: Tracks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Solve for one step: depths are eliminated first, since each belongs to one cell alone."""
    batch, count = tracks.weight.shape[:2]
    place = tracks.place
    error, by_frame, by_lens, by_depth = _linearised(scene, place, tracks.seen)
    robust = 1 / (1 + error.detach().square().sum(-1) / (_ROBUST * TRACK_UNIT) ** 2)
    scale = _TRACKS / (len(place) * TRACK_UNIT**2)
    weight = (scale * tracks.weight * robust)[..., None]
    # Columns: 7 numbers per frame, then the lens. Rows of a frame touch its own numbers alone.
    frame_w, lens_w = weight[..., None] * by_frame, weight * by_lens
    own = torch.einsum("bfnic,bfnid->bfcd", frame_w, by_frame)
    cross = torch.einsum("bfnic,bfni->bfc", frame_w, by_lens).flatten(1)
    size = 7 * count
    same = torch.eye(count, dtype=place.dtype, device=place.device)
    gram = torch.einsum("bfcd,fg->bfcgd", own, same).reshape(batch, size, size)
    last = (lens_w * by_lens).sum((1, 2, 3))
    gram = torch.cat(
        [
            torch.cat([gram, cross[..., None]], 2),
            torch.cat([cross, last[:, None]], 1)[:, None],
        ],
        dim=1,
    )
    gram = gram + torch.diag_embed(torch.cat([trust.frames.flatten(1), trust.lens[:, None]], 1))
    slope = torch.cat(
        [
            torch.einsum("bfnic,bfni->bfc", frame_w, error).flatten(1),
            (lens_w * error).sum((1, 2, 3))[:, None],
        ],
        dim=1,
    )
    slope = slope + torch.cat(
        [(trust.frames * off[0]).flatten(1), (trust.lens * off[1])[:, None]], 1
    )
    with_depth = torch.cat(
        [
            torch.einsum("bfnic,bfni->bfcn", frame_w, by_depth).flatten(1, 2),
            (lens_w * by_depth).sum((1, 3))[:, None],
        ],
        dim=1,
    )  # batch numbers cells
    depth_gram = (weight * by_depth.square()).sum((1, 3)) + trust.log_depth
    depth_slope = (weight * by_depth * error).sum((1, 3)) + trust.log_depth * off[2]
    part = with_depth / depth_gram[:, None]
    reduced = gram - part @ with_depth.mT
    wanted = slope - (part @ depth_slope[..., None])[..., 0]
    change = -torch.linalg.solve_ex(reduced, wanted[..., None])[0][..., 0]
    depth = -(depth_slope + (change[:, None] @ with_depth)[:, 0]) / depth_gram
    return change[:, :-1].unflatten(1, (count, 7)), change[:, -1], depth


def _linearised(
    scene: TrackedScene, place: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return errors (B, F, N, 2) and their change with frames (..., 7), lens and log depth."""
    in_cam = scene.rotation.mT[:, :, None]  # cam_from_world
    world = scene._world(place)
    from_center = world - scene.center[:, :, None]
    point = from_center @ scene.rotation
    focal = scene._focal()[:, :, None]
    ahead = point[..., 2:].clamp_min(_NEAREST)
    plane = point[..., :2] / ahead
    image = focal * plane
    zero = torch.zeros_like(ahead[..., 0])
    projection = torch.stack(
        [
            torch.stack([focal[..., 0] / ahead[..., 0], zero, -image[..., 0] / ahead[..., 0]], -1),
            torch.stack([zero, focal[..., 1] / ahead[..., 0], -image[..., 1] / ahead[..., 0]], -1),
        ],
        dim=-2,
    )  # ... 2 3
    turned = projection @ in_cam
    # Products of 3-vectors by elements: as batched matrices they take several times as long.
    turning = torch.linalg.cross(turned, from_center[..., None, :], dim=-1)
    by_frame = torch.cat([turning, -turned, image[..., None]], -1)
    by_lens = image - (turned[..., :2] * world[..., None, :2]).sum(-1)
    by_depth = (turned * world[..., None, :]).sum(-1)
    return image - seen, by_frame, by_lens, by_depth
