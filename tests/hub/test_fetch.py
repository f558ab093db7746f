"""Fetching a pipeline from a Hub: what arrives, what is asked, and what a failure says."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save
from server import REPOSITORY, TOKEN, files_of

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.hub.fetch import fetch_configs, find_model
from rays_as_pixels.hub.location import HubAccess, locate_model
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def weights_of(pipe: RaysAsPixelsPipeline) -> dict[str, torch.Tensor]:
    return pipe.transformer.state_dict()


def test_a_repository_is_fetched_completely_and_loads_to_the_same_weights(hub, access, toy):
    found = find_model(REPOSITORY, access=access)
    assert found.commit == hub.repositories[REPOSITORY].refs["main"]
    loaded = RaysAsPixelsPipeline.from_pretrained(found.folder)
    for name, value in weights_of(toy).items():
        assert torch.equal(value, weights_of(loaded)[name]), name


def test_a_second_time_nothing_is_fetched_again(hub, access):
    find_model(REPOSITORY, access=access)
    hub.asked.clear()
    find_model(REPOSITORY, access=access)
    assert not [asked for asked in hub.asked if asked[0] == "GET" and "/api/" not in asked[1]]


def test_code_and_pickles_in_a_repository_are_not_fetched(hub, access, toy_folder):
    extra = {"pipeline.py": b"boom", "vae/old.bin": b"boom", "runs/1/m.safetensors": b"boom"}
    hub.put(REPOSITORY, files_of(toy_folder) | extra)
    folder = find_model(REPOSITORY, access=access).folder
    for name in extra:
        assert not (folder / name).exists(), name
        assert not hub.asked_for(f"/{name}"), name


def test_configs_come_without_weights_and_the_text_encoder_by_its_header(hub, access, toy_folder):
    text = {"text_encoder/model.safetensors": save({"embedding": torch.zeros(7, 3)})}
    hub.put(REPOSITORY, files_of(toy_folder) | text)
    folder, shapes = fetch_configs(locate_model(REPOSITORY), access)
    assert shapes == {"embedding": (7, 3)}
    assert (folder / "transformer" / "config.json").is_file()
    assert not list(folder.glob("*/*.safetensors"))


def test_a_revision_pins_what_is_fetched_and_a_cached_commit_needs_no_request(hub, access):
    files = hub.repositories[REPOSITORY].commits[hub.repositories[REPOSITORY].refs["main"]]
    first = hub.repositories[REPOSITORY].refs["main"]
    index = json.loads(files["model_index.json"]) | {"max_frames": 5}
    second = hub.put(REPOSITORY, files | {"model_index.json": json.dumps(index).encode()})
    hub.repositories[REPOSITORY].refs["v1"] = first
    by_tag = find_model(f"{REPOSITORY}@v1", access=access)
    assert (by_tag.commit, find_model(REPOSITORY, access=access).commit) == (first, second)
    assert find_model(REPOSITORY, revision="v1", access=access).commit == first
    hub.asked.clear()
    assert find_model(f"{REPOSITORY}@{first}", access=access).folder == by_tag.folder
    assert hub.asked == []


def test_offline_a_cached_model_is_used_without_a_request(hub, access):
    first = find_model(REPOSITORY, access=access)
    hub.asked.clear()
    again = find_model(REPOSITORY, access=replace(access, offline=True))
    assert again == first
    assert hub.asked == []


def test_offline_a_model_that_is_not_cached_is_refused_with_the_remedy(hub, access):
    with pytest.raises(CheckpointError, match=r"offline mode needs.*Run once with HF_HUB"):
        find_model(REPOSITORY, access=replace(access, offline=True))
    assert hub.asked == []


def test_offline_a_model_of_which_a_file_is_missing_is_refused(access):
    folder = find_model(REPOSITORY, access=access).folder
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="not in the cache or not all of it"):
        find_model(REPOSITORY, access=replace(access, offline=True))


def test_a_file_cut_short_in_the_cache_is_refused_with_what_to_delete(access, tmp_path):
    folder = find_model(REPOSITORY, access=access).folder
    weights = (folder / WEIGHTS).resolve()
    content = weights.read_bytes()
    weights.write_bytes(content[:500])
    cached = tmp_path / "cache" / "models--someone--tiny"
    for offline in (True, False):
        with pytest.raises(CheckpointError, match=f"whole safetensors files.*Delete {cached} and"):
            find_model(REPOSITORY, access=replace(access, offline=offline))
    shutil.rmtree(cached)
    assert (find_model(REPOSITORY, access=access).folder / WEIGHTS).read_bytes() == content


def test_a_connection_that_is_cut_once_still_brings_the_model(hub, access):
    hub.cut[WEIGHTS] = [1200]
    assert find_model(REPOSITORY, access=access).folder.is_dir()


def test_without_a_network_the_cached_model_is_used_and_the_log_says_so(hub, access):
    first = find_model(REPOSITORY, access=access)
    messages: list[str] = []
    dead = replace(access, endpoint="http://127.0.0.1:1", log=messages.append)
    assert find_model(REPOSITORY, access=dead).folder == first.folder
    assert any("cannot be reached" in text for text in messages)


def test_a_private_repository_opens_with_its_token(hub, access):
    hub.repositories[REPOSITORY].private = True
    with pytest.raises(CheckpointError, match=r"does not show.*if it is private, log in"):
        find_model(REPOSITORY, access=access)
    assert find_model(REPOSITORY, access=replace(access, token=TOKEN)).folder.is_dir()
    assert hub.leaked == [], "the token must not reach the store of large files"


def test_a_gated_repository_says_where_to_accept_its_terms(hub, access):
    hub.repositories[REPOSITORY].gated = True
    with pytest.raises(CheckpointError, match=f"gated. Accept its terms at {hub.url}/"):
        find_model(REPOSITORY, access=access)
    assert find_model(REPOSITORY, access=replace(access, token=TOKEN)).folder.is_dir()


def spoil_index(files: dict[str, bytes]) -> dict[str, bytes]:
    index = json.loads(files["model_index.json"]) | {"_class_name": "WanPipeline"}
    return files | {"model_index.json": json.dumps(index).encode()}


def pickles_only(files: dict[str, bytes]) -> dict[str, bytes]:
    kept = {name: content for name, content in files.items() if not name.endswith(".safetensors")}
    return kept | {"vae/diffusion_pytorch_model.bin": b"cos\nsystem\n"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil_index, "must be a RaysAsPixelsPipeline; got a WanPipeline in someone/tiny"),
        (pickles_only, "must be safetensors files; got only .*bin"),
        (lambda files: {"config.json": b"{}"}, "with a model_index.json; got someone/tiny"),
        (lambda files: files | {"model_index.json": b"{"}, "must be JSON"),
        (lambda files: files | {WEIGHTS: files[WEIGHTS][:500]}, "whole safetensors files"),
    ],
)
def test_an_incomplete_or_foreign_pipeline_is_refused(hub, access, toy_folder, change, message):
    hub.put(REPOSITORY, change(files_of(toy_folder)))
    with pytest.raises(CheckpointError, match=message):
        find_model(REPOSITORY, access=access)


def test_another_kind_of_pipeline_is_refused_before_its_weights_are_fetched(
    hub, access, toy_folder
):
    hub.put(REPOSITORY, spoil_index(files_of(toy_folder)))
    with pytest.raises(CheckpointError):
        find_model(REPOSITORY, access=access)
    assert not hub.asked_for(".safetensors")


def test_a_model_larger_than_the_disk_is_refused_before_it_is_fetched(hub, access):
    hub.claimed_size[WEIGHTS] = 10**18
    with pytest.raises(CheckpointError, match=r"disk must have room.*1000000000.0 GB to fetch"):
        find_model(REPOSITORY, access=access)
    assert not hub.asked_for("/cdn/")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("someone/else", "must be a repository that exists.*someone/else.*Check the spelling"),
        (f"{REPOSITORY}@v9", "must be a branch, tag or commit.*someone/tiny@v9"),
        (f"{REPOSITORY}@{'0' * 40}", "must be a branch, tag or commit"),
        ("not-a-folder", "must be a folder that exists or org/name"),
        ("a/b/c", "must be a folder that exists or org/name"),
        ("someone/tiny@", "must be a folder that exists or org/name"),
        ("./someone/tiny", "which does not exist"),
    ],
)
def test_what_is_not_there_is_named_with_a_remedy(access, name, message):
    with pytest.raises(CheckpointError, match=message):
        find_model(name, access=access)


def test_a_hub_that_cannot_be_reached_is_named(access):
    dead = replace(access, endpoint="http://127.0.0.1:1")
    with pytest.raises(CheckpointError, match=r"must be reachable.*127.0.0.1:1.*HF_ENDPOINT"):
        find_model(REPOSITORY, access=dead)


def test_a_token_that_the_hub_refuses_is_an_error_that_says_so(access):
    with pytest.raises(CheckpointError, match=r"token must be one that.*got 401"):
        find_model(REPOSITORY, access=replace(access, token="hf_wrong"))


def test_a_folder_takes_precedence_over_a_repository_of_its_name(
    hub, tmp_path, monkeypatch, toy_folder
):
    (tmp_path / "someone").mkdir()
    (tmp_path / "someone" / "tiny").symlink_to(toy_folder)
    monkeypatch.chdir(tmp_path)
    assert find_model("someone/tiny", access=HubAccess(endpoint=hub.url)).commit is None
    assert hub.asked == []


def test_the_variable_names_the_model_where_nothing_else_does(toy_folder, monkeypatch):
    monkeypatch.setenv("RAYS_AS_PIXELS_MODEL", str(toy_folder))
    assert find_model().folder == toy_folder
