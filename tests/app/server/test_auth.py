"""With a name and a password asked for, nobody without them starts or sees anything."""

import asyncio
import gc
import secrets
from types import SimpleNamespace

import httpx
import pytest
from running_server import API

from rays_as_pixels.app.page.launch import LaunchOptions, launch
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.errors import InputError

NAME, PASSWORD = "me", "a secret"
# The server runs in this process, where a deprecation in a package of Gradio's must not stop it.
pytestmark = pytest.mark.filterwarnings("ignore")


def no_model() -> ModelHolder:
    def load():
        raise InputError("model must be needed by nobody here; got a call.")

    return ModelHolder(load, ModelFacts("tiny", "cpu", "nothing", 9, 9))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The app in this process: no model is needed to be refused."""
    workspace = tmp_path_factory.mktemp("guarded") / "workspace"
    options = LaunchOptions(workspace=workspace, auth=f"{NAME}:{PASSWORD}")
    app, manager, url = launch(options, no_model(), block=False)
    yield SimpleNamespace(url=url, workspace=workspace, manager=manager)
    manager.close()
    app.close()
    asyncio.set_event_loop(None)  # Gradio makes event loops that it never closes
    gc.collect()


@pytest.fixture
def member(guarded):
    """Somebody who logged in."""
    with httpx.Client(base_url=guarded.url, timeout=150) as client:
        answer = client.post("login", data={"username": NAME, "password": PASSWORD})
        assert answer.status_code == 200
        yield client


@pytest.fixture
def stranger(guarded):
    with httpx.Client(base_url=guarded.url, timeout=150) as client:
        yield client


def test_no_upload_and_no_start_without_logging_in(guarded, member, stranger):
    config = member.get("config").json()
    picture = {"files": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50))}
    asked = {"upload": stranger.post(f"{API}/upload", files=picture)}
    session = secrets.token_hex(6)
    for event in config["dependencies"]:
        body = {"data": [], "fn_index": event["id"], "session_hash": session, "event_data": None}
        asked[f"event {event['id']}"] = stranger.post(f"{API}/queue/join", json=body)
        name = event["api_name"]
        if isinstance(name, str):
            for way in ("call", "call/v2", "run", "api"):
                asked[f"{way} {name}"] = stranger.post(f"{API}/{way}/{name}", json={"data": []})
    for part in config["components"]:
        if part["type"] == "html":
            body = {
                "data": ["ply", "{}"],
                "fn_name": "path_view_mesh",
                "component_id": part["id"],
                "session_hash": session,
            }
            asked[f"server of {part['id']}"] = stranger.post(f"{API}/component_server", json=body)
    assert {way: answer.status_code for way, answer in asked.items()} == dict.fromkeys(asked, 401)
    named = [event["api_name"] for event in config["dependencies"]]
    assert {"estimate", "generate", "imagine", "loop"} <= set(named), "all of them were tried"
    assert len(asked) > 60 and guarded.manager.records() == []
    assert not list(guarded.workspace.rglob("a.png")), "nothing was kept"


def test_nothing_can_be_seen_without_logging_in(guarded, stranger):
    log = guarded.workspace / "jobs"
    for place in (
        "config",
        f"{API}/info",
        f"{API}/queue/data?session_hash=abc",
        f"{API}/queue/status",
        f"{API}/file={log}",
        f"{API}/openapi.json",
    ):
        assert stranger.get(place).status_code == 401, place
    page = stranger.get("")
    assert "auth_required" in page.text and "estimate_button" not in page.text


def test_a_wrong_password_or_an_invented_cookie_is_no_login(guarded, stranger):
    for name, password in ((NAME, "guess"), ("other", PASSWORD), (NAME, "")):
        answer = stranger.post("login", data={"username": name, "password": password})
        assert answer.status_code in (400, 422), (name, password)
    assert not stranger.cookies
    invented = {"access-token-unsecure-x": "1", "access-token-x": "1"}
    assert httpx.get(f"{guarded.url}config", cookies=invented).status_code == 401


def test_who_logged_in_can_upload_and_call(guarded, member):
    picture = {"files": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50))}
    assert member.post(f"{API}/upload", files=picture).status_code == 200
    assert list(guarded.workspace.rglob("a.png")), "this is where it would have been"
    event = next(
        item
        for item in member.get("config").json()["dependencies"]
        if item["targets"] and item["targets"][0][1] == "load"
    )
    body = {"data": [{}], "fn_index": event["id"], "session_hash": secrets.token_hex(6)}
    assert member.post(f"{API}/queue/join", json=body).status_code == 200


def test_tools_for_language_models_are_not_served_beside_a_password(tmp_path):
    """Gradio's MCP endpoint asks nobody to log in."""
    options = LaunchOptions(workspace=tmp_path, auth="me:secret", mcp=True)
    with pytest.raises(InputError, match=r"mcp must be off where auth is set"):
        launch(options, no_model(), block=False)
