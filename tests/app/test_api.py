"""The endpoints, through gradio_client and a real (untrained, tiny) pipeline."""

import re
from pathlib import Path

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from waiting import wait_until

from rays_as_pixels.app.examples import find_examples
from rays_as_pixels.app.jobs.input_files import (
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    read_source_clip,
)
from rays_as_pixels.app.page import launch as launching
from rays_as_pixels.app.page import layout
from rays_as_pixels.app.page.launch import LaunchOptions, launch
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.formats.native import read_native
from tests.solve.video.planar_scene import travelling

pytestmark = pytest.mark.filterwarnings("ignore")  # the server runs in this process
DOCS = Path(__file__).resolve().parents[2] / "docs" / "app.md"


@pytest.fixture(scope="module")
def server(pipeline, facts, example_folder, tmp_path_factory):
    examples, options = (
        find_examples(example_folder),
        LaunchOptions(workspace=tmp_path_factory.mktemp("api")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "find_examples", lambda: examples)
        patch.setattr(launching, "EXAMPLES_DIR", example_folder)
        app, manager, url = launch(options, ModelHolder(lambda: pipeline, facts), block=False)
        yield manager, url
        manager.close()
        app.close()


@pytest.fixture
def new_ones(server):
    """A function that lists the jobs of this test."""
    manager, _ = server
    before = {record.id for record in manager.records()}
    return lambda: [record for record in manager.records() if record.id not in before]


def test_the_documented_snippet_runs(server, new_ones, examples, capsys):
    _, url = server
    pattern = r"tested by tests/app/test_api.py -->\n```python\n(.*?)```"
    snippet = re.search(pattern, DOCS.read_text(encoding="utf-8"), re.DOTALL).group(1)
    values = {"address": url, "clip": str(examples[0].clip), "image": str(examples[0].poster)}
    exec(compile(snippet, str(DOCS), "exec"), values)
    assert values["found"]["state"] == "done" and len(values["found"]["trajectory"]["frames"]) == 9
    assert values["video"]["files"]["video"]
    assert [record.state for record in new_ones()] == ["done", "done"]
    assert "video.mp4" in capsys.readouterr().out


def test_a_run_tells_where_it_stands_and_stops_when_told(server, new_ones, examples):
    manager, url = server
    client = Client(url, verbose=False)
    path = client.predict("orbit", 5, 10.0, 64, 48, api_name="/make_path")
    job = client.submit(handle_file(examples[0].poster), path, steps=200, api_name="/generate")

    def stepping() -> bool:
        assert not job.done(), job.outputs()
        return any(item["step"] > 1 for item in job.outputs())

    wait_until(stepping, seen=job.outputs)
    job.cancel()
    (record,) = new_ones()
    assert manager.wait(record.id, timeout_sec=20).state == "cancelled"


def test_the_whole_clip_of_an_estimate_is_filmed_from_elsewhere(server, examples):
    manager, url = server
    client, other = Client(url, verbose=False), Client(url, verbose=False)
    found = client.predict(
        handle_file(examples[0].clip), num_frames=5, extra_frames=False, api_name="/estimate"
    )
    path = found["trajectory"]
    for frame in path["frames"]:
        frame["world_from_cam"][0][3] += 0.1
    video = client.predict(None, path, estimate=found["job"], api_name="/generate")
    folder = manager.folder(video["job"])
    source_clip, target = read_source_clip(folder), read_native(folder / TARGET_TRAJECTORY)
    assert len(source_clip.video) == 5 and target.positions[0, 0] == pytest.approx(0.1)
    assert read_native(folder / SOURCE_TRAJECTORY).positions[0, 0] == 0
    for asked in (client.predict, other.predict):
        image = handle_file(examples[0].poster) if asked == client.predict else None
        words = "must be none where" if image else "in this session"
        with pytest.raises(AppError, match=words):
            asked(image, path, estimate=found["job"], api_name="/generate")


def test_mirrored_copies_give_an_estimate_its_uncertainty(server, examples):
    client = Client(server[1], verbose=False)
    clip = handle_file(examples[0].clip)
    found = client.predict(clip, 5, extra_frames=False, flips=2, api_name="/estimate")
    assert found["settings"]["num_flips"] == 2
    assert len(found["spread"]["rotation_rad"]) == len(found["spread"]["position"]) == 5
    alone = client.predict(clip, 5, extra_frames=False, api_name="/estimate")
    assert alone["spread"] is None


def test_every_frame_gets_a_camera_unless_a_number_is_asked_for(server, tmp_path):
    _, url = server
    frames = torch.from_numpy(travelling(14).frames).movedim(-1, 1).float() / 255
    write_video(tmp_path / "moving.mp4", frames, fps=10.0)
    client = Client(url, verbose=False)
    found = client.predict(handle_file(tmp_path / "moving.mp4"), api_name="/estimate")
    assert len(found["trajectory"]["frames"]) == 14 == len(found["source_frame"])
    assert found["held_out_score"] > 0.6 and found["interpolated"] == [] == found["notes"]
    path = found["trajectory"]
    video = client.predict(None, path, steps=1, estimate=found["job"], api_name="/generate")
    assert len(video["trajectory"]["frames"]) == 9 and "9 of them are used" in video["notes"][0]


def test_bad_input_is_refused_in_one_sentence(server, examples, tmp_path):
    _, url = server
    client = Client(url, verbose=False)
    with pytest.raises(AppError, match="must be one of"):
        client.predict("warp", api_name="/make_path")
    with pytest.raises(AppError, match=r"frames must be 2 to 9; got 10\. Use"):
        client.predict(handle_file(examples[0].clip), num_frames=10, api_name="/estimate")
    with pytest.raises(AppError, match=r"steps must be 1 or more; got 0\. Correct it"):
        client.predict(handle_file(examples[0].clip), num_frames=5, steps=0, api_name="/estimate")
    with pytest.raises(AppError, match=r"flips must be 1, 2 or 4; got 3\. Correct it"):
        client.predict(handle_file(examples[0].clip), num_frames=5, flips=3, api_name="/estimate")
    with pytest.raises(AppError):
        client.predict(
            {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, api_name="/plan_video"
        )
    with pytest.raises(AppError, match="must"):
        client.predict({"frames": []}, api_name="/check_path")
