"""What the app says about a model before it is loaded, and its options."""

import argparse
import json
from pathlib import Path

from rays_as_pixels.cli.app import add_options, model_facts


def test_the_card_and_the_index_describe_a_model_without_loading_it(tmp_path):
    card = "# Model\n\n- **Trained on:** 40,000 rendered clips.\n"
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    index = {"num_frames": 17, "max_frames": 33}
    (tmp_path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "vae").mkdir()
    codec = json.dumps({"scale_factor_temporal": 4})
    (tmp_path / "vae" / "config.json").write_text(codec, encoding="utf-8")
    facts = model_facts(tmp_path, "cuda:0")
    assert (facts.name, facts.device) == (tmp_path.name, "cuda:0")
    assert facts.trained_on == "40,000 rendered clips"
    assert (facts.num_frames, facts.max_frames) == (17, 33)
    assert list(facts.clip_lengths) == [5, 9, 13, 17, 21, 25, 29, 33]


def test_a_missing_or_damaged_folder_is_described_by_its_name(tmp_path):
    assert model_facts(Path("nowhere/mini"), "cpu").name == "mini"
    (tmp_path / "model_index.json").write_text("{", encoding="utf-8")
    assert model_facts(tmp_path, "cpu").trained_on == ""


def test_the_app_needs_no_options_and_stays_on_this_machine(monkeypatch):
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    parser = argparse.ArgumentParser()
    add_options(parser)
    args = parser.parse_args([])
    assert args.host == "127.0.0.1" and args.port is None and args.share is False
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parser.parse_args([]).port == 7999
