"""The autoencoder floor: what encoding and decoding alone cost, before any network."""

from collections.abc import Sequence

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import PathResult, PathScore, summarise
from rays_as_pixels.evaluation.tables import Column, Row, Table
from rays_as_pixels.evaluation.tasks.estimate import score_clip
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.evaluation.video_scores import VideoScore, score_video, summarise_videos
from rays_as_pixels.geometry.cameras import Cameras

AUTOENCODER_COLUMNS = (
    Column("rotation_mean_deg", "e_R mean [deg]", 3),
    Column("rotation_median_deg", "e_R median [deg]", 3),
    Column("rotation_max_deg", "e_R max [deg]", 3),
    Column("t_err_fixed_scale", "position error mean [scene units]", 4),
    Column("focal_error", "focal mean [%]", 2, percent=True),
    Column("psnr_db", "RGB PSNR mean [dB]", 2),
    Column("psnr_median_db", "RGB PSNR median [dB]", 2),
    Column("ssim", "RGB SSIM", 3),
    Column("failures", "failures"),
    Column("seconds", "s/clip", 2),
)


def autoencoder_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Encode and decode the true raxels and the true video of every clip with known cameras."""
    known = [clip for clip in clips if clip.cameras is not None]
    paths: list[PathScore] = []
    decoded: list[PathScore] = []
    videos: list[VideoScore] = []
    for index, clip in enumerate(known):
        at_size = runner.fitted(clip)
        truth = at_size.trajectory().cameras
        paths.append(score_clip(_through_autoencoder(runner, truth, fit_steps=2), at_size))
        decoded.append(score_clip(_through_autoencoder(runner, truth, fit_steps=0), at_size))
        video, video_seconds = runner.timed(lambda c=at_size: runner.autoencoder_video(c.video))
        videos.append(score_video(video, at_size, seed=0, seconds=video_seconds))
        progress("autoencoder", index + 1, len(known))
    video_summary = summarise_videos(videos)
    pictures = {name: video_summary[name] for name in ("psnr_db", "psnr_median_db", "ssim")}
    rows: list[Row] = [
        {
            **_row("autoencoder_decoded", "encode, decode, read (Eq. 6, 7)", decoded, videos),
            **pictures,
        },
        {**_row("autoencoder", "and fitted to the latents (default)", paths, videos), **pictures},
    ]
    notes = (
        "Floor: true cameras drawn as raxels, encoded and read back from the decoded raxels, or by "
        "fitting cameras whose own encoding matches; true video encoded and decoded (frames after "
        "frame 0). The network's own errors come on top.",
    )
    records: list[Row] = [
        {
            "table": "autoencoder",
            "row": "autoencoder",
            **path.to_dict(),
            "psnr_db": video.to_dict()["psnr_db"],
        }
        for path, video in zip(paths, videos, strict=True)
    ]
    return Table(
        "autoencoder", "Autoencoder floor", AUTOENCODER_COLUMNS, tuple(rows), notes
    ), records


def _through_autoencoder(runner: Runner, truth: Cameras, *, fit_steps: int) -> PathResult:
    try:
        cameras, seconds = runner.timed(
            lambda: runner.autoencoder_cameras(truth, fit_steps=fit_steps)
        )
    except InputError as error:  # for example a path beyond the autoencoder's range
        return PathResult(identity_cameras(truth), 0.0, str(error))
    return PathResult(cameras, seconds)


def _row(row_id: str, label: str, paths: Sequence[PathScore], videos: Sequence[VideoScore]) -> Row:
    return {
        **summarise(paths),
        "id": row_id,
        "label": label,
        "rotation_max_deg": float(torch.cat([p.pairs.rotation_deg for p in paths]).max()),
        "seconds": sum(p.seconds + v.seconds for p, v in zip(paths, videos, strict=True))
        / len(paths),
    }
