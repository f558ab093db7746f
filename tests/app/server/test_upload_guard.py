"""The guard in front of uploads, with limits small enough to reach."""

import io
import json
import os
import time

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.origin import OriginCheck
from rays_as_pixels.app.server.upload_guard import UploadGuard, UploadLimits
from rays_as_pixels.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def guarded(tmp_path):
    """A plain server that keeps what is posted to it, as Gradio does, behind the guard."""
    folder = tmp_path / "uploads"

    async def keep(request):
        body = await request.body()
        path = folder / f"{len(list(folder.rglob('*')))}" / "file.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(body)
        return JSONResponse([str(path)])

    async def echo(request):
        return JSONResponse(len(await request.body()))

    routes = [Route("/x/upload", keep, methods=["POST"]), Route("/x/call", echo, methods=["POST"])]

    def make(**limits) -> TestClient:
        guard = Middleware(UploadGuard, folder=folder, limits=UploadLimits(**limits))
        return TestClient(Starlette(routes=routes, middleware=[guard]))

    make.folder = folder
    return make


def test_one_client_may_not_send_for_ever(guarded):
    client = guarded(client_bytes=250)
    for _ in range(2):
        assert client.post("/x/upload", content=PNG + bytes(92)).status_code == 200
    answer = client.post("/x/upload", content=PNG + bytes(92))
    assert answer.status_code == 429 and "Come back later" in answer.text


def test_a_full_folder_makes_room_by_old_files_and_refuses_when_there_are_none(guarded):
    client = guarded(total_bytes=350)
    for _ in range(3):
        assert client.post("/x/upload", content=PNG + bytes(92)).status_code == 200
    assert client.post("/x/upload", content=PNG + bytes(92)).status_code == 507
    oldest = min(guarded.folder.rglob("*.png"), key=lambda path: path.stat().st_mtime)
    os.utime(oldest, (time.time() - 7200,) * 2)
    assert client.post("/x/upload", content=PNG + bytes(92)).status_code == 200
    assert not oldest.exists()


def test_a_full_disk_takes_nothing(guarded):
    assert guarded(free_bytes=1 << 60).post("/x/upload", content=PNG).status_code == 507


def test_what_a_broken_upload_left_goes_with_the_next_one(guarded):
    guarded.folder.mkdir()
    part = guarded.folder / "tmpabc"
    part.write_bytes(bytes(500))
    os.utime(part, (time.time() - 600,) * 2)
    fresh = guarded.folder / "tmpdef"
    fresh.write_bytes(bytes(10))
    assert guarded().post("/x/upload", content=PNG).status_code == 200
    assert not part.exists() and fresh.exists(), "one that is being written stays"


def test_other_calls_are_bounded_too_and_small_ones_pass(guarded):
    client = guarded(body_bytes=1000)
    assert client.post("/x/call", content=bytes(1000)).json() == 1000
    assert client.post("/x/call", content=bytes(1001)).status_code == 413
    chunks = iter([bytes(600), bytes(600)])
    assert client.post("/x/call", content=chunks).status_code == 413, "without a length"


def test_a_refused_file_is_deleted_with_its_folder(guarded):
    answer = guarded().post("/x/upload", content=b"\x7fELF" + bytes(50))
    assert answer.status_code == 415 and "file.png" in answer.text
    assert not list(guarded.folder.iterdir())


def test_an_accepted_file_is_answered_as_before(guarded):
    answer = guarded().post("/x/upload", content=PNG)
    assert json.loads(answer.text)[0].endswith("file.png")


def test_a_websocket_of_another_site_is_closed():
    async def app(scope, receive, send):
        raise AssertionError("the app must not see it")

    client = TestClient(OriginCheck(app, local_only=False))
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/socket", headers=evil),
    ):
        pass
    assert closed.value.code == 1008


# What a file is


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder of uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(uploads, "upload_folder", lambda: folder)
    return folder


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "PNG")
    return file.getvalue()


def test_each_reader_takes_its_own_kind_alone(place, clip_bytes):
    files = {"a.mp4": clip_bytes, "a.png": picture(), "a.json": b"{}"}
    for name, content in files.items():
        (place / name).write_bytes(content)
    readers = (uploads.video_file, uploads.image_file, uploads.path_file)
    for reader, own in zip(readers, files, strict=True):
        for name in files:
            if name == own:
                assert reader(str(place / name), "none") == (place / name).resolve()
            else:
                with pytest.raises(InputError, match="must be a"):
                    reader(str(place / name), "none")


@pytest.mark.parametrize("value", [None, "", 7, [], {}, "/no/such/file", "\x00", "a" * 5000])
def test_what_is_no_file_gets_the_message_of_the_page(place, value):
    with pytest.raises(InputError, match="Upload a video"):
        uploads.video_file(value, "Upload a video.")


def test_files_of_the_server_and_links_to_them_are_no_uploads(place, tmp_path, clip_bytes):
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(clip_bytes)
    (place / "link.mp4").symlink_to(outside)
    for path in (outside, place / "link.mp4", place / ".." / "secret.mp4"):
        with pytest.raises(InputError, match="must be uploaded here"):
            uploads.video_file(str(path), "none")


def test_half_an_image_and_half_a_video_are_refused_before_any_job(place, clip_bytes):
    (place / "half.png").write_bytes(picture()[:40])
    (place / "half.mp4").write_bytes(clip_bytes[: len(clip_bytes) // 2])
    with pytest.raises(InputError):
        uploads.image_file(str(place / "half.png"), "none")
    with pytest.raises(InputError):
        uploads.video_file(str(place / "half.mp4"), "none")


def test_text_may_end_in_the_middle_of_a_letter_where_our_reading_stops(place):
    path = place / "path.txt"
    path.write_bytes(b"x" * (uploads.HEAD_BYTES - 1) + "é".encode() + b" more")
    assert uploads.check_upload(path) == "path"
    path.write_bytes(b"abc\xff\xfe" + b"x" * 100)
    with pytest.raises(InputError):
        uploads.check_upload(path)
