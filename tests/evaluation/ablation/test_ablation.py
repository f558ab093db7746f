"""The whole of `ablate` at toy size, with real parts."""

import json
import re
from pathlib import Path

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.ablation.data import encode_rays, read_encoded
from rays_as_pixels.evaluation.ablation.representations import RayCodec, representation
from rays_as_pixels.evaluation.ablation.run import AblationOptions, run_ablation
from rays_as_pixels.evaluation.ablation.variants import BASE, VARIANTS
from rays_as_pixels.training.config import training_config

ROOT = Path(__file__).resolve().parents[3]
# One that changes the network, one the rays and one the clips.
CHOSEN = ("default", "global", "plucker", "still-worlds")


def options(folder: Path, **changes) -> AblationOptions:
    sizes = {"steps": 2, "clips": 8, "worlds": 2, "size": (32, 32), "num_frames": 5, "seeds": 1}
    return AblationOptions(folder, **{"variants": CHOSEN, **sizes, **changes})


@pytest.fixture(scope="module")
def done(toy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    lines: list[str] = []
    run_ablation(toy.codec, toy.transformer.motion_features, options(folder), lines.append)
    (folder / "lines.txt").write_text("\n".join(lines))
    return folder


@pytest.mark.slow
def test_every_variant_gets_a_row_of_its_own_beside_the_baselines(done):
    whole = json.loads((done / "ablation.json").read_text())
    rows = whole["tables"]["variants"]["rows"]
    assert [row["id"] for row in rows] == ["identity", "constant-velocity", *CHOSEN]
    assert whole["about"]["steps"] == 2
    trained = {row["id"]: row for row in rows[2:]}
    assert len({row["rotation_mean_deg"] for row in trained.values()}) == len(CHOSEN)
    assert trained["global"]["parameters_m"] != trained["default"]["parameters_m"]
    more = [row["id"] for row in whole["tables"]["more"]["rows"]]
    assert "default/mean of 8 seeds" in more
    assert [name for name in more if name.endswith("autoencoder floor")] == [
        "default/autoencoder floor",
        "plucker/autoencoder floor",
    ], "a floor stands once per representation"
    assert len(whole["tables"]["dynamic_objects"]["rows"]) == 2 * len(CHOSEN)
    page = (done / "ablation.md").read_text()
    assert page.count("\n| ") > 2 * len(CHOSEN)


@pytest.mark.slow
def test_clips_are_rendered_once_per_kind_and_a_second_run_trains_nothing(done, toy):
    assert sorted(p.name for p in done.glob("pool*")) == ["pool", "pool-none"]
    before = (done / "ablation.json").read_text()
    stamps = {p: p.stat().st_mtime_ns for p in done.glob("*/transformer-state.pt")}
    lines: list[str] = []
    run_ablation(toy.codec, toy.transformer.motion_features, options(done), lines.append)
    assert lines == []
    assert (done / "ablation.json").read_text() == before
    assert stamps == {p: p.stat().st_mtime_ns for p in done.glob("*/transformer-state.pt")}
    with pytest.raises(InputError, match="same sizes"):
        run_ablation(
            toy.codec, toy.transformer.motion_features, options(done, steps=3), lines.append
        )


@pytest.mark.slow
def test_latents_are_normalised_and_read_back_as_the_cameras_they_were(done, toy):
    files = sorted((done / "latents").glob("*.safetensors"))
    clips = read_encoded(files, height=32, width=32)
    kind = representation("apart")
    raw = encode_rays(toy.codec, kind, clips.cameras).float()
    assert raw.shape[1] == 2 * clips.latents.shape[1]
    rays = RayCodec.measured(toy.codec, kind, raw)
    normal = rays.statistics.normalise(raw)
    assert float(normal.mean()) == pytest.approx(0, abs=0.05)
    assert float(normal.std()) == pytest.approx(1, abs=0.05)
    images = [
        toy.codec.encode_raxels(image.float()) for image in kind.images_from_cameras(clips.cameras)
    ]
    torch.testing.assert_close(torch.cat(images, 1), raw, rtol=0, atol=0.01)  # kept as halves
    assert rays.cameras_from_images(normal).batch_shape == clips.cameras.batch_shape


def test_a_variant_that_does_not_exist_is_refused_by_name(toy, tmp_path):
    with pytest.raises(InputError, match=r"variants must be of default, .*; got 'dsca'"):
        run_ablation(
            toy.codec, toy.transformer.motion_features, options(tmp_path, variants=("dsca",)), print
        )


def test_variants_differ_from_the_default_and_the_papers_is_also_a_configuration():
    kinds = [(v.config, v.representation, v.dynamic_objects, v.seed) for v in VARIANTS.values()]
    assert len({repr(kind) for kind in kinds}) == len(kinds)
    assert VARIANTS["default"].config == BASE
    paper, own = training_config("paper").transformer, VARIANTS["paper"].config
    assert paper.weights == own.weights
    for name in ("ray_prediction", "attention"):
        assert getattr(paper.network, name) == getattr(own.network, name), name


def test_the_page_names_every_variant_and_no_other():
    page = (ROOT / "docs" / "lab" / "ablations.md").read_text(encoding="utf-8")
    explained = page.split("## What came out")[0]
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", explained, flags=re.MULTILINE)
    assert named == list(VARIANTS)
