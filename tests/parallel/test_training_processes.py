"""Training over two processes gives what one process gives, and whole runs survive it."""

from pathlib import Path

import pytest
import torch

from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from tests.parallel.two_processes import ROOT, run_in_one, run_in_two

pytestmark = pytest.mark.timeout(1300)  # two runs of two processes; seconds on an idle machine
WORKER = "tests/parallel/training_worker.py"
MUON_TOLERANCE = 6e-3  # Muon orthogonalises in bfloat16, which rounds at 1 in 256


def launched_with(config: str | None) -> dict[str, str]:
    """Return the environment that `accelerate launch --config_file CONFIG` gives its processes."""
    if config is None:
        return {"ACCELERATE_USE_CPU": "true"}
    names = {
        "fsdp_version": "FSDP_VERSION",
        "fsdp_reshard_after_forward": "FSDP_RESHARD_AFTER_FORWARD",
        "fsdp_auto_wrap_policy": "FSDP_AUTO_WRAP_POLICY",
        "fsdp_transformer_layer_cls_to_wrap": "FSDP_TRANSFORMER_CLS_TO_WRAP",
        "fsdp_state_dict_type": "FSDP_STATE_DICT_TYPE",
        "fsdp_cpu_ram_efficient_loading": "FSDP_CPU_RAM_EFFICIENT_LOADING",
        "fsdp_offload_params": "FSDP_OFFLOAD_PARAMS",
    }
    lines = (line.split("#")[0] for line in (ROOT / config).read_text().splitlines())
    pairs = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    given = {names[key]: value for key, value in pairs.items() if key in names}
    assert len(given) == len(names)
    return {"ACCELERATE_USE_CPU": "true", "ACCELERATE_USE_FSDP": "true", **given}


@pytest.mark.slow
@pytest.mark.parametrize(("config", "share"), [(None, 1.0), ("configs/fsdp2.yaml", 0.55)])
def test_two_processes_with_half_of_the_clips_each_train_as_one_with_all(config, share):
    """Four steps, with the optimiser's state gathered and sharded again after two."""
    results = run_in_two([WORKER, "parity"], **launched_with(config))
    adam, muon = results["plain"], results["with_muon"]
    assert adam["local_share"] <= share, "FSDP must shard the weights"
    assert adam["sharded"] == (config is not None)
    assert adam["difference"] < 1e-5  # float32 rounding of a gradient summed in another order
    assert muon["difference"] < MUON_TOLERANCE
    for each in (adam, muon):
        assert each["movement"] > 0.03
        assert each["own_half_only"] > 10 * each["difference"], "without averaging it must differ"


@pytest.mark.slow
def test_a_sharded_run_that_is_killed_goes_on_to_the_weights_of_one_process(tmp_path):
    """Three steps, SIGKILL to both processes, three more from the state on the disk."""
    sharded = launched_with("configs/fsdp2.yaml")
    run_in_two([WORKER, "killed", str(tmp_path / "two")], ends=-9, **sharded)
    assert run_in_two([WORKER, "resumed", str(tmp_path / "two")], **sharded) == {
        "sharded": True,
        "from_step": 3,
    }
    movement = run_in_one([WORKER, "alone", str(tmp_path / "one")], **launched_with(None))
    two, one = (
        torch.load(tmp_path / name / "transformer-state.pt", weights_only=True)
        for name in ("two", "one")
    )
    assert two["progress"]["step"] == one["progress"]["step"] == 6
    assert movement["movement"] > 5 * MUON_TOLERANCE
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, rtol=0, atol=MUON_TOLERANCE)
    averages = zip(two["ema"]["shadow_params"], one["ema"]["shadow_params"], strict=True)
    for average, expected in averages:
        torch.testing.assert_close(average, expected, rtol=0, atol=MUON_TOLERANCE)


@pytest.mark.slow
def test_a_run_of_two_processes_leaves_a_pipeline_and_goes_on_with_its_weights_sharded(tmp_path):
    stages = ["pool", "autoencoder", "decoder", "latents", "transformer"]
    first = run_in_two([WORKER, "train", str(tmp_path), *stages], **launched_with(None))
    pipe = RaysAsPixelsPipeline.from_pretrained(tmp_path / "pipeline")
    assert pipe.num_frames == 5
    second = run_in_two(
        [WORKER, "train", str(tmp_path), "transformer"], **launched_with("configs/fsdp2.yaml")
    )
    assert second["steps"] > first["steps"] > 0
    assert second["entries"] == first["entries"]
    log = (tmp_path / "log.txt").read_text()
    assert f"resumed at step {first['steps']}" in log
    assert log.count("run started") == 2, "one process writes the log, not both"
    assert not list(Path(tmp_path).glob("*.partial"))
