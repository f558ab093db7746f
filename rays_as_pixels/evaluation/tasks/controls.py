"""Controls: what must hurt if the model really uses what it is given."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.baselines.trivial import identity
from rays_as_pixels.evaluation.clips import SCENE_UNITS, EvalClip
from rays_as_pixels.evaluation.scores import PathScore, score_path
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, path_table, score_clip
from rays_as_pixels.evaluation.tasks.generate import (
    clips_for_video,
    generate_scores,
    reference_scores,
    video_table,
)
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.trajectory import Trajectory

WRONG_FOCAL = 1.4  # a 60 degree field of view taken as 45 degrees

ESTIMATE_LABELS = {
    "model": "ours, frames in order",
    "shuffled_shown": "shuffled frames, against the order shown",
    "shuffled_original": "shuffled frames, against the original order",
    "other_video": "another clip's video",
    "still_video": "first frame repeated, against a still camera",
    "identity": "identity",
    "constant_velocity": "constant velocity (given step 0 to 1)",
    "identity_shuffled": "identity, against the order shown",
}
GENERATE_LABELS = {
    "model": "ours, true rays",
    "zeroed_rays": "zeroed rays: every camera is that of frame 0",
    "wrong_intrinsics": f"wrong intrinsics: focal length x {WRONG_FOCAL:g}",
    "copy_first_frame": "copy first frame",
}


def shuffled_order(num_frames: int, *, seed: int) -> list[int]:
    """Return frame 0 followed by the others in a random order that differs from the true one."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = [0, *(1 + torch.randperm(num_frames - 1, generator=generator)).tolist()]
        if num_frames < 3 or order != list(range(num_frames)):
            return order


def estimate_controls(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Estimate from videos that do not show the true path, beside the true one."""
    clips = [clip for clip in clips if clip.cameras is not None]
    scores: dict[str, list[PathScore]] = {key: [] for key in ESTIMATE_LABELS}
    scores |= baseline_scores(clips)
    for index, clip in enumerate(clips):
        other = clips[(index + 1) % len(clips)]
        for seed in range(runner.settings.seeds):
            for key, score in _controls_of_clip(runner, clip, other, index=index, seed=seed):
                scores[key].append(score)
        progress("controls of estimate", index + 1, len(clips))
    found = {key: value for key, value in scores.items() if value}
    notes = (
        "Shuffled: frame 0 stays first. Against the order shown, a model that reads single frames "
        "loses little and one that leans on smooth motion much; against the original order, and "
        "with another clip's video, everything that the video tells is wrong, so these rows must "
        "be far worse than the first.",
    )
    return path_table(
        "controls_estimate",
        "Controls of estimate",
        found,
        labels=ESTIMATE_LABELS,
        notes=notes,
    )


def _controls_of_clip(
    runner: Runner, clip: EvalClip, other: EvalClip, *, index: int, seed: int
) -> list[tuple[str, PathScore]]:
    truth = clip.trajectory().cameras
    order = shuffled_order(len(clip.video), seed=runner.generator(index, seed).initial_seed())
    shown = truth[torch.tensor(order)]
    still = truth[torch.zeros(len(order), dtype=torch.long)]

    def estimated(video: Float[Tensor, "frames 3 H W"], against: Cameras) -> PathScore:
        result = runner.estimate(video, against, generator=runner.generator(index, seed))
        known = clip.unit == SCENE_UNITS
        cameras = result.cameras.resized(height=against.height, width=against.width)
        result = replace(result, cameras=cameras)
        return score_path(result, against, clip=clip.name, seed=seed, scale_known=known)

    scored = [
        ("model", estimated(clip.video, truth)),
        ("shuffled_shown", estimated(clip.video[order], shown)),
        ("shuffled_original", estimated(clip.video[order], truth)),
        ("still_video", estimated(clip.video[:1].expand_as(clip.video), still)),
    ]
    if other is not clip and len(other.video) == len(clip.video):
        scored.append(("other_video", estimated(other.video, truth)))
    if seed == 0:
        still_score = score_clip(identity(shown), replace(clip, cameras=shown))
        scored.append(("identity_shuffled", still_score))
    return scored


def reference_rays(path: Trajectory) -> Trajectory:
    """Return the path with every camera that of frame 0: rays that carry no motion and no zoom."""
    return replace(path, cameras=path.cameras[torch.zeros(len(path), dtype=torch.long)])


def wrong_focal(path: Trajectory) -> Trajectory:
    """Return the path with every focal length `WRONG_FOCAL` times too long."""
    cameras = replace(path.cameras, focal_px=path.cameras.focal_px * WRONG_FOCAL)
    return replace(path, cameras=cameras)


def generate_controls(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Generate along paths that are not the true one, scored against the true video and path."""
    fitted = clips_for_video(runner, clips, progress)
    steps = runner.settings.default_generate_steps
    copies = reference_scores(runner, fitted, progress, only=("copy_first_frame",))
    scores = {"copy_first_frame": copies["copy_first_frame"]}
    changes = {"model": None, "zeroed_rays": reference_rays, "wrong_intrinsics": wrong_focal}
    for key, change in changes.items():
        label = f"generate, {GENERATE_LABELS[key].split(':')[0]}"
        scores[key] = generate_scores(
            runner, fitted, steps=steps, progress=progress, change=change, label=label
        )
    notes = (
        "All rows are scored against the true video and the true path: if the rays steer the "
        "video, those with other rays must be worse.",
    )
    return video_table(
        "controls_generate", "Controls of generate", scores, labels=GENERATE_LABELS, notes=notes
    )
