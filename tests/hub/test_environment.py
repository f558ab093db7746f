"""The Hub as a user meets it: through the command line and the variables of the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from server import REPOSITORY, TOKEN

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "assets" / "examples" / "1-orbit" / "clip.mp4"
GENERIC = """
from diffusers import DiffusionPipeline
try:
    DiffusionPipeline.from_pretrained("someone/pushed")
except ValueError as error:
    assert "trust_remote_code=True" in str(error), error
pipeline = DiffusionPipeline.from_pretrained("someone/pushed", trust_remote_code=True)
print(type(pipeline).__module__, type(pipeline).__name__, pipeline.num_frames)
"""


@pytest.fixture
def run(hub, tmp_path):
    """Run Python with a fresh cache and the Hub of the test; more variables by name."""

    def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            "PYTHONPATH": str(ROOT),
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return subprocess.run(
            [sys.executable, *arguments],
            env=kept | own | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return start


def estimate(*words: str) -> tuple[str, ...]:
    return ("-m", "rays_as_pixels", "estimate", str(CLIP), "--frames", "5", *words)


@pytest.mark.slow
def test_a_verb_runs_a_model_of_the_hub(hub, run, tmp_path):
    online = run(*estimate("--device", "cpu", "--out", "a", "--model", REPOSITORY))
    assert online.returncode == 0, online.stderr
    assert "fetching someone/tiny" in online.stderr
    commit = hub.repositories[REPOSITORY].refs["main"]
    result = (tmp_path / "a" / "trajectory.json").read_text()
    assert f"{REPOSITORY}@{commit}" in result, "a result names the commit it came from"


@pytest.mark.slow
def test_a_verb_runs_again_offline_with_the_same_result(hub, run, tmp_path):
    common = estimate("--device", "cpu")
    online = run(*common, "--out", "a", "--model", REPOSITORY)
    assert online.returncode == 0, online.stderr
    hub.asked.clear()
    offline = run(*common, "--out", "b", RAYS_AS_PIXELS_MODEL=REPOSITORY, HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    assert hub.asked == []
    first, second = (
        json.loads((tmp_path / name / "trajectory.json").read_text()) for name in ("a", "b")
    )
    assert first == second, "the same weights and the same seed give the same path"


@pytest.mark.slow
def test_a_missing_repository_is_one_line_and_exit_code_2(run):
    done = run("-m", "rays_as_pixels", "estimate", str(CLIP), "--out", "a", "--model", "no/where")
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: model must be a repository that exists") and "no/where" in line


@pytest.mark.slow
def test_push_prints_the_address_and_diffusers_own_loader_opens_it_when_trusted(
    hub, run, toy_folder
):
    token = {"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}
    pushed = run("-m", "rays_as_pixels", "push", str(toy_folder), "someone/pushed", **token)
    assert pushed.returncode == 0, pushed.stderr
    commit = hub.repositories["someone/pushed"].refs["main"]
    assert pushed.stdout.split() == [f"{hub.url}/someone/pushed", commit]
    loaded = run("-c", GENERIC, **token)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert loaded.stdout.strip() == "rays_as_pixels.pipeline.pipeline RaysAsPixelsPipeline 5"
