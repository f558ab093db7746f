"""`deploy`: the folder of a Space is complete, and arrives at a Hub as it is."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rays_as_pixels.cli.main import main
from rays_as_pixels.cli.space_folder import direct_pins, space_requirements
from rays_as_pixels.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SPACE = "someone/rays"
TOKEN = "hf_test"


@pytest.fixture
def folder(model_folder, tmp_path):
    out = tmp_path / "space"
    arguments = ["deploy", "--space", SPACE, "--dry-run", str(out), "--model", str(model_folder)]
    assert main(arguments) == 0
    return out


def front_matter(folder: Path) -> dict[str, str]:
    head = (folder / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    return dict(re.findall(r"^(\w+): *(.*)$", head, flags=re.MULTILINE))


def test_the_folder_says_what_a_space_must_know(folder):
    facts = front_matter(folder)
    assert facts["sdk"] == "gradio" and facts["app_file"] == "app.py"
    assert facts["sdk_version"] == direct_pins(ROOT / "requirements.txt")["gradio"]
    assert facts["python_version"] == '"3.12"', "quoted, or YAML reads 3.10 as 3.1"
    assert len(facts["short_description"]) <= 60, "the Hub refuses longer ones"
    assert facts["colorFrom"] in ("red", "yellow", "green", "blue", "indigo", "purple", "pink")
    assert (folder / "packages.txt").read_text().split() == ["ffmpeg"]


def test_a_space_installs_a_torch_that_zerogpu_lists_and_no_second_gradio(folder):
    lines = (folder / "requirements.txt").read_text().split()
    torch = next(line for line in lines if line.startswith("torch=="))
    assert (2, 8) <= tuple(map(int, torch[7:].split(".")[:2])) <= (2, 11)
    assert not any(line.startswith("gradio") for line in lines), "sdk_version says which"
    assert "spaces" in lines


def test_the_folder_runs_by_itself(folder):
    """Its command line works with nothing but its own files on the path."""
    probe = "import rays_as_pixels as r, sys; sys.exit(not r.__file__.startswith(sys.argv[1]))"
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # what travels is looked at below
    command = [sys.executable, "-c", probe, str(folder)]
    assert subprocess.run(command, cwd=folder, env=env, check=False).returncode == 0
    text = (folder / "app.py").read_text()
    model = re.search(r"'(checkpoints/[^']+)'", text)
    assert model is not None
    assert (folder / model[1] / "model_index.json").is_file()
    weights = list((folder / model[1]).rglob("*.safetensors"))
    assert len(weights) >= 2
    for name in ("page.css",):
        assert list((folder / "rays_as_pixels").rglob(name)), f"{name} must travel"
    hidden = [path for path in folder.rglob("*") if "__pycache__" in path.parts]
    assert not hidden


def test_a_model_on_the_hub_is_named_not_copied(tmp_path):
    out = tmp_path / "space"
    arguments = ["deploy", "--space", SPACE, "--dry-run", str(out), "--model", "someone/big-rays"]
    assert main(arguments) == 0
    assert not (out / "checkpoints").exists()
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "preload_from_hub:\n  - someone/big-rays\n" in readme
    assert "'someone/big-rays'" in (out / "app.py").read_text()


@pytest.mark.parametrize("name", ["rays", "a/b/c", "../x", "org/", "-x/y"])
def test_a_malformed_space_is_refused(name, tmp_path, capsys):
    assert main(["deploy", f"--space={name}", "--dry-run", str(tmp_path / "x")]) == 2
    assert "space must be ORG/NAME" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x")
    assert main(["deploy", "--space", SPACE, "--dry-run", str(tmp_path)]) == 2
    assert "must name an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_is_no_model_is_refused(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["deploy", "--space", SPACE, "--dry-run", str(out), "--model", str(tmp_path)]
    assert main(arguments) == 2
    assert "must be a folder of a saved pipeline" in capsys.readouterr().err and not out.exists()


def test_requirements_without_the_projects_own_pins_are_refused(tmp_path):
    (tmp_path / "requirements.txt").write_text("numpy==1\n")
    with pytest.raises(InputError, match="must pin gradio and torch"):
        direct_pins(tmp_path / "requirements.txt")
    with pytest.raises(InputError, match="checkout of the project"):
        direct_pins(tmp_path / "none.txt")
    assert space_requirements({"torch": "9", "gradio": "6", "av": "1"}).startswith(
        "av==1\ntorch==2"
    )


# The upload, to a Hub of our own on this machine that speaks as much HTTP as the client needs


class _Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    made: dict

    def log_message(self, *_args) -> None:
        pass

    def _answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        names = sorted(self.files)
        if "/tree/" in self.path:
            self._answer([{"type": "file", "path": name, "size": 1, "oid": "0"} for name in names])
        else:
            siblings = [{"rfilename": name} for name in names]
            self._answer({"id": SPACE, "sha": "0" * 40, "siblings": siblings})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid credentials"}, 401)
        elif self.path.endswith("/repos/create"):
            self.made.update(json.loads(body))
            self._answer({"url": f"http://{self.headers['Host']}/spaces/{SPACE}"})
        elif self.path.endswith("/validate-yaml"):
            assert json.loads(body)["content"].startswith("---\ntitle: ")
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            answer = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in asked
            ]
            self._answer({"files": answer})
        elif "/commit/" in self.path:
            self._commit(body)
            address = f"http://{self.headers['Host']}/spaces/{SPACE}/commit/{'1' * 40}"
            self._answer({"commitUrl": address, "commitOid": "1" * 40})
        else:
            self._answer({"error": f"no such page: {self.path}"}, 404)

    def _chunks(self) -> bytes:
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return body

    def _commit(self, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                self.files.pop(value["path"], None)


@pytest.fixture
def hub():
    handler = type("Hub", (_Hub,), {"files": {"old/stale.py": b"x"}, "made": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def deploy(endpoint: str, tmp_path: Path, model: Path, *options: str, token: str = TOKEN):
    env = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": token,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-m", "rays_as_pixels", "deploy", "--space", SPACE]
    command += ["--model", str(model), *options]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_what_arrives_at_the_hub_is_the_folder_and_stale_files_go(
    hub, folder, model_folder, tmp_path
):
    handler, endpoint = hub
    done = deploy(endpoint, tmp_path, model_folder, "--private", "--hardware", "zero-a10g")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(SPACE)
    wanted = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert handler.files.keys() == wanted.keys(), "all of it, and nothing from before"
    assert all(handler.files[name] == content for name, content in wanted.items())
    made = handler.made
    assert (made["type"], made["sdk"]) == ("space", "gradio")
    assert made.get("private") is True or made.get("visibility") == "private"
    assert made["hardware"] == "zero-a10g"


def test_a_refusal_of_the_hub_is_one_line_with_a_remedy(hub, model_folder, tmp_path):
    _, endpoint = hub
    done = deploy(endpoint, tmp_path, model_folder, token="hf_wrong")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "hf auth login" in done.stderr
