"""Rounds of the loop: each starts from the last one's video, all are compared with the first."""

import torch

from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.pipeline.loop import LoopStart, loop_rounds
from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions, RunOptions
from rays_as_pixels.trajectories.presets import make_preset


def seeded(number: int) -> RunOptions:
    return RunOptions(generator=torch.Generator().manual_seed(number))


def test_each_round_starts_from_the_video_before_and_is_compared_with_the_first_path(toy):
    reference = torch.rand(5, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    path = make_preset("truck-right", num_frames=5, fps=5, height=40, width=60)
    starts = []

    def generate(start, number):
        starts.append(start)
        how = GenerateOptions(num_inference_steps=1, max_upscale=1)
        return toy.generate(start.image, start.trajectory, options=how, run=seeded(number))

    def estimate(made, number):
        return toy.estimate(made.video, fps=5.0, options=EstimateOptions(1), run=seeded(number))

    start = LoopStart(reference[0], path)
    rounds = list(
        loop_rounds(start, generate, estimate, rounds=2, model_sizes=toy.sizes, reference=reference)
    )
    assert len(rounds) == len(starts) == 2 and starts[0] is start
    first, second = rounds
    assert torch.equal(starts[1].image, first.video[0])
    assert starts[1].trajectory is first.reestimated and starts[1].depth is first.depth
    for one in rounds:
        errors = frame_errors(one.reestimated.cameras, path.cameras)
        assert one.report.rotation_error_rad == errors.r_err_rad
        assert one.report.rotation_error_rad_by_frame[0] == 0
        assert len(one.report.psnr_db_by_frame) == 5
    assert not torch.equal(first.video, second.video)


def test_without_a_reference_only_paths_are_compared(toy):
    path = make_preset("truck-right", num_frames=5, fps=5, height=32, width=32)
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    (only,) = loop_rounds(
        LoopStart(image, path),
        lambda start, _: toy.generate(start.image, start.trajectory, run=seeded(0)),
        lambda made, _: toy.estimate(made.video, run=seeded(0)),
        rounds=1,
        model_sizes=toy.sizes,
    )
    assert only.report.psnr_db is None and only.report.psnr_db_by_frame is None
    assert only.report.translation_error >= 0
