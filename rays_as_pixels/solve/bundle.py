"""Cameras of a clip, the depths of patches cut from some of its frames, and a step towards places.

Not in the paper. The normal equations of bundle adjustment (Triggs et al. 2000) for points that are
given by a frame, a place in it and a depth, so that they move with the camera of that frame.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import rotation_from_vector, skew

NEAREST = 0.05  # scene units ahead of a camera


@dataclass(frozen=True)
class BundleState:
    """Cameras of all frames, and how far away is what the patches of some of them show.

    Attributes:
        rotation: (F, 3, 3) world_from_cam; the world's axes are frame 0's.
        center: (F, 3) in scene units.
        zoom: (F,) logarithm of a frame's focal length over frame 0's.
        lens: (2,) log (fx, fy) of frame 0 per root of the image's area.
        anchors: (A,) frames that have patches, frame 0 first.
        log_depth: (A, N) of their patches, in scene units.
    """

    rotation: Float[Tensor, "f 3 3"]
    center: Float[Tensor, "f 3"]
    zoom: Float[Tensor, "f"]
    lens: Float[Tensor, "2"]
    anchors: Tensor
    log_depth: Float[Tensor, "a n"]

    def moved(self, frames: Tensor, lens: Tensor, log_depth: Tensor) -> "BundleState":
        """Return it changed by (F, 7) turn, shift and zoom, the lens by one number, (A, N)."""
        return replace(
            self,
            rotation=rotation_from_vector(frames[:, :3]) @ self.rotation,
            center=self.center + frames[:, 3:6],
            zoom=self.zoom + frames[:, 6],
            lens=self.lens + lens,
            log_depth=self.log_depth + log_depth,
        )

    def focal(self) -> Float[Tensor, "f 2"]:
        """Return focal lengths in roots of the image's area."""
        return (self.lens + self.zoom[:, None]).exp()

    def from_anchors(
        self, place: Float[Tensor, "m 2"], log_depth: Float[Tensor, "a m"]
    ) -> Float[Tensor, "a m 3"]:
        """Return what the anchors show at `place`, from their centres, in the world's axes."""
        ray = place / self.focal()[self.anchors][:, None]
        ray = torch.nn.functional.pad(ray, (0, 1), value=1.0) * log_depth.exp()[..., None]
        return ray @ self.rotation[self.anchors].mT

    def in_frames(self, points: Float[Tensor, "a m 3"]) -> Float[Tensor, "f a m 3"]:
        """Return what `from_anchors` gave in every frame's camera axes."""
        rotation, center = self.rotation, self.center
        turned = torch.einsum("amj,fjk->famk", points, rotation)
        shift = torch.einsum("faj,fjk->fak", center[self.anchors] - center[:, None], rotation)
        return turned + shift[:, :, None]

    def to(self, dtype: torch.dtype) -> "BundleState":
        """Return it in another precision."""
        kept = {k: v.to(dtype) for k, v in vars(self).items() if k != "anchors"}
        return replace(self, **kept)


def reversed_travel(scene: BundleState) -> BundleState:
    """Return a scene that frames can hardly tell from it: travel reversed, near and far swapped.

    Every camera turns so that what is at depth 1 in the middle of frame 0 stays where it is seen.
    With little perspective only the small remainder says which of the two it is (the bas-relief
    ambiguity, Belhumeur et al. 1999; Necker's cube).
    """
    middle = scene.center.new_tensor([0.0, 0.0, 1.0])
    before, after = (
        torch.nn.functional.normalize(middle + sign * scene.center, dim=-1) for sign in (-1, 1)
    )
    axis = torch.linalg.cross(before, after, dim=-1)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (before * after).sum(-1, keepdim=True))
    turn = rotation_from_vector(axis / sine.clamp_min(1e-12) * angle)
    return replace(
        scene,
        rotation=turn @ scene.rotation,
        center=-scene.center,
        log_depth=-scene.log_depth,
    )


@dataclass(frozen=True)
class Places:
    """Errors of patches' places in deviations, and how they change; zero where not to be used.

    Attributes:
        error: (F, A, N, 2).
        by_frame: (F, A, N, 2, 7) change with the frame's numbers, see `BundleState.moved`.
        by_anchor: (F, A, N, 2, 7) change with the anchor's.
        by_lens: (F, A, N, 2) change with the logarithm of all focal lengths.
        by_depth: (F, A, N, 2) change with the logarithm of the patch's depth.
    """

    error: Float[Tensor, "f a n 2"]
    by_frame: Float[Tensor, "f a n 2 7"]
    by_anchor: Float[Tensor, "f a n 2 7"]
    by_lens: Float[Tensor, "f a n 2"]
    by_depth: Float[Tensor, "f a n 2"]


def linearised(
    scene: BundleState,
    place: Float[Tensor, "n 2"],
    error: Float[Tensor, "f a n 2"],
    root: Float[Tensor, "f a n 2 2"],
) -> Places:
    """Return how errors of places change.

    Args:
        scene: In float64.
        place: Of the patches, in roots of the image's area.
        error: Where each frame shows them minus where they are, likewise.
        root: Turns errors into deviations; zero for what is not to be used.
    """
    arm = scene.from_anchors(place, scene.log_depth)  # A N 3
    center, rotation = scene.center, scene.rotation
    from_center = arm + (center[scene.anchors] - center[:, None])[:, :, None]  # F A N 3
    point = scene.in_frames(arm)
    ahead = point[..., 2:].clamp_min(NEAREST)
    image = scene.focal()[:, None, None] * point[..., :2] / ahead
    focal = (scene.focal()[:, None, None] / ahead).expand_as(image)
    projection = torch.cat([torch.diag_embed(focal), -(image / ahead)[..., None]], -1)
    turned = root @ projection @ rotation.mT[:, None, None]  # F A N 2 3, by the world's axes
    image = (root @ image[..., None])[..., 0]
    flat = torch.nn.functional.pad((arm @ rotation[scene.anchors])[..., :2], (0, 1))
    flat = flat @ rotation[scene.anchors].mT
    by_zoom = (turned @ flat[..., None])[..., 0]
    return Places(
        (root @ error[..., None])[..., 0],
        torch.cat([turned @ skew(from_center), -turned, image[..., None]], -1),
        torch.cat([-turned @ skew(arm), turned, -by_zoom[..., None]], -1),
        image - by_zoom,
        (turned @ arm[..., None])[..., 0],
    )


def solved(
    places: Places,
    anchors: Tensor,
    held: Float[Tensor, "f 7"],
    off: tuple[Tensor, Tensor, Tensor],
    *,
    held_lens: float,
    held_depth: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the change (F, 7), (), (A, N) that makes the errors least; frame 0 stays.

    Depths are eliminated first, since each belongs to one patch alone.

    Args:
        places: Errors and their changes.
        anchors: (A,) frames of the patches.
        held: How firmly the guess of each frame is held, one over squared deviations.
        off: How far frames, lens and depths are from the guess already.
        held_lens: As `held`, of the logarithm of all focal lengths.
        held_depth: Of the logarithm of each depth.
    """
    own, there, lens = places.by_frame, places.by_anchor, places.by_lens
    depth, error = places.by_depth, places.error
    count = len(held)
    every = torch.arange(count, device=held.device)
    gram = held.new_zeros(count, 7, count, 7)
    gram[every, :, every] += torch.einsum("fanic,fanid->fcd", own, own)
    gram[anchors, :, anchors] += torch.einsum("fanic,fanid->acd", there, there)
    both = torch.einsum("fanic,fanid->facd", own, there)
    gram[:, :, anchors] += both.transpose(1, 2)
    gram[anchors] += both.permute(1, 3, 0, 2)

    def by_numbers(value: Tensor) -> Tensor:
        found = torch.einsum("fanic,fani->fc", own, value)
        found[anchors] += torch.einsum("fanic,fani->ac", there, value)
        return found.flatten()

    with_depth = torch.einsum("fanic,fani->fcan", own, depth)
    index = torch.arange(len(anchors), device=held.device)
    with_depth[anchors, :, index] += torch.einsum("fanic,fani->acn", there, depth)
    with_depth = torch.cat(
        [with_depth.flatten(0, 1).flatten(1), (lens * depth).sum((0, 3)).flatten()[None]]
    )
    column = torch.cat([by_numbers(lens), lens.square().sum()[None]])
    gram = torch.cat([gram.flatten(2).flatten(0, 1), column[None, :-1]])
    gram = torch.cat([gram, column[:, None]], 1)
    trust = torch.cat([held.flatten(), held.new_tensor([held_lens])])
    moved = torch.cat([off[0].flatten(), off[1][None]])
    slope = torch.cat([by_numbers(error), (lens * error).sum()[None]]) + trust * moved
    depth_gram = depth.square().sum((0, 3)).flatten() + held_depth
    depth_slope = (depth * error).sum((0, 3)).flatten() + off[2].flatten() * held_depth
    part = with_depth / depth_gram
    reduced = (gram + torch.diag(trust) - part @ with_depth.mT)[7:, 7:]
    wanted = (slope - part @ depth_slope)[7:, None]
    change = torch.nn.functional.pad(-torch.linalg.solve_ex(reduced, wanted)[0][:, 0], (7, 0))
    depths = -(depth_slope + change @ with_depth) / depth_gram
    return change[:-1].view(count, 7), change[-1], depths.view(len(anchors), -1)
