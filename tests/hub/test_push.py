"""Pushing a pipeline to a Hub and loading it from there, by us and by diffusers' generic loader."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from huggingface_hub import ModelCard, constants
from server import READ_ONLY, TOKEN

from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.hub.card import model_card
from rays_as_pixels.hub.fetch import find_model
from rays_as_pixels.hub.push import PushOptions, push_folder, pushed_files
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

# the client passes bytes to its HTTP library by an argument that the library has renamed
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
NAME = "someone/pushed"
ROWS = [{"id": "ours", "label": "ours, 2 steps", "rotation_median_deg": 2.317, "mrra30": 0.8801}]


@pytest.fixture(autouse=True)
def plain_uploads(monkeypatch):
    """The chunk store behind the real Hub is not part of ours; uploads go by git LFS."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def writer(access):
    return replace(access, token=TOKEN)


@pytest.fixture
def folder(toy_folder, tmp_path):
    copy = tmp_path / "pipeline"
    shutil.copytree(toy_folder, copy)
    (copy / "training.json").write_text(json.dumps({"config": "tiny", "clips_seen": 19664}))
    table = {"title": "Estimate", "rows": ROWS, "notes": []}
    result = {"source": "64 held-out worlds", "tables": {"estimate": table}}
    (copy / "evaluation.json").write_text(json.dumps(result))
    return copy


def test_what_is_pushed_comes_back_with_the_same_weights(hub, writer, folder, toy):
    done = push_folder(folder, NAME, access=writer)
    assert done.commit == hub.repositories[NAME].refs["main"]
    assert done.url == f"{hub.url}/{NAME}"
    loaded = RaysAsPixelsPipeline.from_pretrained(find_model(NAME, access=writer).folder)
    stored = loaded.transformer.state_dict()
    for name, value in toy.transformer.state_dict().items():
        assert torch.equal(value, stored[name]), name


def test_the_card_says_licence_base_training_figures_and_use(hub, writer, folder):
    options = PushOptions(base="Wan-AI/Wan2.1-T2V-1.3B-Diffusers")
    push_folder(folder, NAME, options, access=writer)
    files = hub.repositories[NAME].commits[hub.repositories[NAME].refs["main"]]
    card = ModelCard(files["README.md"].decode())
    facts = card.data.to_dict()
    assert facts["license"] == "apache-2.0"
    assert facts["library_name"] == "diffusers"
    assert facts["base_model"] == options.base
    assert "clips seen: 19664" in card.text
    assert "| ours, 2 steps | 2.32 | 88.0 |" in card.text
    assert "64 held-out worlds" in card.text
    assert f'from_pretrained("{NAME}")' in card.text
    # The package's name on PyPI is not the project's: nobody may be told to install it by name.
    assert "`pip install .` in a checkout" in card.text
    loader = files["pipeline.py"].decode()
    assert loader == files["transformer/joint_transformer.py"].decode().replace(
        "model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel",
        "pipeline import RaysAsPixelsPipeline",
    ).replace("RaysAsPixelsTransformer3DModel", "RaysAsPixelsPipeline")
    assert "`pip install .` in a checkout" in loader


def test_a_card_in_the_folder_keeps_its_words_and_its_metadata(folder):
    own = "---\nlicense: mit\ntags: [mine]\n---\n\n# My words\n\n## Training\n\nLong.\n"
    (folder / "README.md").write_text(own)
    card = ModelCard(model_card(folder, NAME))
    assert card.data.license == "mit"
    assert card.data.tags[0] == "mine" and "rays-as-pixels" in card.data.tags
    assert card.text.strip().startswith("# My words")
    assert card.text.count("## Training") == 1 and "clips seen" not in card.text
    with pytest.raises(CheckpointError, match=r"license must be given once; got 'apache-2.0'"):
        model_card(folder, NAME, license_id="apache-2.0")


def test_a_card_without_any_facts_says_that_there_are_none(toy_folder):
    text = model_card(toy_folder, NAME)
    assert "not recorded" in text and "## Figures" not in text


def test_hidden_files_code_and_pickles_are_not_pushed(folder):
    for name in (".secret", "__pycache__/x.pyc", "vae/old.bin", "transformer/evil.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no")
    pushed = pushed_files(folder, NAME, PushOptions())
    code = sorted(path for path in pushed if path.endswith(".py"))
    assert code == ["pipeline.py", "transformer/joint_transformer.py"]
    assert not {".secret", "__pycache__/x.pyc", "vae/old.bin", "transformer/evil.py"} & set(pushed)


def test_a_private_repository_and_a_branch_are_made_when_asked_for(hub, writer, folder):
    push_folder(folder, NAME, PushOptions(private=True, revision="trial"), access=writer)
    made = hub.repositories[NAME]
    assert made.private
    assert "model_index.json" in made.commits[made.refs["trial"]]
    assert "model_index.json" not in made.commits[made.refs["main"]]
    assert find_model(f"{NAME}@trial", access=writer).commit == made.refs["trial"]


@pytest.mark.parametrize("token", [False, READ_ONLY, "hf_wrong"])
def test_a_token_that_may_not_write_is_refused_with_the_remedy(access, folder, token):
    with pytest.raises(CheckpointError, match=r"right to write to someone/pushed.*hf auth login"):
        push_folder(folder, NAME, access=replace(access, token=token))


def test_a_hub_that_cannot_be_reached_is_named(writer, folder):
    with pytest.raises(CheckpointError, match=r"must be reachable to push to someone/pushed"):
        push_folder(folder, NAME, access=replace(writer, endpoint="http://127.0.0.1:1"))


@pytest.mark.parametrize("name", ["pushed", "a/b/c", "./pushed", "someone/pushed@main", "a b/c"])
def test_what_is_not_written_like_a_repository_is_refused(folder, name):
    with pytest.raises(InputError, match="repository must be org/name"):
        push_folder(folder, name)


def test_a_folder_that_is_not_a_complete_pipeline_is_not_pushed(hub, writer, folder):
    next((folder / "vae").glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match="Save the pipeline again"):
        push_folder(folder, NAME, access=writer)
    assert NAME not in hub.repositories
