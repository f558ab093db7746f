"""Training clips: windows in time and space, with cameras that follow exactly."""

from dataclasses import replace

import pytest
import torch

from rays_as_pixels.datasets.clips import (
    WindowRule,
    clip_batches,
    cut,
    cut_cameras,
    draw_frames,
    draw_window,
    open_dataset,
    sample_clip,
)
from rays_as_pixels.datasets.lens import Lens, pinhole_frames
from rays_as_pixels.datasets.spec import open_source, parse_spec
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from tests.datasets.layouts import make_room, write_colmap, write_dl3dv, write_re10k
from tests.evaluation.rooms import curved_path, room_clip
from tests.optional import DATA

RULE = WindowRule(5, sizes=((48, 64), (64, 48)), strides=(1, 2))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def colmap(room, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colmap")
    write_colmap(folder / "scene", room, binary=True)
    return f"colmap:{folder}"


@pytest.fixture(scope="module")
def re10k(room, tmp_path_factory):
    return f"re10k:{write_re10k(tmp_path_factory.mktemp('re10k'), room)}"


def video_of(spec):
    return open_source(parse_spec(spec)).refs[0].load()


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_image_is_what_its_camera_would_have_seen(seed):
    """The room is rendered anew with the camera that the cut claims, and must look the same."""
    path = curved_path(1)
    whole = room_clip(path).video
    window = draw_window((120, 160), (60, 56), WindowRule(5, ((60, 56),)), generator(seed))
    seen = cut(whole, window, (60, 56))
    true = room_clip(cut_cameras(path, window, (60, 56))).video
    off = float((seen - true).abs().mean())
    assert off < 0.06, "the texture is all edges, which resampling blurs"
    others = [cut(whole.flip(axis), window, (60, 56)) for axis in (-1, -2)]
    for top, left in ((2, 0), (-2, 0), (0, 2), (0, -2)):
        moved = replace(
            window,
            top=abs(window.top + top),
            left=abs(window.left + left),
            height=window.height - 2,
            width=window.width - 2,
        )
        others.append(cut(whole, moved, (60, 56)))
    assert min(float((other - true).abs().mean()) for other in others) > 1.5 * off


def test_clips_are_seen_from_their_first_frame_in_units_of_its_median_depth(room, colmap):
    """Compared with the rendered depth of what the crop shows, which no reader has seen."""
    video = video_of(colmap)
    for seed in range(6):
        clip = sample_clip(video, RULE, generator(seed))
        torch.testing.assert_close(clip.cameras.world_from_cam[0], torch.eye(4), atol=1e-6, rtol=0)
        first, last = clip.source_frame[0], clip.source_frame[-1]
        true = (
            torch.linalg.inv(room.cameras.world_from_cam[first])
            @ (room.cameras.world_from_cam[last])
        )
        found = clip.cameras.world_from_cam[-1].double()
        torch.testing.assert_close(found[:3, :3], true[:3, :3], atol=1e-6, rtol=0)
        torch.testing.assert_close(found[:3, 3] * clip.unit.length, true[:3, 3], atol=1e-5, rtol=0)
        left = room.cameras.center_px[0, 0] - clip.cameras.center_px[0, 0] * (
            room.cameras.focal_px[0, 0] / clip.cameras.focal_px[0, 0]
        )
        top = room.cameras.center_px[0, 1] - clip.cameras.center_px[0, 1] * (
            room.cameras.focal_px[0, 1] / clip.cameras.focal_px[0, 1]
        )
        width = clip.cameras.width * room.cameras.focal_px[0, 0] / clip.cameras.focal_px[0, 0]
        height = clip.cameras.height * room.cameras.focal_px[0, 1] / clip.cameras.focal_px[0, 1]
        rows, columns = (
            (round(float(a)), round(float(a + b))) for a, b in ((top, height), (left, width))
        )
        shown = room.depth[first, rows[0] : rows[1], columns[0] : columns[1]]
        assert clip.unit.rule == "points"
        # a grid of points, every ninth pixel, against all pixels; odd frames lean on neighbours
        rel = 0.06 if first % 2 == 0 else 0.12
        assert clip.unit.length == pytest.approx(float(shown.median()), rel=rel)
        assert float(clip.median_depth[0]) == pytest.approx(1.0)


def test_a_clip_does_not_depend_on_the_worlds_pose_and_scale(room, colmap):
    video = video_of(colmap)
    turned = torch.eye(4, dtype=torch.float64)
    turned[:3, :3] = torch.linalg.qr(torch.randn(3, 3, generator=generator()).double())[0]
    turned[:3, :3] *= torch.det(turned[:3, :3])
    turned[:3, 3] = torch.tensor([3.0, 1.0, -2.0])
    moved = replace(video.cameras, world_from_cam=turned @ video.cameras.world_from_cam).scaled(4.0)
    xyz = 4.0 * (video.points.xyz @ turned[:3, :3].T + turned[:3, 3])
    other = replace(video, cameras=moved, points=replace(video.points, xyz=xyz))
    one, two = (sample_clip(each, RULE, generator(3)) for each in (video, other))
    torch.testing.assert_close(
        one.cameras.world_from_cam, two.cameras.world_from_cam, atol=1e-5, rtol=0
    )


def test_a_clip_that_plays_backwards_starts_at_a_later_frame_with_its_own_depth(room, colmap):
    rule = replace(RULE, reverse=1.0)
    clip = sample_clip(video_of(colmap), rule, generator(1))
    assert list(clip.source_frame) == sorted(clip.source_frame, reverse=True)
    forward = sample_clip(video_of(colmap), replace(RULE, reverse=0.0), generator(1))
    assert forward.source_frame == clip.source_frame[::-1]
    torch.testing.assert_close(forward.video, clip.video.flip(0))
    assert clip.unit.length != forward.unit.length


def test_without_points_the_furthest_camera_is_one_unit_away_and_this_is_said(re10k):
    clip = sample_clip(video_of(re10k), RULE, generator())
    assert clip.unit.rule == "path"
    furthest = clip.cameras.world_from_cam[:, :3, 3].norm(dim=1).max()
    assert float(furthest) == pytest.approx(1.0, abs=1e-6)
    assert bool(clip.median_depth.isnan().all())


def test_a_stated_unit_divides_the_data_sets_lengths(room, re10k):
    clip = sample_clip(video_of(re10k), RULE, generator(), unit="2.5")
    first, last = clip.source_frame[0], clip.source_frame[-1]
    centers = room.cameras.world_from_cam[:, :3, 3]
    distance = float((centers[last] - centers[first]).norm())
    assert float(clip.cameras.world_from_cam[-1, :3, 3].norm()) == pytest.approx(distance / 2.5)


def test_points_are_insisted_on_where_the_spec_says_so(re10k):
    with pytest.raises(InputError, match="must see 12 points"):
        sample_clip(video_of(re10k), RULE, generator(), unit="points")


def test_frames_are_drawn_within_the_sequence_at_one_stride():
    strides, starts = set(), set()
    for seed in range(60):
        frames = draw_frames(12, WindowRule(5, ((8, 8),), strides=(1, 4)), generator(seed))
        step = frames[1] - frames[0]
        assert list(frames) == list(range(frames[0], frames[0] + 5 * step, step))
        assert min(frames) >= 0
        assert max(frames) < 12
        strides.add(step)
        starts.add(min(frames))
    assert strides == {1, 2, -1, -2}, "12 frames have room for strides 1 and 2, both ways"
    assert {0, 7} <= starts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_frames": 0}, "whole number of 1 or more; got 0"),
        ({"strides": (2, 1)}, "strides 1 <= a <= b"),
        ({"zoom": 0.5}, "zoom within"),
        ({"sizes": ()}, "and a size"),
    ],
)
def test_a_window_rule_that_no_clip_could_keep_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        WindowRule(**{"num_frames": 5, "sizes": ((8, 8),), **change})


def test_batches_hold_one_size_each_and_the_seed_alone_decides_them(colmap, re10k):
    def draw(seed):
        batches = clip_batches(open_dataset([colmap, re10k]), RULE, 2, seed=seed)
        return [next(batches) for _ in range(3)]

    first, again, other = draw(0), draw(0), draw(1)
    for video, cameras in first:
        assert video.shape[:3] == (2, 5, 3)
        assert cameras.batch_shape == (2, 5)
        assert (cameras.height, cameras.width) == tuple(video.shape[-2:])
        assert video.dtype == cameras.world_from_cam.dtype == torch.float32
        assert 0 <= float(video.min()) <= float(video.max()) <= 1
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not all(
        a[0].shape == b[0].shape and torch.equal(a[0], b[0])
        for a, b in zip(first, other, strict=True)
    )
    assert {tuple(video.shape[-2:]) for seed in range(4) for video, _ in draw(seed)} == {
        (48, 64),
        (64, 48),
    }


def test_a_broken_sequence_is_said_once_and_the_others_are_used(room, tmp_path):
    write_re10k(tmp_path, room, "fine")
    write_re10k(tmp_path, room, "short", frames=False)
    said = []
    dataset = open_dataset([f"re10k:{tmp_path}"])
    clips = dataset.clips(RULE, seed=0, say=said.append)
    assert {next(clips).name for _ in range(8)} == {"fine"}
    assert len(said) == 1
    assert "short must have frames" in said[0]
    assert len(dataset.refused) == 1


def test_data_of_which_nothing_is_left_ends_training_with_the_first_reason(room, tmp_path):
    write_re10k(tmp_path, room, frames=False)
    with pytest.raises(InputError, match=r"got 1, all refused. The first: clip0 must have frames"):
        next(clip_batches(open_dataset([f"re10k:{tmp_path}"]), RULE, 1, seed=0))


def test_sources_are_drawn_by_their_weights(room, tmp_path):
    write_re10k(tmp_path / "a", room, "one")
    write_dl3dv(tmp_path / "b" / "two", room)
    dataset = open_dataset([f"re10k:{tmp_path / 'a'}", f"dl3dv:{tmp_path / 'b'},weight=3"])
    rule = WindowRule(5, ((16, 16),))
    clips = dataset.clips(rule, seed=0)
    share = sum(next(clips).name == "two" for _ in range(60)) / 60
    assert 0.55 < share < 0.92, "3 of 4, within 3.5 standard deviations"


@pytest.mark.parametrize("lens", [Lens(k1=-0.12, k2=0.03, p1=0.004), Lens(k1=0.08, p2=-0.005)])
def test_undistorted_frames_are_what_opencv_makes_of_them(lens):
    cv2 = pytest.importorskip("cv2", reason=DATA)
    room = make_room(frames=1)

    class Frames:
        size = (room.cameras.height, room.cameras.width)

        def __len__(self):
            return 1

        def read(self, indices):
            return room.video[list(indices)]

    frames, cameras = pinhole_frames(Frames(), room.cameras, lens, "room")
    fx, fy, cx, cy = room.intrinsics[0]
    matrix = torch.tensor([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]]).double().numpy()
    wanted = cv2.undistort(
        room.video[0].movedim(0, -1).numpy(),
        matrix,
        torch.tensor([lens.k1, lens.k2, lens.p1, lens.p2]).double().numpy(),
    )
    top, left = frames.cut if hasattr(frames, "cut") else (0, 0)
    height, width = frames.size
    wanted = torch.from_numpy(wanted).movedim(-1, 0)[:, top : top + height, left : left + width]
    found = frames.read([0])[0]
    inner = slice(3, -3)  # the border reads outside the image, where the two differ
    off = (found - wanted)[:, inner, inner].abs().mean()
    assert float(off) < 2e-3, "OpenCV interpolates at 1/32 pixel"
    assert (cameras.height, cameras.width) == frames.size
    corner = torch.tensor([float(left), float(top)])
    torch.testing.assert_close(cameras.center_px[0], room.cameras.center_px[0] - corner)


def test_a_lens_that_leaves_too_little_is_refused():
    cameras = Cameras(
        torch.eye(4)[None], torch.full((1, 2), 50.0), torch.tensor([[80.0, 60.0]]), 120, 160
    )
    with pytest.raises(InputError, match="Undistort the images first"):
        pinhole_frames(None, cameras, Lens(k1=0.4), "wide")
