"""The table of cameras, what is skipped, what fails, and what a stopped run leaves behind."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from rays_as_pixels.annotate import table
from rays_as_pixels.annotate.job import MOST_ATTEMPTS, Job, Settings, find_videos, open_run
from rays_as_pixels.annotate.on_ray import ray_module
from rays_as_pixels.annotate.run import annotate, choose_runner
from rays_as_pixels.annotate.worker import Annotator
from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import read_clip, write_video
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from tests.solve.video import planar_scene

pytestmark = pytest.mark.filterwarnings("ignore:.torch_dtype. is deprecated:FutureWarning")


@pytest.fixture
def job(videos, toy_folder, tmp_path):
    settings = Settings("toy", "r1", fps=10.0, frames=5, steps=1)
    return Job(str(videos), str(tmp_path / "out"), str(toy_folder), "cpu", settings)


@pytest.fixture
def here():
    """A runner that works in this process, with the list of the videos it worked on."""
    return InThisProcess()


class InThisProcess:
    def __init__(self):
        self.worked = []

    def __call__(self, job, videos, workers):
        annotator = Annotator(job)
        for video in videos:
            self.worked.append(video)
            yield video, annotator.annotate(video)[0]


def rows_of(summary):
    return [row for path in summary.files for row in pq.read_table(path).to_pylist()]


FEW = ["broken.mp4", "video0.mp4"]


@pytest.mark.slow
def test_every_frame_of_every_video_has_a_row_with_the_camera_that_estimate_gives(
    job, here, toy, videos
):
    job = replace(job, settings=replace(job.settings, steps=2, seeds=2))
    summary = annotate(job, ["inner/video5.mp4"], here)
    rows = [row for row in rows_of(summary) if row["video"] == "inner/video5.mp4"]
    frames = {0: [0, 1, 2, 3, 4], 1: [4, 5, 6, 7, 8]}  # the second clip ends with the video
    for clip, wanted in frames.items():
        mine = [row for row in rows if row["clip"] == clip]
        assert [row["source_frame"] for row in mine] == wanted
        assert [row["frame"] for row in mine] == [0, 1, 2, 3, 4]
        found = read_clip(videos / "inner" / "video5.mp4").video[wanted]
        path = toy.estimate(
            found,
            fps=10.0,
            options=EstimateOptions(num_inference_steps=2, num_samples=2),
            run=RunOptions(generator=torch.Generator().manual_seed(0)),
        )
        pose = torch.tensor([row["world_from_cam"] for row in mine]).reshape(5, 4, 4)
        torch.testing.assert_close(
            pose.double(), path.trajectory.cameras.world_from_cam.double(), atol=1e-6, rtol=0
        )
        lens = torch.tensor([[row["fx"], row["fy"], row["cx"], row["cy"]] for row in mine])
        cameras = path.trajectory.cameras
        torch.testing.assert_close(
            lens.double(),
            torch.cat([cameras.focal_px, cameras.center_px], 1).double(),
            rtol=1e-6,
            atol=1e-6,
        )
        assert all(row["std_rotation_rad"] > 0 for row in mine[1:])  # frame 0 is the world
        assert all(row["status"] == "ok" for row in mine)
        times = [0.1 * index for index in wanted]
        assert [row["time_sec"] for row in mine] == pytest.approx(times)
    assert len(rows) == 10
    assert json.loads(rows[0]["settings"])["seeds"] == 2
    assert (rows[0]["model"], rows[0]["revision"]) == ("toy", "r1")


def test_a_video_that_fails_has_one_row_with_its_reason_and_is_listed(job, here, tmp_path):
    summary = annotate(job, FEW, here)
    (row,) = [row for row in rows_of(summary) if row["video"] == "broken.mp4"]
    assert row["status"] == "error"
    assert row["world_from_cam"] is None
    assert "must hold a video" in row["error"]
    assert summary.failures == (("broken.mp4", row["error"]),)
    listed = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert listed == [{"video": "broken.mp4", "error": row["error"]}]


def test_a_second_run_works_on_new_videos_alone(job, here):
    first = annotate(job, FEW, here)
    before = len(rows_of(first))
    here.worked.clear()
    second = annotate(job, [*FEW, "video3.mp4"], here)
    assert here.worked == ["video3.mp4"]
    assert second.skipped == 2
    rows = rows_of(second)
    assert len(rows) == before + 10
    keys = [(row["video"], row["clip"], row["frame"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_failed_videos_are_tried_again_when_asked_to(job, here, videos):
    annotate(job, FEW, here)
    shutil.copy(videos / "video0.mp4", videos / "broken.mp4")
    assert annotate(job, FEW, here).failures != ()
    summary = annotate(job, FEW, here, retry_failed=True)
    assert summary.failures == ()
    rows = [row for row in rows_of(summary) if row["video"] == "broken.mp4"]
    assert [row["status"] for row in rows] == ["ok"] * 10


def test_a_video_on_which_workers_die_again_and_again_becomes_a_failure(job):
    open_run(job)
    for _ in range(MOST_ATTEMPTS):
        job.begin("video1.mp4")
    status, reason = Annotator(job).annotate("video1.mp4")
    assert status == "error"
    assert f"{MOST_ATTEMPTS} workers died on this one" in reason
    assert job.attempts("video1.mp4") == []


@pytest.mark.slow
def test_a_run_stopped_between_collecting_and_tidying_doubles_nothing(job, here, tmp_path):
    annotator = Annotator(job)
    open_run(job)
    for video in ("video0.mp4", "video1.mp4"):
        annotator.annotate(video)
    saved = tmp_path / "saved.parquet"
    shutil.copy(job.part("video0.mp4"), saved)
    table.collect(job)
    shutil.copy(saved, job.part("video0.mp4"))  # as if the run had ended before removing it
    summary = annotate(job, ["video0.mp4", "video1.mp4"], here)
    assert here.worked == []
    assert len(rows_of(summary)) == 20


def test_a_folder_of_another_run_is_refused(job, here):
    annotate(job, ["video0.mp4"], here)
    other = replace(job, settings=replace(job.settings, seed=1))
    with pytest.raises(InputError, match="with seed 0, not 1"):
        annotate(other, ["video0.mp4"], here)


def test_a_video_shorter_than_a_clip_gives_a_shorter_clip_and_one_too_short_a_reason(
    job, here, videos
):
    longer = replace(job, settings=replace(job.settings, frames=13))
    rows = rows_of(annotate(longer, ["video0.mp4"], here))
    assert [row["source_frame"] for row in rows] == list(range(9))
    slow = replace(job, out=job.out + "2", settings=replace(job.settings, fps=2.0))
    (row,) = rows_of(annotate(slow, ["video0.mp4"], here))
    assert "must have 5 frames or more at 2 per second" in row["error"]


def test_a_list_of_videos_may_be_given_in_a_file(videos, tmp_path):
    (tmp_path / "list.txt").write_text("# mine\nvideos/video1.mp4\n\nvideos/video0.mp4\n")
    root, names = find_videos(tmp_path / "list.txt")
    assert names == ["videos/video0.mp4", "videos/video1.mp4"]
    assert (root / names[0]).is_file()


@pytest.mark.parametrize(("package", "function"), [("pyarrow", table.arrow), ("ray", ray_module)])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch, package, function
):
    monkeypatch.setattr(f"{function.__module__}.find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"{package} must be installed.*pip install"):
        function()


@pytest.mark.parametrize("options", [{"address": "auto"}, {"gpus": 0.5}])
def test_options_of_a_cluster_are_refused_for_local_workers(options):
    with pytest.raises(InputError, match="must go with the runner ray"):
        choose_runner("local", **options)


def test_a_source_without_videos_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["annotate", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 2
    assert "SRC must hold a video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_number_of_frames_every_frame_of_each_shot_has_a_row(toy_folder, tmp_path, here):
    first = planar_scene.travelling().frames
    both = np.concatenate([first[:10], first[10:, :, ::-1]])
    (tmp_path / "videos").mkdir()
    video = torch.from_numpy(both).movedim(-1, 1).float() / 255
    write_video(tmp_path / "videos" / "two.mp4", video, fps=8)
    settings = Settings("toy", "r1", fps=None, frames=None)
    job = Job(str(tmp_path / "videos"), str(tmp_path / "out"), str(toy_folder), "cpu", settings)
    rows = rows_of(annotate(job, ["two.mp4"], here))
    assert [row["source_frame"] for row in rows] == list(range(16))
    assert [row["clip"] for row in rows] == [0] * 10 + [1] * 6
    assert [row["time_sec"] for row in rows] == pytest.approx([k / 8 for k in range(16)])
    assert not any(row["interpolated"] for row in rows)
    assert all(row["held_out_score"] > 0.4 for row in rows)
    assert rows[0]["fx"] == pytest.approx(planar_scene.FOCAL_PX, rel=0.05)
    assert rows[5]["std_position"] > 0
