"""The folder that `deploy` writes, started as a Space starts it, with one folder to write to."""

import os
import subprocess
import sys

import httpx
import pytest
from running_server import API, Server, Visitor, free_port

from rays_as_pixels.cli.main import main

# Imported by Python before anything else: no file outside the data folder can be written.
WARDEN = """
import os, sys
DATA, LOG = os.environ["ONLY_WRITABLE"], os.environ["REFUSED_LOG"]
CHANGES = {"os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,),
           "os.symlink": (1,), "os.link": (1,), "os.truncate": (0,), "os.chmod": (0,)}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def inside(path):
    path = os.path.abspath(os.fsdecode(path))
    return path.startswith((DATA, "/dev/", "/proc/")) or path == LOG
def warden(event, args):
    if event == "open":
        writes = bool(args[2] & WRITING) if isinstance(args[2], int) else False
        paths = [args[0]] if writes and isinstance(args[0], (str, bytes)) else []
    else:
        paths = [args[k] for k in CHANGES.get(event, ()) if isinstance(args[k], (str, bytes))]
    if args and isinstance(args[-1], int) and args[-1] >= 0 and event != "open":
        return  # relative to a folder that was opened before
    for path in paths:
        if not inside(path):
            with open(LOG, "a") as log:
                log.write(f"{event} {os.fsdecode(path)}\\n")
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
sys.addaudithook(warden)
"""


class Space(Server):
    """`python app.py` in the folder of a Space, with the variables that Spaces set."""

    def __init__(self, folder, data, warden) -> None:
        self.folder, self.workspace = folder, data / "workspace"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log_file = folder.parent / "space.log"
        self.refused = folder.parent / "refused.log"
        kept = {
            key: os.environ[key] for key in ("PATH", "LANG", "LD_LIBRARY_PATH") if key in os.environ
        }
        env = {
            "SYSTEM": "spaces",
            "SPACE_ID": "someone/rays",
            "SPACE_HOST": "someone-rays.hf.space",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": str(self.port),
            "HOME": "/nonexistent",
            "TMPDIR": str(data / "tmp"),
            "HF_HOME": str(data / "hf"),
            "HF_HUB_OFFLINE": "1",
            "RAYS_AS_PIXELS_WORKSPACE": str(self.workspace),
            "ONLY_WRITABLE": str(data),
            "REFUSED_LOG": str(self.refused),
            "PYTHONPATH": str(warden),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._start([sys.executable, "app.py"], kept | env)


@pytest.fixture
def space(toy_folder, tmp_path):
    folder, data, warden = (tmp_path / name for name in ("space", "data", "warden"))
    arguments = ["deploy", "--space", "someone/rays", "--dry-run", str(folder)]
    assert main([*arguments, "--model", str(toy_folder)]) == 0
    (data / "tmp").mkdir(parents=True)
    warden.mkdir()
    (warden / "sitecustomize.py").write_text(WARDEN)
    space = Space(folder, data, warden)
    yield space
    space.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_app_runs_as_a_space_and_writes_to_its_data_folder_alone(space, clip_bytes):
    before = {path for path in space.folder.rglob("*") if path.is_file()}
    visitor = Visitor(space.url)
    assert visitor.open()["success"]
    assert space.records() == {}, "nothing is computed at the start"
    visitor.estimate(clip_bytes)
    assert visitor.finished() == "done", space.log[-2000:]
    visitor.close()
    assert {path for path in space.folder.rglob("*") if path.is_file()} == before
    refused = space.refused.read_text().splitlines() if space.refused.exists() else []
    print(f"started in {space.start_sec:.1f} s; refused: {sorted(set(refused))}")
    assert "rays_as_pixels/" not in space.log, "a fault of ours"  # Gradio has its own, harmless

    # Its page lies in a frame of another site's page, but its requests are of its own origin.
    host = {"Host": "someone-rays.hf.space"}
    picture = {"files": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50))}
    for headers, status in (
        ({"Origin": "https://someone-rays.hf.space", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://someone-rays.hf.space"}, 200),
        ({"Origin": "https://huggingface.co", "Sec-Fetch-Site": "cross-site"}, 403),
    ):
        answer = httpx.post(f"{space.url}{API}/upload", headers=host | headers, files=picture)
        assert answer.status_code == status, (headers, answer.text)


def test_the_warden_of_this_test_really_refuses(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WARDEN)
    (tmp_path / "data").mkdir()
    env = os.environ | {"PYTHONPATH": str(tmp_path), "ONLY_WRITABLE": str(tmp_path / "data")}
    env["REFUSED_LOG"] = str(tmp_path / "log")
    probe = "open('data/in', 'w'); print('in'); open('out', 'w')"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "in\n" and "PermissionError" in done.stderr
    assert not (tmp_path / "out").exists()
