"""Shards: what is packed is what is read, by us and by the webdataset package, and whole."""

import json
import tarfile

import numpy as np
import pytest
import torch
import webdataset

from rays_as_pixels.cli.main import main
from rays_as_pixels.datasets.matching import has_opencv
from rays_as_pixels.datasets.shard_writer import PackOptions, pack
from rays_as_pixels.datasets.spec import open_source, parse_spec
from rays_as_pixels.datasets.webdataset_shards import shard_files
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.native import native_text
from tests.datasets.layouts import HEIGHT, WIDTH, save_frames, write_colmap, write_re10k
from tests.optional import DATA


def refs_of(spec):
    return open_source(parse_spec(spec)).refs


def packed(spec, out, **options):
    return list(pack(refs_of(spec), out, PackOptions(images=False, **options)))


@pytest.mark.parametrize("encoding", ["mp4", "jpg"])
def test_cameras_points_and_times_come_back_exactly_and_frames_closely(room, tmp_path, encoding):
    write_colmap(tmp_path / "data" / "scene.one", room, binary=True)
    (shard,) = packed(f"colmap:{tmp_path / 'data'}", tmp_path / "out", encoding=encoding)
    assert shard.kept == ("scene_one",)
    video = refs_of(f"shards:{shard.path}")[0].load()
    for name in ("world_from_cam", "focal_px", "center_px"):
        found, true = getattr(video.cameras, name), getattr(room.cameras, name)
        torch.testing.assert_close(found, true, atol=1e-9, rtol=0)
    assert torch.equal(video.points.xyz, torch.from_numpy(room.xyz))
    assert len(video.points.seen_in(4)) == int((room.frame == 4).sum())
    off = (video.frames.read([7, 2]) - room.video[[7, 2]]).abs().mean()
    other = (video.frames.read([7, 2]) - room.video[[2, 7]]).abs().mean()
    assert off < (0.06 if encoding == "mp4" else 0.03) < other


def test_reduced_frames_take_the_intrinsics_with_them(room, tmp_path):
    write_re10k(tmp_path / "data", room)
    (shard,) = packed(f"re10k:{tmp_path / 'data'}", tmp_path / "out", short_side=51)
    video = refs_of(f"shards:{shard.path}")[0].load()
    height, width = video.frames.size
    assert (height, width) == (52, 68), "even, for mp4, and nearest to 51 x 68"
    scale = torch.tensor([width / WIDTH, height / HEIGHT]).double()
    torch.testing.assert_close(video.cameras.focal_px, room.cameras.focal_px * scale)
    torch.testing.assert_close(video.cameras.center_px, room.cameras.center_px * scale)


def test_broken_sequences_are_listed_and_left_out_and_a_stopped_run_goes_on(room, tmp_path, capsys):
    for name in "abcde":
        write_re10k(tmp_path / "data", room, name, frames=name != "c")
    out = tmp_path / "out"
    words = ["dataset", "pack", f"re10k:{tmp_path / 'data'}", str(out), "--no-images"]
    assert main([*words, "--per-shard", "2"]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[0].startswith("c: file: c must have frames")
    assert lines[1:] == [str(out / f"shard-00000{k}.tar") for k in range(3)]
    before = (out / "shard-000000.tar").stat().st_mtime_ns
    (out / "shard-000001.tar").unlink()
    again = packed(f"re10k:{tmp_path / 'data'}", out, per_shard=2)
    assert [shard.fresh for shard in again] == [False, True, False]
    assert [shard.kept for shard in again] == [("a", "b"), ("d",), ("e",)]
    assert [refusal.name for shard in again for refusal in shard.refused] == ["c"]
    assert (out / "shard-000000.tar").stat().st_mtime_ns == before
    names = [ref.name for ref in refs_of(f"shards:{out}/shard-{{000000..000002}}.tar")]
    assert names == ["a", "b", "d", "e"]


def test_shards_of_another_source_are_not_mixed(room, tmp_path):
    write_re10k(tmp_path / "one", room, "a")
    write_re10k(tmp_path / "two", room, "b")
    packed(f"re10k:{tmp_path / 'one'}", tmp_path / "out")
    with pytest.raises(InputError, match="shards of this source or none"):
        packed(f"re10k:{tmp_path / 'two'}", tmp_path / "out")


@pytest.mark.skipif(not has_opencv(), reason=DATA)
def test_packing_gives_points_to_a_data_set_that_has_none(room, tmp_path):
    write_re10k(tmp_path / "data", room)
    (shard,) = list(pack(refs_of(f"re10k:{tmp_path / 'data'}"), tmp_path / "out", PackOptions()))
    points = refs_of(f"shards:{shard.path}")[0].load().points
    assert len(points.xyz) > 200
    assert len(points.frames_with_points) >= 8


# webdataset leaves closing the file to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_webdataset_package_reads_our_shards(room, tmp_path):
    write_colmap(tmp_path / "data" / "s", room, binary=False)
    (shard,) = packed(f"colmap:{tmp_path / 'data'}", tmp_path / "out", encoding="jpg")
    (sample,) = list(webdataset.WebDataset(str(shard.path), shardshuffle=False))
    assert sample["__key__"] == "s"
    pose = json.loads(sample["trajectory.json"])["frames"][3]["world_from_cam"]
    np.testing.assert_allclose(pose, room.poses[3], atol=1e-12)
    assert sample["000008.jpg"][:2] == b"\xff\xd8"


def test_we_read_what_the_webdataset_package_writes(room, tmp_path):
    names = [f"{k}.png" for k in range(9)]
    save_frames(tmp_path, room.video, names)
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as sink:
        images = {f"{k:03d}.png": (tmp_path / name).read_bytes() for k, name in enumerate(names)}
        text = native_text(Trajectory(room.cameras, 10.0)).encode()
        sink.write({"__key__": "dir/clip", "trajectory.json": text, **images})
    (ref,) = refs_of(f"shards:{tmp_path / 'a.tar'}")
    video = ref.load()
    assert ref.name == "dir/clip"
    torch.testing.assert_close(video.frames.read([4]), room.video[4:5], atol=1e-6, rtol=0)
    torch.testing.assert_close(video.cameras.world_from_cam, room.cameras.world_from_cam)


def test_a_shard_that_is_cut_off_is_refused(room, tmp_path):
    write_re10k(tmp_path / "data", room)
    (shard,) = packed(f"re10k:{tmp_path / 'data'}", tmp_path / "out", encoding="jpg")
    shard.path.write_bytes(shard.path.read_bytes()[:60_000])
    with pytest.raises(InputError, match=r"cut off|uncompressed"):
        refs_of(f"shards:{shard.path}")


def test_a_key_that_stands_in_two_shards_is_refused(room, tmp_path):
    write_re10k(tmp_path / "data", room)
    (shard,) = packed(f"re10k:{tmp_path / 'data'}", tmp_path / "out")
    (tmp_path / "out" / "twin.tar").write_bytes(shard.path.read_bytes())
    with pytest.raises(InputError, match="keys must differ between shards; got 'clip0'"):
        refs_of(f"shards:{tmp_path / 'out'}")


@pytest.mark.parametrize(("missing", "message"), [("json", "trajectory.json"), ("png", "mp4 or")])
def test_a_sequence_that_lacks_a_part_is_refused_by_its_key(room, tmp_path, missing, message):
    text = native_text(Trajectory(room.cameras, 10.0)).encode()
    (tmp_path / "trajectory.json").write_bytes(text)
    save_frames(tmp_path, room.video[:1], ["0.png"])
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("trajectory.json", "0.png"):
            if not name.endswith(missing):
                archive.add(tmp_path / name, f"clip.{name}")
    with pytest.raises(InputError, match=f"clip must have a member {message}"):
        refs_of(f"shards:{tmp_path / 'a.tar'}")[0].load()


def test_missing_shards_of_a_pattern_are_refused(tmp_path):
    (tmp_path / "s-00.tar").touch()
    with pytest.raises(InputError, match=r"shards must exist; got .*s-01.tar"):
        shard_files(f"{tmp_path}/s-{{00..01}}.tar")
