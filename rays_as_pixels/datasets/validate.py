"""Which sequences are fit to learn from: every rule that a broken pose breaks, and its reason.

Rules, by name:

- file: cameras or images cannot be read, do not match, or a pose is no rotation (NaN, scale,
  mirrored); the reader says so with line and column.
- frames: fewer than FEWEST_FRAMES.
- jump: one step is far larger than those around it.
- focal: a field of view, pixel shape or principal point that no camera has, a focal length that
  jumps, or one far from the rest of the data set.
- points: the scene's points are not where the cameras look.
- images: matched points of the images contradict the cameras (needs OpenCV).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.epipolar import Agreement, agreement, check_agreement
from rays_as_pixels.datasets.scale import FEWEST_POINTS
from rays_as_pixels.datasets.sequences import (
    PosedVideo,
    SequenceRef,
    points_in_camera,
    projected,
)
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad

FEWEST_FRAMES = 5
JUMP_FACTOR = 10.0  # times the median of the steps around it
JUMP_EXTENT = 0.1  # share of the path's extent below which no step is a jump
JUMP_RAD = math.radians(15)
MOST_TURN_RAD = math.radians(90)  # between frames, beyond which nothing is seen twice
HFOV_RAD = (math.radians(5), math.radians(150))
PIXEL_SHAPE = 2.0  # fx / fy and its inverse
FOCAL_STEP = 1.25  # ratio from one frame to the next
FOCAL_OUTLIER = 2.5  # ratio to the data set's median
FEWEST_FOR_OUTLIERS = 8  # sequences
POINTS_IN_VIEW = 0.7  # share of observations that fall into the image, in front of the camera
_NEIGHBOURS = 5


@dataclass(frozen=True)
class Refusal:
    """A sequence that is not used.

    Attributes:
        name: Of the sequence.
        rule: See the module.
        reason: One sentence with the value found.
    """

    name: str
    rule: str
    reason: str


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        spec: What was checked.
        kept: Names of the sequences that passed.
        refused: The others; together they are all that were found.
        images: Whether images were compared with cameras.
        agreement: For each sequence compared, how well its images agree with its cameras.
    """

    spec: str
    kept: tuple[str, ...]
    refused: tuple[Refusal, ...]
    images: bool
    agreement: dict[str, Agreement] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return the number of refusals by rule."""
        return dict(Counter(refusal.rule for refusal in self.refused))

    def to_dict(self) -> dict:
        """Return plain values for JSON."""
        return {
            "spec": self.spec,
            "found": len(self.kept) + len(self.refused),
            "images_compared": self.images,
            "kept": list(self.kept),
            "refused": [asdict(refusal) for refusal in self.refused],
            "agreement": {name: asdict(value) for name, value in self.agreement.items()},
        }


class RefusedError(InputError):
    """A sequence breaks a rule; `rule` names it."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def load_checked(ref: SequenceRef) -> PosedVideo:
    """Read a sequence and check its poses, which takes no image.

    Raises:
        RefusedError: It breaks a rule.
    """
    try:
        video = ref.load()
    except RefusedError:
        raise
    except InputError as error:
        raise RefusedError("file", str(error)) from error
    check_video(video)
    return video


def check_video(video: PosedVideo) -> None:
    """Check everything that needs no image.

    Raises:
        RefusedError: A rule is broken.
    """
    if len(video) < FEWEST_FRAMES:
        raise RefusedError(
            "frames",
            f"{video.name} must have {FEWEST_FRAMES} frames or more; got {len(video)}. Leave it "
            "out.",
        )
    _check_steps(video.name, video.cameras)
    _check_focal(video.name, video.cameras)
    _check_points(video)


def _check_steps(name: str, cameras: Cameras) -> None:
    pose = cameras.world_from_cam.double()
    turns = rotation_angle_rad(pose[:-1, :3, :3].transpose(1, 2) @ pose[1:, :3, :3])
    centers = pose[:, :3, 3]
    moves = centers.diff(dim=0).norm(dim=1)
    extent = float((centers - centers.median(dim=0).values).norm(dim=1).max())
    for what, steps, floor, unit, shown in (
        ("move", moves, JUMP_EXTENT * extent, "units", 1.0),
        ("turn", turns, JUMP_RAD, "degrees", math.degrees(1)),
    ):
        usual = _local_median(steps)
        jump = (steps > JUMP_FACTOR * usual) & (steps > max(floor, 1e-12))
        if what == "turn":
            jump |= steps > MOST_TURN_RAD
        if bool(jump.any()):
            at = int(jump.nonzero()[0])
            step, around = float(steps[at]) * shown, float(usual[at]) * shown
            raise RefusedError(
                "jump",
                f"{name}: cameras must {what} steadily; got a step of {step:.3g} {unit} from frame "
                f"{at} to {at + 1}, where {around:.3g} is usual. Cut the sequence there or repair "
                "the pose.",
            )


def _local_median(steps: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return for each step the median of up to ten steps around it, itself left out."""
    usual = []
    for index in range(len(steps)):
        start = max(0, index - _NEIGHBOURS)
        near = torch.cat([steps[start:index], steps[index + 1 : index + 1 + _NEIGHBOURS]])
        usual.append(near.median() if len(near) else steps[index])
    return torch.stack(usual)


def _check_focal(name: str, cameras: Cameras) -> None:
    focal = cameras.focal_px
    hfov = cameras.hfov_rad
    shape = (focal[:, 0] / focal[:, 1]).log().abs()
    center = cameras.center_px / focal.new_tensor([cameras.width, cameras.height])
    steps = (focal[1:] / focal[:-1]).log().abs().amax(dim=1)
    broken = (
        (
            bool(((hfov < HFOV_RAD[0]) | (hfov > HFOV_RAD[1])).any()),
            "a horizontal field of view of 5 to 150 degrees",
            f"{math.degrees(float(hfov.min())):.3g} to {math.degrees(float(hfov.max())):.3g}",
        ),
        (
            bool((shape > math.log(PIXEL_SHAPE)).any()),
            "fx within a factor 2 of fy",
            f"{float(shape.max().exp()):.3g}",
        ),
        (
            bool(((center < 0) | (center > 1)).any()),
            "the principal point inside the image",
            f"{cameras.center_px[int((center - 0.5).abs().amax(1).argmax())].tolist()}",
        ),
        (
            bool((steps > math.log(FOCAL_STEP)).any()),
            f"a focal length that changes by less than a factor {FOCAL_STEP} between frames",
            f"{float(steps.max().exp()):.3g} at frame {int(steps.argmax())}",
        ),
    )
    for is_broken, rule, value in broken:
        if is_broken:
            raise RefusedError(
                "focal", f"{name} must have {rule}; got {value}. Check the intrinsics' unit."
            )


def _check_points(video: PosedVideo) -> None:
    if video.points is None:
        return
    shares = []
    for frame in torch.linspace(0, len(video) - 1, min(16, len(video))).long().tolist():
        seen = video.points.seen_in(frame)
        if len(seen) < FEWEST_POINTS:
            continue
        camera = video.cameras[frame]
        pixel = projected(
            points_in_camera(seen, camera.world_from_cam), camera.focal_px, camera.center_px
        )
        size = pixel.new_tensor([camera.width, camera.height])
        inside = ((pixel > -0.05 * size) & (pixel < 1.05 * size)).all(dim=1)
        shares.append(float(inside.double().mean()))
    if not shares:
        return
    share = sorted(shares)[len(shares) // 2]
    # Without observations most points of a scene may be out of view, but never nearly all.
    least = POINTS_IN_VIEW if video.points.frame is not None else 0.02
    if share < least:
        raise RefusedError(
            "points",
            f"{video.name}: {least:.0%} of the points must lie in view of the cameras; got "
            f"{share:.0%}. An axis of the cameras or of the points is flipped, or they are of two "
            "worlds.",
        )


def check_sequences(
    spec: str,
    refs: Sequence[SequenceRef],
    *,
    images: bool,
    say: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check every sequence; refusals are listed, nothing is dropped unsaid.

    Args:
        spec: What is checked, for the report.
        refs: The sequences.
        images: Whether to compare images with cameras, which needs OpenCV.
        say: Called with (sequences done, of how many).
    """
    refused: dict[str, Refusal] = {}
    focals: dict[str, float] = {}
    agreed: dict[str, Agreement] = {}
    for index, ref in enumerate(refs):
        try:
            video = load_checked(ref)
            if images:
                agreed[ref.name] = agreement(video)
                if problem := check_agreement(video.name, agreed[ref.name]):
                    raise RefusedError("images", problem)
            focals[ref.name] = _mean_log_focal(video.cameras)
        except RefusedError as error:
            refused[ref.name] = Refusal(ref.name, error.rule, str(error))
        except InputError as error:  # an image that cannot be read
            refused[ref.name] = Refusal(ref.name, "file", str(error))
        if say is not None:
            say(index + 1, len(refs))
    refused |= {refusal.name: refusal for refusal in focal_outliers(focals)}
    names = [ref.name for ref in refs]
    return CheckReport(
        spec,
        tuple(name for name in names if name not in refused),
        tuple(refused[name] for name in names if name in refused),
        images,
        agreed,
    )


def _mean_log_focal(cameras: Cameras) -> float:
    """Return the mean log focal length over the square root of the image area."""
    return float(cameras.focal_px.log().mean()) - 0.5 * math.log(cameras.height * cameras.width)


def focal_outliers(log_focals: dict[str, float]) -> list[Refusal]:
    """Refuse sequences whose focal length is far from the median of a data set.

    Args:
        log_focals: By name, the log of focal length over the square root of the image area.
    """
    if len(log_focals) < FEWEST_FOR_OUTLIERS:
        return []
    median = float(torch.tensor(list(log_focals.values()), dtype=torch.float64).median())
    return [
        Refusal(
            name,
            "focal",
            f"{name} must have a focal length within a factor {FOCAL_OUTLIER} of the data set's "
            f"median; got {math.exp(value - median):.3g} times it. Check its intrinsics' unit.",
        )
        for name, value in log_focals.items()
        if abs(value - median) > math.log(FOCAL_OUTLIER)
    ]
