"""What diffusers' own tests ask of every pipeline, on real components of toy size."""

import shutil

import pytest
import torch
from accelerate import cpu_offload
from diffusers import DiffusionPipeline
from diffusers.callbacks import PipelineCallback
from tiny_wan import saved_joint

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.options import GenerateOptions, ImagineOptions, RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.presets import make_preset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_joint(tmp_path_factory.mktemp("conventions"))


@pytest.fixture
def load(folder):
    def loaded(**options) -> RaysAsPixelsPipeline:
        return silent(RaysAsPixelsPipeline.from_pretrained(folder, **options))

    return loaded


@pytest.fixture(scope="module")
def pipe(folder) -> RaysAsPixelsPipeline:
    return silent(RaysAsPixelsPipeline.from_pretrained(folder))


def silent(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeded(number: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def image() -> torch.Tensor:
    return torch.rand(3, 32, 32, generator=seeded(0))


def made(pipe, *, steps: int = 2, guidance_scale: float = 2.0, **run) -> torch.Tensor:
    """Run everything there is: text, guidance, both streams, the codec."""
    path = make_preset("truck-right", num_frames=5, fps=10, height=32, width=32)
    how = GenerateOptions(num_inference_steps=steps, guidance_scale=guidance_scale)
    run = {"generator": seeded(), **run}
    if pipe.text_encoder is not None:
        run.setdefault("prompt", "a cat")
    return pipe.generate(image(), path, options=how, run=RunOptions(**run)).video


# Saving and loading


@pytest.mark.parametrize(
    ("save", "read"),
    [
        ({}, {}),
        ({"max_shard_size": "20KB"}, {}),
        ({"variant": "fp16"}, {"variant": "fp16"}),
        ({"variant": "fp16", "max_shard_size": "20KB"}, {"variant": "fp16"}),
    ],
    ids=["whole", "sharded", "variant", "sharded variant"],
)
def test_a_saved_pipeline_comes_back_bit_exact(pipe, tmp_path, save, read):
    pipe.save_pretrained(tmp_path, **save)
    files = [file.name for file in (tmp_path / "transformer").glob("*.safetensors")]
    assert (len(files) > 1) == ("max_shard_size" in save)
    assert all(("fp16" in name) == ("variant" in save) for name in files)
    again = silent(RaysAsPixelsPipeline.from_pretrained(tmp_path, **read))
    assert torch.equal(made(again), made(pipe))


def test_optional_parts_may_be_left_out_and_stay_out(load, tmp_path):
    bare = load(tokenizer=None, text_encoder=None)
    bare.save_pretrained(tmp_path)
    assert not (tmp_path / "text_encoder").exists()
    again = silent(RaysAsPixelsPipeline.from_pretrained(tmp_path))
    assert again.text_encoder is None
    assert torch.equal(made(again), made(bare))


def test_the_generic_loader_finds_the_pipeline_when_it_may_run_its_module(folder, pipe):
    generic = silent(DiffusionPipeline.from_pretrained(folder, trust_remote_code=True))
    assert type(generic) is RaysAsPixelsPipeline
    assert torch.equal(made(generic), made(pipe))
    with pytest.raises(ValueError, match="trust_remote_code"):
        DiffusionPipeline.from_pretrained(folder)


def test_our_own_loader_never_runs_a_folders_module(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "pipeline.py").write_text("raise RuntimeError('this ran')\n")
    assert type(RaysAsPixelsPipeline.from_pretrained(copy)) is RaysAsPixelsPipeline


# Components


def test_components_make_another_pipeline_without_new_memory(pipe):
    other = silent(RaysAsPixelsPipeline(**pipe.components, **pipe.parameters))
    assert other.transformer is pipe.transformer
    assert other.codec.raxel_statistics == pipe.codec.raxel_statistics
    assert torch.equal(made(other), made(pipe))


def test_from_pipe_shares_the_weights_and_keeps_the_settings(pipe):
    other = silent(RaysAsPixelsPipeline.from_pipe(pipe))
    assert other.transformer is pipe.transformer
    assert (other.sizes, other.num_frames) == (pipe.sizes, pipe.num_frames)
    assert torch.equal(made(other), made(pipe))


def test_a_component_may_be_handed_over_or_replaced(load, pipe):
    other = load(transformer=pipe.transformer)
    assert other.transformer is pipe.transformer
    before = made(other)
    other.vae = silent_copy(other.vae)
    assert not torch.equal(made(other), before), "the codec must follow the new autoencoder"


def silent_copy(vae):
    """Build the same autoencoder with other weights."""
    changed = type(vae).from_config(vae.config).eval()
    for parameter in changed.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=seeded(9))
    return changed


# Precision, memory, attention


def test_half_precision_gives_about_the_same_video(load, pipe):
    reference = made(pipe)
    half = load(torch_dtype=torch.bfloat16)
    assert half.transformer.dtype == half.vae.dtype == torch.bfloat16
    block = half.transformer.blocks[0]
    assert block.ffn.net[2].weight.dtype == torch.bfloat16
    assert block.scale_shift_table.dtype == torch.float32, "diffusers keeps these in float32"
    # bfloat16 has 8 bits; measured 0.056 with random weights
    torch.testing.assert_close(made(half), reference, rtol=0, atol=0.2)
    mixed = load(torch_dtype={"transformer": torch.bfloat16, "default": torch.float32})
    assert (mixed.transformer.dtype, mixed.vae.dtype) == (torch.bfloat16, torch.float32)
    assert made(mixed).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_cast_pipeline_casts_every_network(load, dtype):
    cast = load().to(dtype)
    for name in ("vae", "transformer", "text_encoder"):
        weights = getattr(cast, name).state_dict().values()
        assert {weight.dtype for weight in weights} == {dtype}
    assert cast.to(torch.float32).transformer.dtype == torch.float32


OFFLOADS = {
    "model": lambda pipe: pipe.enable_model_cpu_offload(device="cpu"),
    "group, layers": lambda pipe: pipe.enable_group_offload(
        onload_device=torch.device("cpu"), offload_type="leaf_level"
    ),
    "group, blocks": lambda pipe: pipe.enable_group_offload(
        onload_device=torch.device("cpu"), offload_type="block_level", num_blocks_per_group=1
    ),
}


@pytest.mark.parametrize("how", OFFLOADS)
def test_offloading_changes_nothing(load, pipe, how):
    offloaded = load()
    OFFLOADS[how](offloaded)
    reference = made(pipe)
    assert torch.equal(made(offloaded), reference)
    assert torch.equal(made(offloaded), reference), "a second run must find everything again"


def test_group_offloading_to_the_disk_changes_nothing(load, pipe, tmp_path):
    offloaded = load()
    # Not the text encoder: diffusers reads its tied embedding back as whatever memory holds.
    offloaded.enable_group_offload(
        onload_device=torch.device("cpu"),
        offload_type="leaf_level",
        offload_to_disk_path=str(tmp_path),
        exclude_modules=["text_encoder"],
    )
    assert list(tmp_path.iterdir())
    # memory read back is aligned otherwise, so sums round otherwise
    torch.testing.assert_close(made(offloaded), made(pipe), rtol=0, atol=1e-4)


def test_sequential_offloading_changes_nothing(load, pipe):
    # What enable_sequential_cpu_offload does, which itself names the device "cpu:0": on that,
    # accelerate's hooks lose the class of the weights.
    offloaded = load()
    for name in ("vae", "transformer", "text_encoder"):
        cpu_offload(getattr(offloaded, name), torch.device("cpu"), offload_buffers=True)
    assert offloaded.transformer.proj_out.weight.device.type == "meta"
    assert torch.equal(made(offloaded), made(pipe))


def test_fp8_layerwise_casting_stores_less_and_gives_about_the_same(load, pipe):
    cast = load()
    cast.transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    assert cast.transformer.blocks[0].ffn.net[2].weight.dtype == torch.float8_e4m3fn
    # 3 bits of mantissa in the feed-forwards and attentions; measured 4e-4
    torch.testing.assert_close(made(cast), made(pipe), rtol=0, atol=0.05)


def test_attention_slicing_and_backends_change_nothing(load, pipe):
    reference = made(pipe)
    other = load()
    other.enable_attention_slicing()
    assert torch.equal(made(other), reference)
    other.disable_attention_slicing()
    other.transformer.set_attention_backend("_native_math")
    # another kernel sums in another order
    torch.testing.assert_close(made(other), reference, rtol=0, atol=1e-4)


# Batches


def test_several_samples_at_once_equal_one_at_a_time(pipe):
    path = make_preset("truck-right", num_frames=5, fps=10, height=32, width=32)
    numbers = (3, 4, 5)
    calls = {
        "generate": lambda count, run: pipe.generate(
            image(), path, options=GenerateOptions(2, 2.0, num_samples=count), run=run
        ),
        "imagine": lambda count, run: pipe.imagine(
            image(),
            num_frames=5,
            options=ImagineOptions(2, guidance_scale=2.0, num_samples=count),
            run=run,
        ),
    }
    for verb, call in calls.items():
        several = RunOptions(generator=[seeded(number) for number in numbers], prompt="a cat")
        at_once = call(3, several).videos
        assert at_once.shape == (3, 5, 3, 32, 32)
        for index, number in enumerate(numbers):
            alone = call(1, RunOptions(generator=seeded(number), prompt="a cat")).videos[0]
            # the same sums in another order
            torch.testing.assert_close(
                at_once[index], alone, rtol=0, atol=1e-4, msg=lambda m, verb=verb: f"{verb}: {m}"
            )
        assert (at_once[0] - at_once[1]).abs().max() > 1e-3


def test_imagine_reads_a_path_for_every_sample(pipe):
    out = pipe.imagine(
        image(),
        num_frames=5,
        options=ImagineOptions(num_samples=2, num_inference_steps=1),
        run=RunOptions(generator=seeded()),
    )
    assert len(out.trajectories) == 2
    assert torch.equal(out.videos[0], out.video)
    one, two = (path.cameras.world_from_cam for path in out.trajectories)
    assert not torch.equal(one, two)


def test_generators_must_be_one_or_one_per_sample(pipe):
    with pytest.raises(InputError, match="a list of num_samples = 2; got a list of 3"):
        pipe.imagine(
            image(), options=ImagineOptions(num_samples=2), run=RunOptions(generator=[seeded()] * 3)
        )


# Callbacks, interruption, progress

ALL_INPUTS = ("latents", "ray_latents", "prompt_embeds", "negative_prompt_embeds")


def test_a_callback_gets_just_the_tensors_it_names(pipe):
    seen = []

    def callback(own, step, timestep, tensors):
        seen.append((own is pipe, step, sorted(tensors)))
        return tensors

    made(
        pipe,
        callback_on_step_end=callback,
        callback_on_step_end_tensor_inputs=ALL_INPUTS,
        prompt="a cat",
        negative_prompt="blurred",
    )
    assert seen == [(True, 0, sorted(ALL_INPUTS)), (True, 1, sorted(ALL_INPUTS))]
    seen.clear()
    made(pipe, callback_on_step_end=callback, callback_on_step_end_tensor_inputs=("latents",))
    assert seen == [(True, 0, ["latents"]), (True, 1, ["latents"])]


def test_a_callbacks_latents_replace_all_but_what_was_given(pipe):
    ends = {}

    def callback(own, step, timestep, tensors):
        ends[step] = tensors["latents"].clone()
        return {"latents": torch.zeros_like(tensors["latents"])}

    made(pipe, callback_on_step_end=callback, steps=2)
    assert ends[0][:, :, 1].abs().max() > 0
    untouched = {}

    def watch(own, step, timestep, tensors):
        untouched[step] = tensors["latents"].clone()
        return {}

    made(pipe, callback_on_step_end=watch, steps=2)
    assert torch.equal(ends[1][:, :, 0], untouched[1][:, :, 0]), "the image's latents stay"
    assert not torch.equal(ends[1][:, :, 1], untouched[1][:, :, 1])


def test_a_callback_may_ask_only_for_what_there_is(pipe):
    with pytest.raises(InputError, match=r"must be some of latents, ray_latents.*got 'noise'"):
        made(
            pipe,
            callback_on_step_end=lambda *_: {},
            callback_on_step_end_tensor_inputs=("noise",),
        )


def test_a_callback_may_turn_guidance_off(pipe):
    class Cutoff(PipelineCallback):
        tensor_inputs = ("latents",)

        def callback_fn(self, own, step, timestep, tensors):
            own._guidance_scale = 0.0
            return tensors

    calls = []
    count = pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
    try:
        made(pipe, guidance_scale=3.0, steps=3)
        guided = len(calls)
        calls.clear()
        made(
            pipe,
            guidance_scale=3.0,
            steps=3,
            callback_on_step_end=Cutoff(cutoff_step_ratio=None, cutoff_step_index=0),
        )
        assert len(calls) < guided
    finally:
        count.remove()


def test_a_callback_may_interrupt_and_gets_what_is_there(pipe):
    steps = []

    def callback(own, step, timestep, tensors):
        steps.append(step)
        own._interrupt = step == 1
        return tensors

    early = made(pipe, callback_on_step_end=callback, steps=5)
    assert steps == [0, 1]
    assert early.shape == (5, 3, 32, 32)
    steps.clear()
    made(pipe, steps=2)
    assert not pipe.interrupt, "the next run starts anew"


def test_the_progress_bar_counts_steps_unless_somebody_else_does(load, capsys):
    pipe = load()
    pipe.set_progress_bar_config(disable=False)
    made(pipe, steps=3)
    assert "3/3" in capsys.readouterr().err
    made(pipe, progress=lambda stage, done, total: None)
    assert capsys.readouterr().err == ""
    pipe.set_progress_bar_config(disable=True)
    made(pipe)
    assert capsys.readouterr().err == ""
