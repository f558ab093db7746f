"""Flip signs and axes in the geometry one by one; every flip must fail a test.

`python scripts/mutate_geometry.py [--only TEXT] [--all-tests]` copies the package to a temporary
folder for each change in the list, runs tests/geometry there and prints which test caught it.
Exits with 1 if a change went unnoticed or no longer applies to the source.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import hypothesis  # noqa: F401 - imported once, before the forks
import jaxtyping  # noqa: F401 - the same
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
GEOMETRY = Path("rays_as_pixels/geometry")
TIMEOUT_SEC = 120  # a wrong sign may also keep an iteration busy; that counts as caught


@dataclass(frozen=True)
class Mutation:
    """One textual change: the n-th place in `file` where `old` stands becomes `new`."""

    file: str
    old: str
    new: str
    nth: int = 0

    def __str__(self) -> str:
        """Name the change in one line."""
        return f"{self.file}: {self.old.strip()} -> {self.new.strip()}"

    def applied(self, source: str) -> str:
        """Return the changed source; refuse where `old` no longer stands."""
        start = -1
        for _ in range(self.nth + 1):
            start = source.find(self.old, start + 1)
        if start < 0:
            raise SystemExit(f"the source must hold what is to be changed; got none of: {self}")
        return source[:start] + self.new + source[start + len(self.old) :]


def _of(file: str, *changes: tuple) -> list[Mutation]:
    return [Mutation(file, *change) for change in changes]


MUTATIONS = [
    *_of(
        "rotations.py",
        ("[zero, -z, y, z, zero, -x, -y, x, zero]", "[zero, z, -y, -z, zero, x, y, -x, zero]"),
        ("eye + sine_term * cross", "eye - sine_term * cross"),
        ("+ cosine_term * (cross @ cross)", "- cosine_term * (cross @ cross)"),
        ("1 - angle_squared / 6", "1 + angle_squared / 6"),
        ("torch.where(small, 0.5 -", "torch.where(small, -0.5 -"),
        ("(1 - angle.cos()) / safe", "(1 + angle.cos()) / safe"),
        ("2 / cosine, 2 * half_angle", "-2 / cosine, 2 * half_angle"),
        ("2 * half_angle / sine", "half_angle / sine"),
        ("torch.atan2(sine, cosine)", "torch.atan2(cosine, sine)"),
        ("m[..., 2, 1] - m[..., 1, 2],", "m[..., 1, 2] - m[..., 2, 1],"),
        ("m[..., 0, 2] - m[..., 2, 0],", "m[..., 2, 0] - m[..., 0, 2],"),
        ("m[..., 1, 0] - m[..., 0, 1],", "m[..., 0, 1] - m[..., 1, 0],"),
        ("m[..., 0, 1] + m[..., 1, 0],", "m[..., 0, 1] - m[..., 1, 0],"),
        ("m[..., 0, 2] + m[..., 2, 0],", "m[..., 0, 2] - m[..., 2, 0],"),
        ("m[..., 1, 2] + m[..., 2, 1],", "m[..., 1, 2] - m[..., 2, 1],"),
        ("1 + xx - yy - zz", "1 - xx + yy - zz"),
        ("1 - xx - yy + zz", "1 - xx + yy - zz"),
        ("torch.where(wxyz[..., :1] < 0,", "torch.where(wxyz[..., :1] > 0,"),
        ("w, x, y, z = (wxyz", "x, y, z, w = (wxyz"),
        ("2 * (x * y - w * z), 2 * (x * z + w * y)", "2 * (x * y + w * z), 2 * (x * z - w * y)"),
        ("2 * (y * z - w * x)", "2 * (y * z + w * x)"),
        ("2 * (x * z - w * y), 2 * (y * z", "2 * (x * z + w * y), 2 * (y * z"),
        ("1 - 2 * (x * x + z * z)", "1 - 2 * (x * x + y * y)"),
        ("sum(-1) - 1\n    return torch.atan2", "sum(-1) + 1\n    return torch.atan2"),
        ("rotation[..., 0, 2] - rotation[..., 2, 0]", "rotation[..., 0, 2] + rotation[..., 2, 0]"),
        ("start.transpose(-1, -2) @ end", "end.transpose(-1, -2) @ start"),
        ("start.transpose(-1, -2) @ end", "end @ start.transpose(-1, -2)"),
        (
            "return start @ rotation_from_vector(weight[..., None] * step)",
            "return rotation_from_vector(weight[..., None] * step) @ start",
        ),
        ("fix[..., 2] = sign", "fix[..., 0] = sign"),
        ("fix[..., 2] = sign", "fix[..., 2] = 1.0"),
        ("singular[..., 1] <= tolerance", "singular[..., 2] <= tolerance"),
    ),
    *_of(
        "cameras.py",
        ("translation = -(rotation_t @", "translation = (rotation_t @"),
        ("[..., :3, :3].transpose(-1, -2)\n    translation", "[..., :3, :3]\n    translation"),
        ("torch.det(rotation) > 0", "torch.det(rotation) < 2"),
        ("(self.focal_px <= 0)", "(self.focal_px < 0)"),
        ("torch.atan(self.width / (2 * self.focal_px[..., 0]))", "torch.atan(self.width / 2)"),
        ("self.width / (2 * self.focal_px[..., 0])", "self.width / (2 * self.focal_px[..., 1])"),
        ("self.height / (2 * self.focal_px[..., 1])", "self.width / (2 * self.focal_px[..., 1])"),
        ("[width / self.width, height / self.height]", "[height / self.height] * 2"),
        ("[width / self.width, height / self.height]", "[self.width / width] * 2"),
        ("center_px=self.center_px * scale", "center_px=(self.center_px - 0.5) * scale + 0.5"),
        ("[float(left), float(top)]", "[float(top), float(left)]"),
        ("self.center_px - corner", "self.center_px + corner"),
        ("ref_from_world = invert_rigid(", "ref_from_world = ("),
        (
            "ref_from_world[..., None, :, :] @ self.world_from_cam)",
            "self.world_from_cam @ ref_from_world[..., None, :, :])",
        ),
        ("pose[..., :3, 3] * factor[..., None]", "pose[..., :3, 3] / factor[..., None]"),
    ),
    *_of(
        "rays.py",
        ("device=device) + 0.5", "device=device)"),
        ("device=device) + 0.5", "device=device) - 0.5"),
        ("device=device) + 0.5", "device=device)", 1),
        ("torch.stack(torch.meshgrid(x_px, y_px", "torch.stack(torch.meshgrid(x_px, y_px.flip(0)"),
        ('indexing="xy"), dim=-1)', 'indexing="xy")[::-1], dim=-1)'),
        ("(pixel - center_px", "(pixel + center_px"),
        ("/ focal_px[..., None, None, :]", "/ focal_px.flip(-1)[..., None, None, :]"),
        ("/ focal_px[..., None, None, :]", "* focal_px[..., None, None, :]"),
        ("[xy, torch.ones_like(xy[..., :1])]", "[xy, -torch.ones_like(xy[..., :1])]"),
        ("[xy, torch.ones_like(xy[..., :1])]", "[torch.ones_like(xy[..., :1]), xy]"),
        ("torch.nn.functional.normalize(ray, dim=-1)", "ray"),
        ('"...ij,...hwj->...hwi"', '"...ji,...hwj->...hwi"'),
    ),
    *_of(
        "raxels.py",
        ("rays_from_cameras(raster) + origin", "rays_from_cameras(raster) - origin"),
        (").relative_to(reference)", ").relative_to(0)"),
        ("nearest_rotation(covariance)", "nearest_rotation(covariance.transpose(-1, -2))"),
        ("target_mean.squeeze(-2) - (rotation", "target_mean.squeeze(-2) + (rotation"),
        ("centred = raxel - world", "centred = raxel + world"),
        ('"...ji,...hwj->...hwi"', '"...ij,...hwj->...hwi"'),
        ("offset = grid - center_px", "offset = grid + center_px"),
        ("((0, width), (1, height))", "((1, width), (0, height))"),
        ("* in_cam[..., 2] / in_cam[..., axis]", "* in_cam[..., axis] / in_cam[..., 2]"),
        ("offset[..., axis].abs() > size / 8", "offset[..., axis] > size"),
        ("values[..., reference, :, :, :]", "values[..., 0, :, :, :]"),
        (
            "[center_norm[0] * width, center_norm[1] * height]",
            "[center_norm[1] * width, center_norm[0] * height]",
        ),
        ("ref_from_world = invert_rigid(", "ref_from_world = ("),
        (
            "ref_from_world[..., None, :, :] @ raster.world_from_cam",
            "raster.world_from_cam @ ref_from_world[..., None, :, :]",
        ),
        (
            "height=height * RASTER_STRIDE, width=width * RASTER_STRIDE",
            "height=width * RASTER_STRIDE, width=height * RASTER_STRIDE",
        ),
    ),
    *_of(
        "refine.py",
        ("by_rotation = -skew(ray)", "by_rotation = skew(ray)"),
        ("by_rotation = -skew(ray)", "by_rotation = -skew(ray_cam)"),
        ("by_translation = eye", "by_translation = -eye"),
        ("dq[..., axis] = -xy", "dq[..., axis] = xy"),
        ("(dq - ray_cam *", "(dq + ray_cam *"),
        ("for axis in (0, 1):", "for axis in (1, 0):"),
        ('"...ij,...hwj->...hwi", rotation, dd', '"...ji,...hwj->...hwi", rotation, dd'),
        ("return values - model - cameras", "return values - model + cameras"),
        (
            "rotation_from_vector(step[..., :3]) @ cameras.world_from_cam[..., :3, :3]",
            "cameras.world_from_cam[..., :3, :3] @ rotation_from_vector(step[..., :3])",
        ),
        ("[..., :3, 3] + step[..., 3:6]", "[..., :3, 3] - step[..., 3:6]"),
        ("limit / size.clamp_min(1e-30)", "torch.ones_like(size)"),
        ("pose = inverse_gradient - inverse_cross", "pose = inverse_gradient + inverse_cross"),
        ("(normal[..., 6:, 6:] - cross", "(normal[..., 6:, 6:] + cross"),
        ("(gradient[..., 6:, None] - cross", "(gradient[..., 6:, None] + cross"),
        ("if shared_focal:  # one frame may pay", "if False:  # one frame may pay"),
        (  # accept a common focal length only where every single frame gains by it
            "old_cost = old_cost.sum(-1, keepdim=True).expand_as(old_cost)\n"
            "            new_cost = new_cost.sum(-1, keepdim=True).expand_as(new_cost)",
            "new_cost = old_cost + (new_cost - old_cost).amax(-1, keepdim=True)",
        ),
        ("better = new_cost <= old_cost", "better = new_cost >= old_cost"),
        ("(residual**2).sum(-1).mean(dim=(-2, -1))", "(residual**2).mean(-1).mean(dim=(-2, -1))"),
    ),
    *_of(
        "align.py",
        ("self.scale * points @ self.rotation.T", "self.scale * points @ self.rotation"),
        ("self.rotation.T + self.translation", "self.rotation.T - self.translation"),
        ("target_c.T @ source_c", "source_c.T @ target_c"),
        ("torch.det(left) * torch.det(right_t) < 0", "torch.det(left) * torch.det(right_t) > 0"),
        ("sign[2] = -1", "sign[2] = 1"),
        ("sign[2] = -1", "sign[0] = -1"),
        ("(singular * sign).sum() / variance", "singular.sum() / variance"),
        ("(singular * sign).sum() / variance", "variance / (singular * sign).sum()"),
        (
            "target_mean - scale * rotation @ source_mean",
            "target_mean + scale * rotation @ source_mean",
        ),
        (
            "similarity.rotation @ cameras.world_from_cam[..., :3, :3]",
            "cameras.world_from_cam[..., :3, :3] @ similarity.rotation",
        ),
    ),
    *_of(
        "trajectory.py",
        ("torch.float64) / self.fps", "torch.float64) * self.fps"),
        ("self.cameras.world_from_cam[:, :3, 3]", "self.cameras.world_from_cam[:, 3, :3]"),
        ("weight = (time.clamp(first, last) - known[left])", "weight = (known[right] - time)"),
        ("slerp(start[:, :3, :3], end[:, :3, :3]", "slerp(end[:, :3, :3], start[:, :3, :3]"),
        (
            "torch.lerp(start[:, :3, 3], end[:, :3, 3], blend)",
            "torch.lerp(end[:, :3, 3], start[:, :3, 3], blend)",
        ),
        (
            "torch.lerp(cameras.focal_px[left], cameras.focal_px[right], blend)",
            "torch.lerp(cameras.focal_px[right], cameras.focal_px[left], blend)",
        ),
        (
            "torch.lerp(cameras.center_px[left], cameras.center_px[right], blend)",
            "torch.lerp(cameras.center_px[right], cameras.center_px[left], blend)",
        ),
        ("(num_frames - 1) / (last - first)", "num_frames / (last - first)"),
        ("(steps <= 0).any()", "(steps < 0).any()"),
    ),
]


def _prepare(folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    (folder / "tests").mkdir()
    shutil.copytree(ROOT / "rays_as_pixels", folder / "rays_as_pixels", ignore=ignore)
    shutil.copytree(ROOT / "tests/geometry", folder / "tests/geometry", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)


class _Record:
    """A pytest plugin that keeps the names of what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid.rpartition("::")[2])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(f"collecting {Path(report.nodeid).name}")


def _run_tests(folder: Path, flags: list[str], answer: Connection) -> None:
    """Run in a child process: import the changed package and test it, silently."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    with (folder / "output.txt").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        record = _Record()
        rewriting = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
        quiet = ["-q", "-p", "no:cacheprovider", "--tb=short", "-W", rewriting]
        command = [*quiet, *flags, "tests/geometry"]
        code = pytest.main(command, plugins=[record])
    import rays_as_pixels.geometry.rays  # noqa: PLC0415 - the copy, not the original

    assert Path(rays_as_pixels.geometry.rays.__file__).is_relative_to(folder.resolve())
    answer.send((int(code), record.failed))


def _failures(folder: Path, *, all_tests: bool) -> list[str] | None:
    """Run the geometry tests in `folder`; None means that they were green.

    The child is a fork, so that the slow imports (torch, pytest) happen only once.
    """
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    child = context.Process(target=_run_tests, args=(folder, [] if all_tests else ["-x"], theirs))
    child.start()
    theirs.close()
    answered = mine.poll(TIMEOUT_SEC)
    try:
        code, failed = mine.recv() if answered else (1, ["(ran out of time)"])
    except EOFError:
        code, failed = -1, []
    if not answered:
        child.terminate()
    child.join()
    if code == 0:
        return None
    if not failed:
        raise SystemExit(f"the tests must run; got:\n{(folder / 'output.txt').read_text()[-3000:]}")
    return failed


def _check_unchanged(folder: Path) -> None:
    failures = _failures(folder, all_tests=True)
    if failures is not None:
        raise SystemExit(f"the unchanged geometry must pass its tests; got failures: {failures}")


def main() -> int:
    """Apply each change, run the tests, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="changes whose description holds this text")
    parser.add_argument("--all-tests", action="store_true", help="count all failing tests of each")
    options = parser.parse_args()
    torch.set_num_threads(1)  # also keeps the parent free of threads, which forks do not copy
    sys.dont_write_bytecode = True
    chosen = [m for m in MUTATIONS if options.only in str(m)]
    survivors, started = [], time.monotonic()
    write = sys.stdout.write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        _check_unchanged(folder)
        write("| # | change | caught by |\n|---|---|---|\n")
        for number, mutation in enumerate(chosen, start=1):
            path = folder / GEOMETRY / mutation.file
            source = path.read_text()
            path.write_text(mutation.applied(source))
            failures = _failures(folder, all_tests=options.all_tests)
            path.write_text(source)
            if failures is None:
                survivors.append(mutation)
            catcher = "**NOBODY**" if failures is None else failures[0]
            if failures is not None and len(failures) > 1:
                catcher += f" and {len(failures) - 1} more"
            change = " ".join(str(mutation).split()).replace("|", "\\|")
            write(f"| {number} | `{change}` | {catcher} |\n")
            sys.stdout.flush()
    caught = len(chosen) - len(survivors)
    write(f"\n{caught} of {len(chosen)} caught in {time.monotonic() - started:.0f} s\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
