"""Memory: predictions against measurement, the choice of a setting, and running out."""

import json
from typing import Any, cast

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.memory.autoencoder import CodecPeaks
from rays_as_pixels.memory.choose import (
    Budget,
    apply_setting,
    choose_setting,
    named_setting,
    settings_for,
)
from rays_as_pixels.memory.estimate import Planner, weight_bytes
from rays_as_pixels.memory.guard import explain_out_of_memory
from rays_as_pixels.memory.measure import measured_bytes
from rays_as_pixels.memory.settings import (
    BY_NAME,
    SETTINGS,
    MemorySetting,
    Offload,
    VaePieces,
    use_pieces,
)
from rays_as_pixels.memory.shapes import ModelShapes, weight_shapes
from rays_as_pixels.memory.tracker import META, peak_bytes
from rays_as_pixels.memory.workload import TASKS, Workload
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.model.transformer.joint_state import JointState
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.presets import make_preset

CPU = torch.device("cpu")
TOY_WORK = Workload("estimate", 5, 32, 32)
# Whole verbs: a percent for small things that no phase holds, such as the path and the images.
VERB_TOLERANCE = 0.02
# Small networks only: time embeddings and position tables, made in float64 on the way.
NETWORK_TOLERANCE = 0.05


@pytest.fixture(scope="module")
def shipped() -> RaysAsPixelsPipeline:
    pipe = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def shapes() -> ModelShapes:
    """Of the shipped model; what was traced for one test is there for the next."""
    return ModelShapes.from_folder(DEFAULT_MODEL)


def video_for(work: Workload) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(work.frames, 3, work.height, work.width, generator=generator)


def new_network(config: dict[str, Any]) -> RaysAsPixelsTransformer3DModel:
    return cast(RaysAsPixelsTransformer3DModel, RaysAsPixelsTransformer3DModel.from_config(config))


def run_task(pipe: RaysAsPixelsPipeline, work: Workload, video: torch.Tensor) -> Any:
    pipe.sizes[:] = [(work.height, work.width)]
    generator = torch.Generator().manual_seed(0)
    common: dict[str, Any] = {"generator": generator, "progress": lambda *_: None}
    common["num_seeds"] = work.seeds
    if work.task == "loop":
        return pipe.loop(video, estimate_steps=1, generate_steps=1, **common)
    common["num_inference_steps"] = 1
    if work.task == "estimate":
        return pipe.estimate(video, **common)
    if work.task == "imagine":
        return pipe.imagine(video[0], num_frames=work.frames, **common)
    path = make_preset(
        "orbit", num_frames=work.frames, fps=10, height=work.height, width=work.width
    )
    return pipe.generate(video[0], path, **common)


@pytest.mark.parametrize(
    "work",
    [
        Workload("estimate", 5, 64, 64),
        pytest.param(Workload("estimate", 9, 64, 64), marks=pytest.mark.slow),
        pytest.param(Workload("estimate", 17, 48, 80), marks=pytest.mark.slow),
        Workload("generate", 5, 64, 64),
        pytest.param(Workload("generate", 9, 96, 160), marks=pytest.mark.slow),
        pytest.param(Workload("imagine", 5, 64, 64), marks=pytest.mark.slow),
        pytest.param(Workload("imagine", 17, 80, 48), marks=pytest.mark.slow),
        pytest.param(Workload("loop", 9, 64, 64, seeds=2), marks=pytest.mark.slow),
    ],
    ids=lambda work: f"{work.task}-{work.frames}-{work.height}-{work.width}",
)
def test_the_prediction_is_what_a_run_of_the_shipped_model_holds(shipped, shapes, work):
    video = video_for(work)
    measured = measured_bytes(lambda: run_task(shipped, work, video), CPU)
    planner = Planner(shapes, work, device_type="cpu")
    predicted = planner.estimate(MemorySetting()).largest.activations
    assert predicted == pytest.approx(measured, rel=VERB_TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_prediction_of_a_denoising_step_is_what_the_network_holds(dtype):
    shapes = ModelShapes.from_preset("mini")
    alone = {"num_layers": 2, "motion_width": None, "temporal_stride": 4}  # as Wan's, no priors
    network = new_network({**shapes.transformer, **alone}).eval()
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)

    def state(device: torch.device) -> JointState:
        return JointState(
            latents=torch.zeros(1, 32, 5, 16, 16, device=device, dtype=dtype),
            sigma=torch.ones(1, 5, device=device),
            ray_latents=torch.zeros(1, 32, 17, 8, 8, device=device, dtype=dtype),
            ray_sigma=torch.ones(1, 17, device=device),
        )

    given = state(CPU)
    with torch.no_grad():
        measured = measured_bytes(lambda: network(given), CPU)
    shadow = cast(Any, network).to(META)
    empty = state(META)
    held = [*shadow.parameters(), *vars(empty).values()]
    predicted = peak_bytes(
        lambda: shadow(empty),
        held=[value for value in held if isinstance(value, torch.Tensor)],
        device_type="cpu",
    )
    assert predicted == pytest.approx(measured, rel=NETWORK_TOLERANCE)


@pytest.mark.slow
def test_all_blocks_hold_the_same_so_that_one_stands_for_all(shapes):
    deep = ModelShapes("deep", {**shapes.transformer, "num_layers": 5}, shapes.vae)
    work = Workload("generate", 5, 64, 64)
    one, all_of_them = (
        Planner(each, work, device_type="cpu").estimate(MemorySetting()) for each in (shapes, deep)
    )
    phases = {phase.name: phase.activations for phase in one.phases}
    assert phases == {phase.name: phase.activations for phase in all_of_them.phases}


@pytest.mark.slow
@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
def test_long_clips_lie_on_the_line_that_short_ones_begin(shapes, device_type):
    codec = LatentCodec(shapes.autoencoder, raxel_mean=[0.0], raxel_std=[1.0])
    held = list(shapes.autoencoder.parameters())
    encoded, decoded = (
        peak_bytes(run, held=held, device_type=device_type)
        for run in (
            lambda: codec.encode_video(torch.empty(1, 25, 3, 32, 32, device=META)),
            lambda: codec.decode_video(torch.empty(1, 32, 25, 4, 4, device=META)),
        )
    )
    peaks = CodecPeaks(shapes, device_type)
    assert peaks.encode(25, (32, 32), VaePieces.WHOLE) == encoded
    assert peaks.decode(25, (32, 32), VaePieces.WHOLE, clips=1) == decoded


@pytest.mark.slow
def test_slices_and_tiles_are_predicted_too(shipped, shapes):
    latents = torch.zeros(1, 32, 3, 4, 4)
    work = Workload("estimate", 6 - 1, 128, 128)
    codec = LatentCodec(
        use_pieces(shapes.new_autoencoder(), VaePieces.SLICES), raxel_mean=[0.0], raxel_std=[1.0]
    )
    sliced = peak_bytes(
        lambda: codec.decode_raxels(torch.empty(1, 32, 5, 8, 8, device=META)),
        held=list(codec.autoencoder.parameters()),
    )
    phases = Planner(shapes, work).estimate(BY_NAME["full+slicing"]).phases
    predicted = {phase.name: phase.activations for phase in phases}["decode rays"]
    # the verb keeps its video, and the rays of its seeds beside their mean, which is decoded
    video, rays = (5, 3, 128, 128), (1, 32, 5, 8, 8)
    assert predicted == sliced + sum(torch.Size(shape).numel() * 4 for shape in (video, rays))
    whole = shipped.codec.decode_raxels(latents)
    shipped.vae.enable_slicing()
    try:
        torch.testing.assert_close(shipped.codec.decode_raxels(latents), whole)
    finally:
        shipped.vae.disable_slicing()


@pytest.mark.slow
def test_tiles_are_predicted_within_a_tenth_of_the_code_and_never_below(shapes):
    vae = use_pieces(shapes.new_autoencoder(), VaePieces.TILES)
    codec = LatentCodec(vae, raxel_mean=[0.0], raxel_std=[1.0])
    held = list(vae.parameters())
    tiled = peak_bytes(
        lambda: codec.encode_video(torch.empty(1, 5, 3, 64, 640, device=META)), held=held
    )
    phases = Planner(shapes, Workload("estimate", 5, 64, 640)).estimate(BY_NAME["full+tiling"])
    assert tiled <= phases.phases[0].activations <= 1.1 * tiled


def test_weights_are_counted_to_the_byte_from_configs_alone(shipped, shapes):
    weights = weight_bytes(shapes, torch.float32, MemorySetting())
    for name, counted in (("transformer", weights.transformer), ("vae", weights.vae)):
        parameters = list(getattr(shipped, name).parameters())
        assert counted == sum(p.numel() * p.element_size() for p in parameters)
        headers = weight_shapes(DEFAULT_MODEL / name)
        stored = [*parameters, *getattr(shipped, name).buffers()]
        assert sum(torch.Size(shape).numel() for shape in headers.values()) == sum(
            p.numel() for p in stored
        )


def test_the_14b_shape_has_the_papers_parameters():
    shapes = ModelShapes.from_preset("14B")
    count = sum(p.numel() for p in shapes.network.parameters())
    assert count == pytest.approx(20e9, rel=0.02), "14B of Wan and 6B of rays"


def test_8_bit_weights_are_counted_as_the_casting_stores_them():
    shapes = ModelShapes.from_preset("mini")
    shapes = ModelShapes("no priors", {**shapes.transformer, "motion_width": None}, shapes.vae)
    counted = weight_bytes(shapes, torch.float32, BY_NAME["fp8"]).transformer
    network = new_network(shapes.transformer)
    network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert counted == sum(p.numel() * p.element_size() for p in network.parameters())


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
    with pytest.raises(InputError, match=r"8.0 GB beside it"):
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
