import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_wan import saved_wan, tiny_transformer

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.joint_state import JointState
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.model.wan.convert import (
    closed_rows,
    closed_table,
    count_parameters,
    joint_config,
    joint_names,
    shape_config,
)
from rays_as_pixels.model.wan.folder import ConvertOptions, convert_wan
from rays_as_pixels.pipeline.options import RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

TINY = ConvertOptions(num_frames=5, max_frames=9, sizes=((32, 32),))


def quiet(stage: str, done: int, total: int) -> None:
    """Convert without a word."""


def converted(source: Path, out: Path, **changes) -> Path:
    convert_wan(source, out, ConvertOptions(**{**vars(TINY), **changes}), progress=quiet)
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wan") / "single"
    saved_wan(folder)
    return folder


@pytest.fixture(scope="module")
def sharded_source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wan") / "sharded"
    saved_wan(folder, max_shard_size="40KB")
    return folder


@pytest.fixture(scope="module")
def joint_folder(source, tmp_path_factory) -> Path:
    return converted(source, tmp_path_factory.mktemp("joint") / "pipeline")


def changed_copy(source: Path, place: Path, file: str, **changes) -> Path:
    """Copy a folder and change values of one of its JSON files."""
    shutil.copytree(source, place)
    values = json.loads((place / file).read_text()) | changes
    (place / file).write_text(json.dumps(values))
    return place


def joint_state(batch: int = 2) -> JointState:
    generator = torch.Generator().manual_seed(0)
    return JointState(
        torch.randn(batch, 4, 3, 4, 8, generator=generator),
        torch.full((batch, 3), 0.7),
        torch.randn(batch, 4, 9, 2, 4, generator=generator),
        torch.full((batch, 9), 0.4),
    )


@pytest.mark.parametrize("kind", ["source", "sharded_source"])
@torch.no_grad()
def test_at_the_start_the_video_velocity_is_wans(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    out = converted(folder, tmp_path / "out", max_shard_bytes=50_000)
    assert len(list((out / "transformer").glob("*.safetensors"))) > 2
    wan = WanPipeline.from_pretrained(folder)
    ours = RaysAsPixelsPipeline.from_pretrained(out).transformer
    state = joint_state()
    text, _ = wan.encode_prompt(
        ["a cat walks", "the room"], do_classifier_free_guidance=False, max_sequence_length=512
    )
    theirs = wan.transformer(state.latents, torch.full((2,), 700.0), text).sample
    mine = ours(state, text)
    # float32 over two blocks; measured: 2.5e-7 at velocities up to 1.7
    torch.testing.assert_close(mine.video, theirs, rtol=0, atol=5e-6)
    assert theirs.abs().max() > 0.1
    # The rays see the video and answer in finite numbers that are not Wan's.
    assert mine.rays.isfinite().all()
    assert mine.rays.abs().max() > 0.1


@torch.no_grad()
def test_an_opened_gate_lets_the_rays_into_the_video(joint_folder):
    network = RaysAsPixelsPipeline.from_pretrained(joint_folder).transformer
    state, text = joint_state(), torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    other = JointState(state.latents, state.sigma, -state.ray_latents, state.ray_sigma)
    assert torch.equal(network(state, text).video, network(other, text).video)
    for block in network.blocks:
        block.cross_scale_shift_table[:, 2] = 1.0
    assert (network(state, text).video - network(other, text).video).abs().max() > 1e-4


def test_the_ray_branch_is_a_copy_of_norms_and_feed_forwards(source, joint_folder):
    wan = load_file(source / "transformer" / "diffusion_pytorch_model.safetensors")
    ours = load_file(joint_folder / "transformer" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(ours[name], weight) for name, weight in wan.items())
    for block in ("blocks.0.", "blocks.1."):
        for name in ("net.0.proj.weight", "net.0.proj.bias", "net.2.weight", "net.2.bias"):
            assert torch.equal(ours[f"{block}ray_ffn.{name}"], wan[f"{block}ffn.{name}"])
        table = wan[f"{block}scale_shift_table"]
        assert torch.equal(ours[f"{block}ray_scale_shift_table"], table)
        for cross in ("cross_scale_shift_table", "ray_cross_scale_shift_table"):
            assert torch.equal(ours[block + cross][:, :2], table[:, :2])
            assert ours[block + cross][:, 2].abs().max() == 0
    for name in ("cross_time_proj", "ray_cross_time_proj"):
        gate = ours[f"{name}.weight"][48:]
        assert gate.shape == (24, 24)
        assert gate.abs().max() == ours[f"{name}.bias"][48:].abs().max() == 0
        shift_and_scale = wan["condition_embedder.time_proj.weight"][:48]
        assert torch.equal(ours[f"{name}.weight"][:48], shift_and_scale)


def test_closing_keeps_shift_and_scale_and_zeroes_the_gate():
    table = torch.arange(6.0)[None, :, None].expand(1, 6, 2)
    assert closed_table(table)[0, :, 0].tolist() == [0, 1, 0]
    rows = torch.arange(12.0)  # width 2: shift 0 1, scale 2 3, gate 4 5, ...
    assert closed_rows(rows).tolist() == [0, 1, 2, 3, 0, 0]


def test_the_key_map_names_every_weight_of_wan_and_gives_every_weight_of_the_joint_network():
    wan = tiny_transformer()
    config = joint_config({**wan.config, "_class_name": "WanTransformer3DModel"}, text_len=7)
    made = {new for name in wan.state_dict() for new, _ in joint_names(name)}
    wanted = set(RaysAsPixelsTransformer3DModel(**config).state_dict())
    assert wanted - made == {"kind_embedding", "ray_kind_embedding", "empty_text"}
    assert made <= wanted


@pytest.mark.parametrize(
    ("size", "video", "rays"), [("1.3B", 1.419e9, 0.855e9), ("14B", 14.288e9, 5.981e9)]
)
def test_counts_at_the_published_sizes_need_no_memory(size, video, rays):
    counts = count_parameters(shape_config(size))
    assert counts.video == pytest.approx(video, rel=1e-3)
    assert counts.rays == pytest.approx(rays, rel=1e-3)
    assert counts.size() == size


def test_the_14b_network_is_as_large_as_the_papers(capsys):
    assert main(["convert-wan", "--counts"]) == 0
    counts = count_parameters(shape_config("14B"))
    assert round(counts.video / 1e9) == 14
    assert round(counts.rays / 1e9) == 6
    printed = capsys.readouterr().out
    assert "14.288      14" in printed
    assert "5.981       6" in printed


def test_the_empty_prompt_is_carried_in_the_network(source, joint_folder):
    wan = WanPipeline.from_pretrained(source)
    empty, _ = wan.encode_prompt("", do_classifier_free_guidance=False, max_sequence_length=512)
    network = RaysAsPixelsPipeline.from_pretrained(joint_folder).transformer
    torch.testing.assert_close(network.empty_text, empty[0], rtol=0, atol=1e-6)
    state = joint_state()
    with torch.no_grad():
        assert torch.equal(network(state).video, network(state, empty.expand(2, -1, -1)).video)


def test_other_parts_are_carried_along_and_the_schedule_keeps_wans_shift(source, joint_folder):
    pipe = RaysAsPixelsPipeline.from_pretrained(joint_folder)
    assert pipe.scheduler.config.shift == pipe.ray_scheduler.config.shift == 3.0
    assert (pipe.num_frames, pipe.max_frames, pipe.sizes) == (5, 9, [(32, 32)])
    for part in ("vae", "text_encoder", "tokenizer"):
        for file in (source / part).iterdir():
            assert (joint_folder / part / file.name).read_bytes() == file.read_bytes()
    # Until measured, raxels have the video's statistics, as the docs say.
    assert isinstance(pipe.codec, LatentCodec)
    assert pipe.codec.raxel_statistics == pipe.codec.video_statistics


def test_weights_are_cast_except_what_diffusers_keeps_in_float32(source, tmp_path):
    out = converted(source, tmp_path / "out", dtype=torch.bfloat16)
    with safe_open(
        out / "transformer" / "diffusion_pytorch_model.safetensors", framework="pt"
    ) as file:
        dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert dtypes["blocks.0.ray_ffn.net.2.weight"] == "BF16"
    assert dtypes["blocks.0.cross_scale_shift_table"] == "F32"
    assert dtypes["condition_embedder.time_embedder.linear_1.weight"] == "F32"


def test_without_the_text_encoder_the_empty_prompt_still_works(source, tmp_path):
    out = converted(source, tmp_path / "out", text_encoder=False)
    pipe = RaysAsPixelsPipeline.from_pretrained(out)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.text_encoder is None
    video = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert len(pipe.estimate(video).trajectory) == 5
    with pytest.raises(InputError, match="prompt_embeds for a model without a text encoder"):
        pipe.estimate(video, run=RunOptions(prompt="a cat"))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "WanPipeline with one transformer"),
        ("model_index.json", {"transformer_2": ["diffusers", "X"]}, "with one transformer"),
        ("model_index.json", {"vae": [None, None]}, "must hold the part 'vae'"),
        ("transformer/config.json", {"_class_name": "FluxModel"}, "must be a WanTransformer3D"),
        ("transformer/config.json", {"image_dim": 1280}, "image_dim = 1280"),
        ("transformer/config.json", {"patch_size": [2, 2, 2]}, "patch_size"),
        ("transformer/config.json", {"num_layers": 3}, "must fit its config.json.*missing"),
        ("transformer/config.json", {"num_layers": 1}, "too many"),
        ("transformer/config.json", {"ffn_dim": 40}, "of another shape"),
        ("vae/config.json", {"z_dim": 48}, "vae must be Wan 2.1's"),
        ("scheduler/scheduler_config.json", {"flow_shift": None}, "flow_shift or shift"),
        ("transformer/config.json", {"text_dim": 32}, "32 channels"),
    ],
)
def test_what_is_not_wan_t2v_is_refused_and_nothing_is_left(
    source, tmp_path, file, change, message
):
    other = changed_copy(source, tmp_path / "source", file, **change)
    with pytest.raises(CheckpointError, match=message):
        converted(other, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_image_to_video_weights_are_refused_by_name(source, tmp_path):
    other = tmp_path / "source"
    shutil.copytree(source, other)
    file = other / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({**weights, "blocks.0.attn2.add_k_proj.weight": torch.zeros(24, 24)}, file)
    with pytest.raises(CheckpointError, match=r"add_k_proj.weight.*Convert a T2V"):
        converted(other, tmp_path / "out")


def test_a_cut_off_weight_file_and_a_missing_shard_are_refused(sharded_source, tmp_path):
    other = tmp_path / "source"
    shutil.copytree(sharded_source, other)
    shard = sorted((other / "transformer").glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="whole safetensors files"):
        converted(other, tmp_path / "out")
    shard.unlink()
    with pytest.raises(CheckpointError, match="got none named"):
        converted(other, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": ((40, 32),)}, r"multiple of 32 pixels on both sides; got 40 x 32. Use 32 x 32"),
        ({"num_frames": 6}, "num_frames must be 4k"),
        ({"max_frames": 2}, "max_frames must be 4k"),
    ],
)
def test_options_that_do_not_fit_are_refused(source, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        converted(source, tmp_path / "out", **change)


def test_a_full_folder_is_not_overwritten(source, joint_folder):
    with pytest.raises(InputError, match="new or empty folder"):
        converted(source, joint_folder)


@pytest.mark.slow
def test_the_command_converts_measures_and_prints_the_counts(source, tmp_path, capfd):
    out = tmp_path / "joint"
    words = ["--frames", "5", "--max-frames", "9", "--size", "32x32", "--raxel-clips", "2"]
    assert main(["convert-wan", str(source), str(out), *words]) == 0
    said = capfd.readouterr()
    assert said.out.strip() == str(out)
    assert "ray branch" in said.err
    first = json.loads((out / "model_index.json").read_text())["raxel_latents_std"]
    assert first != json.loads((source / "vae" / "config.json").read_text())["latents_std"]
    assert main(["measure-raxels", str(out), "--clips", "3"]) == 0
    assert json.loads((out / "model_index.json").read_text())["raxel_latents_std"] != first
    assert main(["convert-wan", str(tmp_path / "none"), str(tmp_path / "x")]) == 2


_MEASURE = """
import sys, threading, time
from pathlib import Path
import torch
from rays_as_pixels.model.wan.stream import plan, weight_files, write_weights
from rays_as_pixels.model.wan.convert import joint_config
import json

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024

source, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir()
config = joint_config(json.loads((source / "config.json").read_text()), text_len=1)
before, peak, done = anonymous(), [0], [False]
def watch():
    while not done[0]:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)
thread = threading.Thread(target=watch, daemon=True)
thread.start()
pieces = plan(weight_files(source), config, empty_text=torch.zeros(1, 16), dtype=None)
write_weights(pieces, out, max_shard_bytes=8_000_000, progress=lambda done, total: None)
done[0] = True
thread.join()
print(json.dumps({"peak": peak[0] - before, "all": sum(p.nbytes for p in pieces)}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_conversion_takes_about_one_shard_of_memory(tmp_path):
    tiny_transformer(
        num_attention_heads=8, attention_head_dim=48, ffn_dim=1536, num_layers=12
    ).save_pretrained(tmp_path / "wan", max_shard_size="20MB")
    ran = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path / "wan"), str(tmp_path / "joint")],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(ran.stdout.splitlines()[-1])
    assert measured["all"] > 150e6
    # A shard of 8 MB, the bytes it is written from, and the allocator's slack.
    assert measured["peak"] < 40e6
