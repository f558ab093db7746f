"""Classical baselines recover a known path, and every failure stays in the table."""

import pytest
import rooms
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines import colmap, opencv
from rays_as_pixels.evaluation.baselines import trivial as baselines
from rays_as_pixels.evaluation.baselines.classical import (
    BaselineEstimate,
    BaselineFailure,
    ClassicalBaseline,
    fill_lost,
    run_baseline,
)
from rays_as_pixels.evaluation.baselines.registry import installed_baselines
from rays_as_pixels.evaluation.tasks.estimate import classical_scores, path_table, score_clip
from tests.optional import BASELINES


def failing(message="no luck"):
    def estimate(video, intrinsics):
        raise BaselineFailure(message)

    return ClassicalBaseline("failing", "torch", False, estimate, "always fails")


@pytest.fixture(scope="module")
def large_clip():
    """Frames large enough for feature matching."""
    return rooms.room_clip(rooms.curved_path(height=240, width=320, focal_px=260.0))


# A pixel is 0.22 degrees; matches are good to a fraction of it, and a chain adds four of them up.
# Without intrinsics the focal length is off by up to half a grid step, which costs as much again.
@pytest.mark.parametrize(
    ("baseline", "slack"), [(opencv.BASELINES[0], 1), (opencv.BASELINES[1], 4)]
)
def test_the_essential_chain_recovers_rotation_direction_and_step_length(
    baseline, slack, large_clip
):
    pytest.importorskip("cv2", reason=BASELINES)
    score = score_clip(run_baseline(baseline, large_clip), large_clip)
    assert score.failure is None
    assert score.pairs.rotation_deg.max() < 0.25 * slack
    assert score.pairs.translation_deg.median() < 1 * slack
    assert score.t_err < 0.0125 * slack, "steps must be chained by length, not be unit steps"
    still = score_clip(baselines.identity(large_clip.cameras), large_clip)
    assert score.pairs.rotation_deg.mean() < still.pairs.rotation_deg.mean() / 5


def test_the_essential_chain_finds_the_focal_length_when_it_is_not_given(large_clip):
    pytest.importorskip("cv2", reason=BASELINES)
    score = score_clip(run_baseline(opencv.BASELINES[1], large_clip), large_clip)
    # The grid is 5 degrees of field of view apart, which is about 9 % of focal length here.
    assert score.focal_error < 0.1


def test_structure_from_motion_recovers_the_path_of_a_room(large_clip):
    pytest.importorskip("pycolmap", reason=BASELINES)
    score = score_clip(run_baseline(colmap.BASELINES[0], large_clip), large_clip)
    assert score.failure is None
    assert score.pairs.rotation_deg.max() < 0.5 and score.pairs.translation_deg.median() < 2


def test_a_blank_video_is_a_counted_failure_of_every_installed_baseline():
    pytest.importorskip("cv2", reason=BASELINES)
    clip = rooms.room_clip(rooms.curved_path())
    blank = type(clip)(
        "blank", torch.full_like(clip.video, 0.5), 10.0, clip.source_frame, clip.cameras
    )
    for baseline in installed_baselines():
        result = run_baseline(baseline, blank)
        assert result.failure is not None, baseline.name
        assert torch.equal(
            result.cameras.world_from_cam[:, :3, 3], torch.zeros(5, 3, dtype=torch.float64)
        )


def test_a_failing_baseline_is_scored_as_identity_and_counted(clip):
    score = classical_scores(failing(), [clip, clip], lambda *_: None)
    still = [score_clip(baselines.identity(clip.cameras), clip)] * 2
    table, records = path_table(
        "estimate",
        "Estimate",
        {"identity": still, "failing": score},
        labels={"identity": "identity", "failing": "failing"},
    )
    row, identity = table.row("failing"), table.row("identity")
    assert row["failures"] == 2 and identity["failures"] == 0
    assert row["rotation_mean_deg"] == pytest.approx(identity["rotation_mean_deg"])
    assert row["auc30"] == 0 and row["clips"] == identity["clips"]
    assert [r["failure"] for r in records if r["row"] == "failing"] == [
        "BaselineFailure: no luck"
    ] * 2
    assert "| failing |" in table.markdown() and "| identity |" in table.markdown()


def test_any_exception_of_a_baseline_is_its_failure_not_ours(clip):
    def broken(video, intrinsics):
        raise RuntimeError("segfault averted")

    result = run_baseline(ClassicalBaseline("broken", "torch", False, broken, ""), clip)
    assert result.failure == "RuntimeError: segfault averted"


def test_single_lost_frames_take_the_nearest_pose_and_make_the_clip_a_failure(clip):
    poses = [None, clip.cameras.world_from_cam[1], None, None, clip.cameras.world_from_cam[4]]
    filled, lost = fill_lost(poses)
    assert lost == 3
    for frame, source in enumerate([1, 1, 1, 4, 4]):
        assert torch.equal(filled[frame], clip.cameras.world_from_cam[source])
    with pytest.raises(BaselineFailure, match="no frame"):
        fill_lost([None, None])
    answer = BaselineEstimate(clip.cameras, lost_frames=2)
    baseline = ClassicalBaseline("lossy", "torch", False, lambda video, intrinsics: answer, "")
    assert run_baseline(baseline, clip).failure == "2 of 5 frames lost"


def test_a_baseline_gets_the_true_intrinsics_only_if_it_says_so(clip):
    given = []

    def spy(video, intrinsics):
        given.append(intrinsics)
        return BaselineEstimate(clip.cameras)

    run_baseline(ClassicalBaseline("blind", "torch", False, spy, ""), clip)
    informed = run_baseline(ClassicalBaseline("informed", "torch", True, spy, ""), clip)
    assert given[0] is None and given[1] is not None
    score = score_clip(informed, clip)
    assert score.to_dict()["focal_error"] is None, "a given focal length is not an estimate"
    assert score.to_dict()["t_err_fixed_scale"] is None, "monocular baselines do not know scale"


def test_no_installed_baseline_is_refused_with_the_remedy():
    missing = ClassicalBaseline("ghost", "no_such_package_here", False, lambda v, k: None, "")
    with pytest.raises(InputError, match="pip install"):
        installed_baselines([missing])
