"""Write the trees of README.md and docs/tree.md from the tree itself; run it after adding a file.

The README has one line per part of the project; docs/tree.md has one line per module: the first
line of its docstring, so that no fact is kept twice.
"""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- tree -->\n```\n", "```\n<!-- /tree -->\n"
COLUMN = 26

FOLDERS = {
    ".ci/": "what every change must pass",
    "assets/": "sample clips and pictures, small and free to share",
    "benchmarks/": "speed and memory, measured: `python -m benchmarks`",
    "benchmarks/results/": "the tables, and the JSON they are made of",
    "checkpoints/": "the weights that come with the project, each with its model card",
    "configs/": "for `accelerate launch`: training over several devices",
    "findings/": "surprises of outside libraries: each a script that shows one",
    "docs/": "conventions and longer explanations",
    "rays_as_pixels/": "the package; pyproject.toml says which part may import which",
    "rays_as_pixels/annotate/": "cameras for many videos: Ray Data or processes, into Parquet",
    "rays_as_pixels/app/": "the Gradio app: page, server, jobs and API",
    "rays_as_pixels/app/api/": "endpoints for gradio_client and MCP",
    "rays_as_pixels/app/jobs/": "runs that outlive the page that asked for them",
    "rays_as_pixels/app/page/": "the page: one file per step, its components and its events",
    "rays_as_pixels/app/path_view/": "the 3D view of a path as a Gradio component",
    "rays_as_pixels/app/server/": "uploads, downloads, sessions, request limits",
    "rays_as_pixels/cli/": "the command line: one module per verb",
    "rays_as_pixels/datasets/": "readers of posed videos, checks, shards and clips cut from them",
    "rays_as_pixels/evaluation/": "tables of results: tasks, baselines, ablations",
    "rays_as_pixels/evaluation/ablation/": "the training recipe with one thing changed",
    "rays_as_pixels/evaluation/baselines/": "trivial answers, OpenCV and pycolmap",
    "rays_as_pixels/evaluation/tasks/": "one module per table",
    "rays_as_pixels/geometry/": "cameras, rays, raxels, trajectories, metrics; torch only",
    "rays_as_pixels/media/": "video and image files in and out",
    "rays_as_pixels/model/": "everything that is learned",
    "rays_as_pixels/model/camera_prior/": "cameras read from the motion between frames",
    "rays_as_pixels/model/transformer/": "the joint denoising transformer",
    "rays_as_pixels/model/view_prior/": "depths of an image, and the image seen from other cameras",
    "rays_as_pixels/model/wan/": "experimental: a joint pipeline made of Wan 2.1 weights",
    "rays_as_pixels/pipeline/": "the pipeline class, and estimate, generate, imagine, loop",
    "rays_as_pixels/solve/": "classical vision: bundle adjustment, plane sweep, view synthesis",
    "rays_as_pixels/solve/video/": "the path of every frame, chosen by evidence",
    "rays_as_pixels/training/": "training: configuration, objective, export",
    "rays_as_pixels/training/data/": "training clips: rendered, encoded, augmented",
    "rays_as_pixels/training/stages/": "one module per stage of training",
    "rays_as_pixels/trajectories/": "camera paths: presets, keyframes, splines",
    "rays_as_pixels/trajectories/formats/": "one module per file format",
    "rays_as_pixels/viz/": "figures, meshes and pictures (Plotly and Open3D)",
    "rays_as_pixels/viz/path_view/": "the 3D view of a path: value, script, page",
    "rays_as_pixels/worlds/": "synthetic scenes and their renderer, for training and tests",
    "scripts/": "start, test, and the upkeep of this file",
    "tests/": "mirrors the package",
}
COLLAPSED = (
    ".ci/",
    "assets/",
    "benchmarks/results/",
    "checkpoints/",
    "configs/",
    "docs/",
    "tests/",
)
# Not in the README's tree, which is for the first look; docs/tree.md has everything.
LEFT_OUT = (
    *(".ci/", "assets/", "benchmarks/", "configs/", "findings/"),
    *(f"rays_as_pixels/{name}/" for name in ("annotate", "hub", "memory")),
)
PREAMBLE = """# The tree, one line per file

Written by `python scripts/readme_tree.py` from each module's docstring; do not edit by hand.

"""


def tracked_files() -> list[str]:
    """Return the files that git tracks or would track, as sorted paths from the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = set(listing.stdout.splitlines())
    return sorted(name for name in names if (ROOT / name).is_file())


def describe(name: str) -> str:
    """Return the first line of a Python file's docstring or a script's second comment line."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("# ")]
    return comments[0].rstrip(".") if comments else ""


def describe_package(folder: str) -> str:
    """Return the first line of the docstring of a folder that FOLDERS does not describe."""
    package = ROOT / folder / "__init__.py"
    text = describe(f"{folder}__init__.py") if package.is_file() else ""
    if not text:
        raise SystemExit(f"{folder} must be described in FOLDERS of {Path(__file__).name}.")
    return text


def contents() -> dict[str, list[str]]:
    """Return the modules and scripts of every folder that is shown, in order of path."""
    shown: dict[str, list[str]] = {}
    for name in tracked_files():
        path = Path(name)
        folders = [f"{folder.as_posix()}/" for folder in reversed(path.parents[:-1])]
        closed = [folder for folder in folders if folder in COLLAPSED]
        for folder in folders[:1] if closed else folders:
            shown.setdefault(folder, [])
        is_listed = path.suffix in (".py", ".sh") and path.name != "__init__.py"
        if is_listed and not closed:
            shown.setdefault(folders[-1] if folders else "", []).append(name)
    return dict(sorted(shown.items()))


def long_tree() -> list[str]:
    """Return one line per folder and per module."""
    lines: list[str] = []
    for folder, modules in contents().items():
        if folder:
            lines.append(_line(folder, FOLDERS.get(folder) or describe_package(folder)))
        lines += [_line(module, describe(module)) for module in modules]
    return lines


def short_tree() -> list[str]:
    """Return one line per part of the package and per folder beside it."""
    folders = [folder for folder in contents() if folder and folder not in LEFT_OUT]
    parts = [name for name in folders if name.count("/") <= 1 + name.startswith("rays_as_pixels/")]
    return [_line(name, FOLDERS.get(name) or describe_package(name)) for name in parts]


def _line(name: str, text: str) -> str:
    depth = name.rstrip("/").count("/")
    label = "  " * depth + name.rstrip("/").rpartition("/")[2] + ("/" if name[-1] == "/" else "")
    return f"{label:{COLUMN}}{' ' if len(label) >= COLUMN else ''}{text}"


def with_tree(readme: str) -> str:
    """Return the README's text with its tree replaced by the real one."""
    head, rest = readme.split(START)
    _, tail = rest.split(END)
    return "".join([head, START, *(f"{line}\n" for line in short_tree()), END, tail])


def tree_page() -> str:
    """Return the text of docs/tree.md."""
    return "".join([PREAMBLE, "```\n", *(f"{line}\n" for line in long_tree()), "```\n"])


if __name__ == "__main__":
    file = ROOT / "README.md"
    file.write_text(with_tree(file.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / "docs" / "tree.md").write_text(tree_page(), encoding="utf-8")
