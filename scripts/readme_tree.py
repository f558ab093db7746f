"""Write the trees of README.md and docs/tree.md from the tree itself; run it after adding a file.

The README has one line per folder and names its modules; docs/tree.md has one line per module: the
first line of its docstring, so that no fact is kept twice.
"""

import ast
import subprocess
import textwrap
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
    "docs/": "conventions and longer explanations",
    "rays_as_pixels/": "THE PACKAGE; pyproject.toml says which part may import which",
    "rays_as_pixels/cli/": "THE COMMAND LINE: one module per verb, and what the verbs share",
    "rays_as_pixels/diffusion/": "HOW NOISE BECOMES SIGNAL",
    "rays_as_pixels/ablation/": "WHAT EACH PART IS WORTH: the recipe with one thing changed",
    "rays_as_pixels/annotate/": "CAMERAS FOR MANY VIDEOS: Ray Data or processes, into Parquet",
    "rays_as_pixels/datasets/": "REAL DATA: readers, checks, shards and clips cut from them",
    "rays_as_pixels/evaluation/": "WHAT IT IS WORTH: tables, baselines, classical peers",
    "rays_as_pixels/geometry/": "WHERE THINGS ARE: torch only, no model, file or UI",
    "rays_as_pixels/jobs/": "LONG WORK: runs that outlive the page that asked for them",
    "rays_as_pixels/media/": "PIXELS AND FILES",
    "rays_as_pixels/model/": "WHAT IS LEARNED",
    "rays_as_pixels/training/": "HOW IT IS LEARNED",
    "rays_as_pixels/trajectories/": "CAMERA PATHS: presets, splines and files",
    "rays_as_pixels/trajectories/formats/": "one module per file format",
    "rays_as_pixels/ui/": "THE PAGE: Gradio lives here only",
    "rays_as_pixels/viz/": "PICTURES: Plotly and Open3D live here only",
    "rays_as_pixels/viz/path_view/": "the 3D view of a path: value, script, page",
    "rays_as_pixels/ui/path_view/": "that view as a Gradio component",
    "rays_as_pixels/worlds/": "TRAINING DATA: procedural scenes and their renderer",
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
    """Return one line per folder, with the names of its modules below it."""
    lines: list[str] = []
    for folder, modules in contents().items():
        if folder in ("", "rays_as_pixels/"):
            lines += [_line(folder, FOLDERS[folder])] if folder else []
            lines += [_line(module, describe(module)) for module in modules]
            continue
        lines.append(_line(folder, FOLDERS.get(folder) or describe_package(folder)))
        names = ", ".join(Path(module).stem for module in modules)
        indent = " " * COLUMN
        lines += textwrap.wrap(names, 118, initial_indent=indent, subsequent_indent=indent)
    return lines


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
