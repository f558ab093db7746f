"""Scores of one generated video against the true one, and their summary."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.covisibility import seen_by_reference
from rays_as_pixels.evaluation.scores import PathScore, mean, median, plain
from rays_as_pixels.evaluation.tables import Column
from rays_as_pixels.media import video_metrics

PSNR_CAP_DB = 60.0  # 8-bit rounding alone is at 58.9 dB; keeps means finite on exact copies
MIN_SEEN = 0.01  # a frame of which the source saw less is not judged on seen pixels


@dataclass(frozen=True)
class VideoScore:
    """One method on one clip with one seed, frame 0 (the given image) left out.

    Attributes:
        clip: Name.
        seed: Noise seed.
        psnr_db: Mean over frames, all pixels, at most `PSNR_CAP_DB`.
        ssim: Mean over frames, all pixels.
        psnr_seen_db: The same on pixels that frame 0 saw; NaN without depth.
        ssim_seen: The same.
        seen: Mean share of pixels that frame 0 saw; NaN without depth.
        change: Mean absolute difference of the last frame from frame 0; 0 is a frozen video.
        path: The path estimated from the video against the asked one; None if not estimated.
        seconds: Wall time.
        failure: Why there is no video, or None.
    """

    clip: str
    seed: int
    psnr_db: float
    ssim: float
    psnr_seen_db: float
    ssim_seen: float
    seen: float
    change: float
    path: PathScore | None
    seconds: float
    failure: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers for JSON."""
        names = ("psnr_db", "ssim", "psnr_seen_db", "ssim_seen", "seen", "change", "seconds")
        path = self.path.to_dict() if self.path is not None else {}
        return {
            "clip": self.clip,
            "seed": self.seed,
            **{name: plain(getattr(self, name)) for name in names},
            "path_rotation_mean_deg": path.get("rotation_mean_deg"),
            "path_r_err_rad": path.get("r_err_rad"),
            "path_t_err": path.get("t_err"),
            "failure": self.failure,
        }


def score_video(
    video: Float[Tensor, "frames 3 H W"],
    clip: EvalClip,
    *,
    seed: int,
    seconds: float,
    path: PathScore | None = None,
    failure: str | None = None,
) -> VideoScore:
    """Compare a video with a clip of the same size, frames 1 to F - 1.

    Args:
        video: What was made, in [0, 1].
        clip: The truth; with depth and cameras also the pixels that frame 0 saw.
        seed: Noise seed.
        seconds: Wall time.
        path: Score of the path that the video shows.
        failure: Why the video is a stand-in, or None.
    """
    made, true = video[1:], clip.video[1:]
    psnr_seen = ssim_seen = seen = math.nan
    if clip.depth is not None and clip.cameras is not None:
        mask = seen_by_reference(clip.depth, clip.cameras)[1:]
        share = mask.double().mean((-2, -1))
        seen = float(share.mean())
        judged = share >= MIN_SEEN
        if bool(judged.any()):
            psnr_seen = _capped(video_metrics.psnr_db(made, true, mask=mask)[judged])
            ssim_seen = mean(video_metrics.ssim(made, true, mask=mask)[judged])
    return VideoScore(
        clip=clip.name,
        seed=seed,
        psnr_db=_capped(video_metrics.psnr_db(made, true)),
        ssim=mean(video_metrics.ssim(made, true)),
        psnr_seen_db=psnr_seen,
        ssim_seen=ssim_seen,
        seen=seen,
        change=float((video[-1] - video[0]).abs().mean()),
        path=path,
        seconds=seconds,
        failure=failure,
    )


def _capped(psnr_db: Tensor) -> float:
    return float(psnr_db.clamp(max=PSNR_CAP_DB).mean())


def summarise_videos(scores: Sequence[VideoScore]) -> dict[str, object]:
    """Put many clips and seeds into one row; means over clips and seeds, and medians."""

    def values(number: Callable[[VideoScore], float]) -> Tensor:
        return torch.tensor([number(score) for score in scores], dtype=torch.float64)

    paths = [score.path for score in scores if score.path is not None]
    angle = torch.cat([p.pairs.rotation_deg for p in paths]) if paths else torch.zeros(0)
    t_err = torch.tensor([path.t_err for path in paths], dtype=torch.float64)
    r_err = torch.tensor([path.r_err_rad for path in paths], dtype=torch.float64)
    return {
        "clips": len({score.clip for score in scores}),
        "seeds": len({score.seed for score in scores}),
        "psnr_db": plain(mean(values(lambda s: s.psnr_db))),
        "psnr_median_db": plain(median(values(lambda s: s.psnr_db))),
        "ssim": plain(mean(values(lambda s: s.ssim))),
        "psnr_seen_db": plain(mean(values(lambda s: s.psnr_seen_db))),
        "ssim_seen": plain(mean(values(lambda s: s.ssim_seen))),
        "seen": plain(mean(values(lambda s: s.seen))),
        "change": plain(mean(values(lambda s: s.change))),
        "path_rotation_mean_deg": plain(mean(angle)),
        "path_rotation_median_deg": plain(median(angle)),
        "path_r_err_rad": plain(mean(r_err)),
        "path_t_err": plain(mean(t_err)),
        "path_t_err_median": plain(median(t_err)),
        "failures": sum(score.failure is not None for score in scores),
        "seconds": plain(mean(values(lambda s: s.seconds))),
    }


VIDEO_COLUMNS = (
    Column("psnr_db", "PSNR mean [dB]", 2),
    Column("psnr_median_db", "PSNR median [dB]", 2),
    Column("ssim", "SSIM", 3),
    Column("psnr_seen_db", "PSNR seen [dB]", 2),
    Column("ssim_seen", "SSIM seen", 3),
    Column("change", "change, last to first", 3),
    Column("path_rotation_mean_deg", "path e_R mean [deg]", 2),
    Column("path_rotation_median_deg", "path e_R median [deg]", 2),
    Column("path_r_err_rad", "path R_err [rad]", 4),
    Column("path_t_err", "path T_err mean", 4),
    Column("path_t_err_median", "path T_err median", 4),
    Column("failures", "failures"),
    Column("seconds", "s/clip", 2),
)

VIDEO_NOTES = (
    "PSNR and SSIM: frames after the given first image, at the model's size; 'seen' counts only "
    "pixels whose surface the first frame saw (true depth; rendered worlds only). PSNR is capped "
    f"at {PSNR_CAP_DB:g} dB so that exact copies keep means finite.",
    "Path: the path estimated from the made video against the asked one; the row 'true video' "
    "shows what the estimator alone gets wrong.",
)
