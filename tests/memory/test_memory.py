"""Memory: predictions against measurement, the choice of a setting, and running out."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.memory.choose import Budget, apply_setting, choose_setting
from rays_as_pixels.memory.estimate import TASKS, Planner, Workload
from rays_as_pixels.memory.guard import explain_out_of_memory
from rays_as_pixels.memory.settings import (
    BY_NAME,
    SETTINGS,
    MemorySetting,
    Offload,
    VaePieces,
    named_setting,
    settings_for,
)
from rays_as_pixels.memory.shapes import ModelShapes
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.presets import make_preset

CPU = torch.device("cpu")
TOY_WORK = Workload("estimate", 5, 32, 32)
FACTOR = 2.0  # that a prediction may be off; these runs are within 1.25


@pytest.fixture(scope="module")
def shipped() -> RaysAsPixelsPipeline:
    pipe = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def shapes() -> ModelShapes:
    return ModelShapes.from_folder(DEFAULT_MODEL)


def measured_bytes(run: Callable[[], object]) -> int:
    """Return the most bytes that tensors made by `run` hold at one time, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    recorded = cast(Any, profiler.profiler).kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in recorded if e.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        peak = max(peak, held)
    return peak


def video_for(work: Workload) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(work.frames, 3, work.height, work.width, generator=generator)


def run_task(pipe: RaysAsPixelsPipeline, work: Workload, video: torch.Tensor) -> Any:
    pipe.sizes[:] = [(work.height, work.width)]
    generator = torch.Generator().manual_seed(0)
    run = RunOptions(generator=generator, progress=lambda *_: None)
    estimate = EstimateOptions(num_inference_steps=1, num_samples=work.seeds)
    generate = GenerateOptions(num_inference_steps=1, num_samples=work.seeds)
    if work.task == "loop":
        return pipe.loop(video, estimate_options=estimate, generate_options=generate, run=run)
    if work.task == "estimate":
        return pipe.estimate(video, options=estimate, run=run)
    if work.task == "imagine":
        imagine = ImagineOptions(num_inference_steps=1, num_samples=work.seeds)
        return pipe.imagine(video[0], num_frames=work.frames, options=imagine, run=run)
    path = make_preset(
        "orbit", num_frames=work.frames, fps=10, height=work.height, width=work.width
    )
    return pipe.generate(video[0], path, options=generate, run=run)


@pytest.mark.parametrize(
    "work",
    [
        Workload("estimate", 5, 64, 64),
        pytest.param(Workload("estimate", 17, 128, 128), marks=pytest.mark.slow),
        Workload("generate", 9, 96, 160),
        pytest.param(Workload("imagine", 9, 96, 160), marks=pytest.mark.slow),
        pytest.param(Workload("loop", 9, 96, 160, seeds=2), marks=pytest.mark.slow),
    ],
    ids=lambda work: f"{work.task}-{work.frames}-{work.height}-{work.width}",
)
def test_peak_memory_of_the_shipped_model_is_as_predicted_within_a_factor(shipped, shapes, work):
    video = video_for(work)
    measured = measured_bytes(lambda: run_task(shipped, work, video))
    found = Planner(shapes, work, device_type="cpu").estimate(MemorySetting())
    predicted = max(phase.activations for phase in found.phases)
    assert measured / FACTOR < predicted < measured * FACTOR


def test_weights_are_counted_from_configs_alone(shipped, shapes):
    for name, counted in (
        ("transformer", shapes.transformer_parameters),
        ("vae", shapes.vae_parameters),
    ):
        assert counted == sum(p.numel() for p in getattr(shipped, name).parameters())


def test_the_14b_shape_has_the_papers_parameters():
    count = ModelShapes.from_preset("14B").transformer_parameters
    assert count == pytest.approx(20e9, rel=0.02), "14B of Wan and 6B of rays"


def test_8_bit_weights_take_about_a_byte_each_in_the_blocks(shipped, shapes):
    planner = Planner(shapes, Workload("generate", 9, 64, 64), device_type="cuda")
    full, fp8 = (planner.estimate(BY_NAME[name]).phases[0].weights for name in ("full", "fp8"))
    network = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL).transformer
    before = sum(p.numel() * p.element_size() for p in network.parameters())
    network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    after = sum(p.numel() * p.element_size() for p in network.parameters())
    assert full - fp8 == pytest.approx(before - after, rel=0.3)


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(
        ModelShapes.from_preset("14B"), Workload("generate", 9, 480, 832), dtype=torch.bfloat16
    )


def test_every_step_down_the_list_of_offloads_needs_less(planner):
    for fp8, vae in ((False, VaePieces.WHOLE), (True, VaePieces.SLICES)):
        needs = [planner.estimate(MemorySetting(each, fp8, vae)).total for each in Offload]
        assert needs == sorted(needs, reverse=True)


def test_the_first_setting_that_fits_is_taken_and_none_is_an_error(planner):
    plenty = 10**15
    order = [setting.name for setting in SETTINGS]
    taken = [
        choose_setting(planner, Budget(gb * 10**9, plenty)).setting.name for gb in (200, 80, 48, 16)
    ]
    assert taken[0] == "full"
    assert [order.index(name) for name in taken] == sorted(order.index(name) for name in taken)
    with pytest.raises(InputError, match=r"got 2.0 GB free.*Use fewer --frames"):
        choose_setting(planner, Budget(2 * 10**9, plenty))
    with pytest.raises(InputError, match=r"8.0 GB in the machine"):
        choose_setting(planner, Budget(24 * 10**9, 8 * 10**9))


def test_on_a_cpu_nothing_is_offloaded():
    assert {s.name for s in settings_for("cpu")} == {"full", "full+slicing", "full+tiling"}
    assert named_setting("tiling+full", "cpu").vae is VaePieces.TILES
    with pytest.raises(InputError, match="must suit the device; got 'group-offload' on cpu"):
        named_setting("group-offload", "cpu")
    with pytest.raises(InputError, match=r"must be auto or one of full, full\+slicing"):
        named_setting("tiny", "cuda")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("full+slicing", marks=pytest.mark.slow),
        pytest.param("group-offload", marks=pytest.mark.slow),
        "group-offload+slicing",
    ],
)
def test_offloading_and_slicing_change_no_number(toy_folder, name):
    def paths(setting: MemorySetting) -> torch.Tensor:
        pipe = RaysAsPixelsPipeline.from_pretrained(toy_folder)
        apply_setting(pipe, setting, CPU)
        return run_task(pipe, TOY_WORK, video_for(TOY_WORK)).raxels

    torch.testing.assert_close(paths(BY_NAME[name]), paths(MemorySetting()))


def test_8_bit_weights_run_and_stay_close(toy_folder):
    pipe = RaysAsPixelsPipeline.from_pretrained(toy_folder)
    apply_setting(pipe, BY_NAME["fp8"], CPU)
    assert pipe.transformer.blocks[0].ffn.net[2].weight.dtype == torch.float8_e4m3fn
    assert torch.isfinite(run_task(pipe, TOY_WORK, video_for(TOY_WORK)).raxels).all()


def test_memory_that_runs_out_is_an_error_that_names_the_setting_to_change(toy):
    class Pipe:
        memory_setting = "full"

        @explain_out_of_memory
        def estimate(self) -> torch.Tensor:
            return torch.empty(2**60, dtype=torch.uint8)  # more than any machine has

        @explain_out_of_memory
        def generate(self) -> None:
            raise RuntimeError("something else")

    with pytest.raises(InputError, match=r"estimate must fit.*Use --offload full\+slicing"):
        Pipe().estimate()
    Pipe.memory_setting = "full+slicing"  # on a CPU weights have nowhere else to go
    with pytest.raises(InputError, match=r"Use --offload full\+tiling"):
        Pipe().estimate()
    with pytest.raises(RuntimeError, match="something else"):
        Pipe().generate()
    for verb in TASKS:
        assert hasattr(getattr(type(toy), verb), "__wrapped__"), f"{verb} is not guarded"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "1.3B", "--frames", "10"], "multiple of 4 plus 1"),
        (["--size", "480by832"], "--size must be HxW"),
        (["--size", "100x100"], "must be multiples of 16"),
        (["--model", "9B"], "must be a folder that exists"),
    ],
)
def test_the_memory_verb_refuses_what_no_model_can_run(capsys, arguments, message):
    assert main(["memory", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_memory_verb_prints_what_fits_which_gpu(capsys, toy_folder):
    assert main(["memory", "--model", str(toy_folder), "--gpu-gb", "8", "--all"]) == 0
    printed = capsys.readouterr().out
    assert "| 8 GB | full 0.9 |" in printed
    assert "estimated, not measured" in printed
    frames = json.loads((toy_folder / "model_index.json").read_text())["num_frames"]
    assert f"{frames} frames at 32x32" in printed
    assert all(f"| {setting.name} |" in printed for setting in SETTINGS)
