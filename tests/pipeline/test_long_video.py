"""Which frames the windows of a long video look at, and the verb that joins them."""

import itertools
import json
import math
from threading import Event

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_video
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.long_video import WindowPlan, estimate_in_windows
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.worlds.long_sequences import render_long_clip


def laid(frames: int, /, *, temporal_stride: int = 4, **plan):
    plan = WindowPlan(**plan)
    return plan.windows(frames, native=9, longest=17, temporal_stride=temporal_stride)


@pytest.mark.parametrize("frames", [9, 10, 33, 34, 100, 300])
def test_every_frame_is_in_a_window_and_neighbours_share_enough(frames):
    for plan in ({}, {"strides": (1,)}):
        found = laid(frames, **plan)
        assert set(range(frames)) == {f for window in found for f in window}
        assert all(len(window) == 9 for window in found)
        fine = [w for w in found if w[-1] - w[0] == 8]
        assert all(len(set(a) & set(b)) >= 4 for a, b in itertools.pairwise(fine))


def test_strides_double_until_one_window_spans_the_video():
    found = laid(300)
    steps = {window[1] - window[0] for window in found}
    assert {1, 2, 4, 8, 16, 32} <= steps
    assert found[-1][0] == 0 and found[-1][-1] == 299


def test_a_video_shorter_than_a_window_gets_smaller_ones():
    assert laid(7, overlap=3)[0] == (0, 1, 2, 3, 4)
    assert laid(7, overlap=3)[1] == (2, 3, 4, 5, 6)
    assert laid(7, temporal_stride=1) == [(0, 1, 2, 3, 4, 5, 6)], "any length fits that codec"


@pytest.mark.parametrize(
    ("frames", "plan", "message"),
    [
        (4, {}, "a video must have 5 to 3000 frames to be estimated in windows; got 4"),
        (4000, {}, "5 to 3000 frames"),
        (100, {"overlap": 9}, "window_overlap must be from 2 to 8 for windows of 9 frames; got 9"),
        (100, {"overlap": 1}, "window_overlap must be from 2 to 8"),
        (100, {"frames": 8}, "multiple of 4 plus 1"),
        (100, {"frames": 21}, "from 5 to 17 for this model; got 21"),
        (100, {"strides": (2, 4)}, "window_strides must hold 1"),
        (100, {"strides": (1, 16)}, "at most 12 for 100 frames"),
    ],
)
def test_plans_that_do_not_fit_are_refused(frames, plan, message):
    with pytest.raises(InputError, match=message):
        laid(frames, **plan)


@pytest.mark.slow
def test_300_noisy_poses_drift_no_more_than_17_and_follow_what_lies_between():
    """Every camera of every window is off by a degree, whatever the window's stride."""
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, 300, dtype=torch.float64)
    turn = torch.stack([0.04 * (60 * t).sin(), 2.5 * t, 0.04 * (75 * t).cos()], -1)  # it shakes
    centre = torch.stack([t, 0.1 * (9 * t).sin(), t**2], -1)
    focal = torch.full((300, 2), 60.0, dtype=torch.float64)
    truth = Cameras(rigid(rotation_from_vector(turn), centre), focal, focal / 2, 64, 64)
    truth = truth.relative_to(0)

    def said(frames: torch.Tensor, _: int) -> Cameras:
        seen = truth[frames[:, 0, 0, 0].long()].relative_to(0)
        pose = seen.world_from_cam.clone()
        noise = math.radians(1 / math.sqrt(3)) * torch.randn(
            len(frames), 3, generator=generator, dtype=torch.float64
        )
        pose[:, :3, :3] = rotation_from_vector(noise) @ pose[:, :3, :3]
        return Cameras(pose, seen.focal_px, seen.center_px, 64, 64)

    video = torch.arange(300.0)[:, None, None, None].expand(300, 3, 1, 1)
    joined = estimate_in_windows(video, laid(300), said).cameras
    few = torch.tensor([round(k * 299 / 16) for k in range(17)])
    seen = Trajectory(said(video[few], 0), 30.0, time_sec=few.double() / 30)
    one_pass = seen.sampled_at(torch.arange(300, dtype=torch.float64) / 30).cameras
    errors = [math.degrees(frame_errors(c, truth).r_err_rad) for c in (joined, one_pass)]
    print(f"mean rotation error: windows {errors[0]:.2f}, one pass {errors[1]:.2f} degrees")
    assert errors[0] < 1.5, "the degree of one camera, and that of the first"
    assert errors[0] < 0.7 * errors[1], "17 samples miss the shake"


def clip(frames: int) -> torch.Tensor:
    """A picture that slides to the left."""
    wide = torch.rand(3, 8, 8 + frames, generator=torch.Generator().manual_seed(0))
    shown = torch.stack([wide[:, :, k : k + 8] for k in range(frames)])
    return torch.nn.functional.interpolate(shown, (32, 32), mode="bilinear")


@pytest.mark.slow
def test_a_long_estimate_has_one_camera_per_frame_and_follows_its_seed(toy):
    plan = WindowPlan(overlap=2)
    out, again = (
        toy.estimate_long(
            clip(11),
            fps=5.0,
            plan=plan,
            options=EstimateOptions(refine=False),
            run=RunOptions(generator=torch.Generator().manual_seed(1)),
        )
        for _ in range(2)
    )
    assert len(out.trajectory) == 11
    cameras, stride = out.trajectory.cameras, toy.codec.temporal_stride
    assert torch.equal(cameras.world_from_cam, again.trajectory.cameras.world_from_cam)
    torch.testing.assert_close(cameras.world_from_cam[0], torch.eye(4).double())
    assert out.pose_std.rotation_rad.shape == out.pose_std.focal_ratio.shape == (11,)
    assert out.windows == len(
        plan.windows(11, native=toy.num_frames, longest=9, temporal_stride=stride)
    )
    assert out.trajectory.times_sec[-1] == pytest.approx(10 / 5)


def test_a_long_estimate_reports_windows_and_can_be_cancelled(toy):
    cancel, seen = Event(), []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append((stage, done))
        if done == 2:
            cancel.set()

    with pytest.raises(Cancelled):
        toy.estimate_long(
            clip(14),
            options=EstimateOptions(refine=False),
            run=RunOptions(progress=progress, cancel=cancel),
        )
    assert seen == [("estimate windows", 0), ("estimate windows", 1), ("estimate windows", 2)]


@pytest.mark.slow
def test_a_shared_focal_length_is_one_for_all_windows(toy):
    stride = toy.codec.temporal_stride
    out = toy.estimate_long(clip(10), options=EstimateOptions(shared_focal=True, refine=False))
    assert out.windows == len(
        WindowPlan().windows(10, native=toy.num_frames, longest=9, temporal_stride=stride)
    )
    focal = out.trajectory.cameras.focal_px
    assert float((focal - focal[0]).abs().max()) < 1e-9


def test_the_command_keeps_every_frame_and_says_how_sure_it_is(tmp_path, capsys, toy_folder):
    write_video(tmp_path / "clip.mp4", clip(10), fps=10)
    words = ["estimate", str(tmp_path / "clip.mp4"), "--model", str(toy_folder)]
    words += ["--frames", "all", "--no-refine"]
    assert main([*words, "--out", str(tmp_path / "out"), "--window-overlap", "3"]) == 0
    said = capsys.readouterr().err
    assert "frames used: 10 of 10" in said
    assert "windows joined" in said
    path = json.loads((tmp_path / "out" / "trajectory.json").read_text())
    assert len(path["frames"]) == 10
    assert [frame["source_frame"] for frame in path["frames"]] == list(range(10))
    assert len(path["extra"]["spread"]["rotation_deg"]) == 10
    assert path["extra"]["window_overlap"] == 3
    assert "plotly" in (tmp_path / "out" / "path.html").read_text()[:200_000].lower()


def test_the_command_refuses_windows_without_a_long_video(tmp_path, capsys, toy_folder):
    write_video(tmp_path / "clip.mp4", clip(5), fps=10)
    words = ["estimate", str(tmp_path / "clip.mp4"), "--model", str(toy_folder)]
    code = main([*words, "--out", str(tmp_path / "out"), "--window-overlap", "3"])
    assert code == 2
    assert "--window-overlap must come with --frames all" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1200)  # about 120 passes of a second each on a slow core
def test_300_rendered_frames_get_300_poses_with_less_drift_than_a_chain():
    """The shipped weights on a view that turns on until nothing of the first frame is left."""
    pipe = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL)
    pipe.set_progress_bar_config(disable=True)
    clip = render_long_clip(0, num_frames=300, height=64, width=64, kind="around")
    seeded = torch.Generator().manual_seed(0)
    found = pipe.estimate_long(
        clip.video, run=RunOptions(generator=seeded, progress=lambda *_: None)
    )
    assert len(found.trajectory) == 300
    few = [round(k * 299 / 16) for k in range(17)]
    path = pipe.estimate(
        clip.video[few], time_sec=torch.tensor(few).double() / 30, run=RunOptions(generator=seeded)
    ).trajectory
    one_pass = path.sampled_at(torch.arange(300, dtype=torch.float64) / 30).cameras
    still = identity_cameras(clip.cameras)
    errors = {
        name: frame_errors(cameras, clip.cameras).r_err_rad * 180 / math.pi
        for name, cameras in (
            ("windows", found.trajectory.cameras),
            ("one pass", one_pass),
            ("identity", still),
        )
    }
    print(errors)
    assert errors["windows"] < errors["one pass"], "what is not seen cannot be estimated"
    assert errors["windows"] < 0.8 * errors["identity"]
