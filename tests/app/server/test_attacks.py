"""Attacks on a running app: nothing is stored, read or stopped that should not be."""

import io
import json
import re
import zipfile

import httpx
import pytest
from running_server import API, Visitor

MEGABYTE = 1 << 20
EVIL = {"Origin": "https://evil.example"}


def stored(server) -> set:
    """Return the uploaded files there are now."""
    return {path for path in (server.workspace / "uploads").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        EVIL | {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        EVIL | {"X-Forwarded-Host": "elsewhere.example"},
    ],
)
@pytest.mark.parametrize("place", ["upload", "queue/join", "cancel", "reset", "component_server"])
def test_a_page_of_another_site_cannot_post(server, headers, place):
    before = stored(server)
    files = {"files": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100))}
    answer = httpx.post(f"{server.url}{API}/{place}", headers=headers, files=files)
    assert answer.status_code == 403 and "another site" in answer.text
    assert stored(server) == before


def test_a_name_that_is_not_this_machines_reads_nothing(server):
    """DNS rebinding: the attacker's name points to 127.0.0.1, and the browser sends that name."""
    for host in ("evil.example", f"evil.example:{server.port}", "[::", "127.0.0.1.evil.example"):
        assert httpx.get(server.url, headers={"Host": host}).status_code in (400, 403)


def test_files_outside_the_served_folders_are_not_read(server, visitor, clip_bytes):
    job = visitor.estimate(clip_bytes)
    workspace = server.workspace
    assert (workspace / "jobs" / "jobs.sqlite3").is_file()
    targets = [
        "/etc/passwd",
        "../../../../etc/passwd",
        f"{workspace}/jobs/jobs.sqlite3",
        f"{workspace}/jobs/files/{job}/../../jobs.sqlite3",
        f"{workspace}/jobs/files/%2e%2e/jobs.sqlite3",
        f"{workspace}/browser-key",
        f"{workspace}/jobs/.lock",
        "app.py",
        "pyproject.toml",
        "static/../../pyproject.toml",
        "http://127.0.0.1:22",
        "file:///etc/passwd",
    ]
    for target in targets:
        answer = httpx.get(f"{server.url}{API}/file={target}")
        assert answer.status_code in (403, 404), (target, answer.status_code)
    proxied = httpx.get(f"{server.url}{API}/proxy=http://127.0.0.1:{server.port}/config")
    assert proxied.status_code >= 400


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/tmp/evil.png", "..\\..\\evil.png", "a/../../evil.png", "\u202egnp"]
)
def test_a_file_name_cannot_lead_out_of_the_upload_folder(server, visitor, name):
    answer = visitor.upload(name, b"\x89PNG\r\n\x1a\n" + name.encode())
    assert answer.status_code in (200, 400)
    for path in json.loads(answer.text) if answer.status_code == 200 else []:
        assert path in {str(found) for found in stored(server)}


def test_a_file_that_is_too_large_is_refused_before_it_is_stored(server, visitor):
    before = stored(server)
    answer = visitor.upload("huge.mp4", bytes(3 * MEGABYTE))
    assert answer.status_code == 413 and "2 MB" in answer.text
    assert stored(server) == before


def test_a_body_that_does_not_say_its_length_is_cut_off(server):
    sent = 0

    def stream():
        nonlocal sent
        start = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
        yield start + b"\x00\x00\x00\x18ftypmp42"
        for _ in range(64):
            sent += MEGABYTE
            yield bytes(MEGABYTE)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server.url}{API}/upload", content=stream(), headers=kind)
        assert answer.status_code == 413
    except httpx.TransportError:  # it hung up while we were still sending: as good
        assert sent < 64 * MEGABYTE
    left = sum(path.stat().st_size for path in stored(server))
    assert left < 8 * MEGABYTE, "at most the limit of each broken upload may lie there for a while"


def test_a_call_with_a_huge_body_is_refused(server):
    answer = httpx.post(f"{server.url}{API}/queue/join", content=b"[" * (9 * MEGABYTE))
    assert answer.status_code == 413


def _zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


WRONG = {
    "program.mp4": b"\x7fELF" + bytes(200),
    "windows.png": b"MZ\x90\x00" + bytes(200),
    "pickle.json": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello.",
    "empty.mp4": b"",
    "bomb.zip": _zip(**{"a.txt": bytes(100 * MEGABYTE)}),
    "weights.npz": _zip(**{"archive/data.pkl": b"\x80\x02."}),
    "slip.zip": _zip(**{"../../evil.txt": b"x"}),
    "half.zip": _zip(**{"a.txt": b"x" * 1000})[:60],
    "photo.heic": b"\x00\x00\x00\x18ftypheic" + bytes(100),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_file_says_it_is_does_not_count(server, visitor, name):
    before = stored(server)
    answer = visitor.upload(name, WRONG[name])
    assert answer.status_code == 415 and name in answer.text
    assert stored(server) == before, "a refused file must not stay"


@pytest.mark.parametrize(
    "content",
    [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"],
)
def test_a_playlist_in_a_videos_clothes_reads_no_other_file(visitor, content):
    assert not visitor.take(content)["success"]
    assert "root:" not in str(visitor.seen)


def test_a_path_typed_by_a_visitor_is_not_read(server, visitor, clip_bytes):
    job = visitor.estimate(clip_bytes)
    assert visitor.finished() == "done"
    inside = server.workspace / "jobs" / "files" / job
    assert (inside / "clip.mp4").is_file()
    other = Visitor(server.url)
    for path in ("/etc/passwd", str(inside / "clip.mp4"), str(inside / "input.mp4"), "app.py"):
        assert not other.choose(path)["success"], path
        stolen = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = other.call_api("estimate", [stolen, 5, None, None, 2, 1, False, 0])
        assert not answer["success"], path
    assert other.job() == ("", "")
    other.close()


def test_a_job_of_another_visitor_is_not_shown_and_not_stopped(server, visitor, clip_bytes):
    job = visitor.estimate(clip_bytes, steps=50, runs=8)
    kept = {"visitor": "f" * 32, "job": job, "estimate": job, "result": job, "loop": job}
    thief = Visitor(server.url, kept=kept)
    answer = thief.open()
    assert answer["success"] and job not in thief.kept.values()
    assert job not in json.dumps(answer["output"]["data"])
    thief.click("stop")
    thief.tick()
    assert job not in json.dumps(list(thief.seen.values()), default=str)
    history = thief.event(thief.part("history"), "select")
    for action in ("load", "compare", "delete", "show"):
        thief.call(history, event_data={"action": action, "id": job})
    done = server.records()[job]["done"]
    # A stop shows after one step at most.
    server.wait_for(job, lambda now: now["done"] >= done + 3 and now["state"] == "running")
    visitor.click("stop")
    assert visitor.finished() == "cancelled", "its owner stops it, a stranger does not"
    assert job in server.records(), "nor delete it"
    thief.close()


RUBBISH = [
    "x" * 5000,
    10**400,
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"action": {}, "id": [], "path": "../../etc/passwd", "keyframes": [[None] * 50] * 50},
    ["\x00", -1e308, {}],
]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_event_answers_rubbish_and_the_app_lives(server, visitor):
    """Events hidden from the API can still be called by anyone, with anything."""
    for number, event in enumerate(visitor.config["dependencies"]):
        if event["backend_fn"] is False:
            continue
        for rubbish in (RUBBISH[number % 5], RUBBISH[(number + 2) % 5]):
            data = [rubbish] * len(event["inputs"])
            visitor.call(event, data, event_data={"index": rubbish, "action": rubbish})
    fresh = Visitor(server.url)
    assert fresh.open()["success"]
    fresh.close()
    traces = server.log.split("Traceback (most recent call last):")[1:]
    ours = [trace[-600:] for trace in traces if re.search(r'rays_as_pixels/\S+", line', trace)]
    assert not ours, "rubbish reached code that did not expect it:\n" + "\n---\n".join(ours)


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("vibe-edit", {"prompt": "delete everything"}),
        ("undo-vibe-edit", {"hash": "../../../../etc/passwd"}),
        (
            "component_server",
            {"data": [], "component_id": 0, "fn_name": "__init__", "session_hash": "x"},
        ),
        ("run-history/connect", {}),
    ],
)
def test_other_doors_of_gradio_are_shut(server, place, body):
    answer = httpx.post(f"{server.url}{API}/{place}", json=body, timeout=30)
    assert answer.status_code >= 400
    assert server.answers()
