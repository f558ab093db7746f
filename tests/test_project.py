"""Two sources of one truth agree: README and tree, requirements and pyproject, code and rules."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULE_OF = {"pillow": "PIL", "opencv-python-headless": "cv2"}
PRODUCT = ("rays_as_pixels", "app.py")


def script(name: str):
    """Load scripts/NAME.py as a module; scripts are no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


def test_the_tree_in_the_readme_is_the_real_tree():
    tree = script("readme_tree")
    assert tree.with_tree(README) == README, "run: python scripts/readme_tree.py"
    page = (ROOT / "docs" / "tree.md").read_text(encoding="utf-8")
    assert tree.tree_page() == page, "run: python scripts/readme_tree.py"


def test_every_module_of_the_package_says_in_one_line_what_it_is_for():
    describe = script("readme_tree").describe
    modules = [path for path in tracked() if path.suffix == ".py" and path.name != "__init__.py"]
    silent = [
        name
        for name in (path.relative_to(ROOT).as_posix() for path in modules)
        if not name.startswith("tests/") and not describe(name)
    ]
    assert not silent


def test_the_files_and_commands_the_readme_names_exist():
    for name in re.findall(r"\]\((?!http)([^)]+)\)|(?:bash|python) (\S+\.(?:sh|py))", README):
        path = ROOT / (name[0] or name[1])
        assert path.is_file(), f"README names {path.name}, which does not exist"
    assert ".ci/run" in {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert "bash scripts/test.sh" in README
    assert "bash scripts/test.sh" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_every_command_line_in_the_readme_parses_and_every_task_has_one():
    from rays_as_pixels.cli.main import build_parser  # noqa: PLC0415

    lines = re.findall(r"^python -m rays_as_pixels (.+)$", README, flags=re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in lines]
    verbs = [build_parser().parse_args(line).verb for line in words]
    assert verbs[:4] == ["estimate", "generate", "imagine", "loop"]
    formats = {line[line.index("--format") + 1] for line in words if "--format" in line}
    assert {"blender", "gltf", "colmap", "nerfstudio"} <= formats


def test_the_readme_is_short_and_opens_with_a_small_moving_picture():
    assert len(README.splitlines()) <= 150
    picture = re.search(r"!\[[^]]+\]\(([^)]+)\)", README)[1]
    assert picture.endswith((".webp", ".gif"))
    assert (ROOT / picture).stat().st_size < 3e6


def test_the_python_in_the_readme_uses_public_names():
    import rays_as_pixels  # noqa: PLC0415

    block = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)[1]
    imported = next(node for node in ast.parse(block).body if isinstance(node, ast.ImportFrom))
    assert {alias.name for alias in imported.names} <= set(rays_as_pixels.__all__)


def test_every_command_line_of_the_other_pages_parses_and_every_link_leads_somewhere():
    from rays_as_pixels.cli.main import build_parser  # noqa: PLC0415

    parsed = 0
    for page in (path for path in tracked() if path.suffix == ".md" and path.name != "README.md"):
        text = re.sub(r"\\\n *", "", page.read_text(encoding="utf-8"))
        for line in re.findall(r"-m rays_as_pixels ([a-z][^`\n#]+)", text):
            words = shlex.split(re.sub(r"\[[^]]*\]", "", line))  # [what may be left out]
            assert build_parser().parse_args(words).verb == words[0], page.name
            parsed += 1
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"
    assert parsed > 10


def test_the_page_on_the_command_line_has_every_verb():
    from rays_as_pixels.cli.main import VERBS  # noqa: PLC0415

    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    table = page.split("| Verb |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert re.findall(r"`([a-z-]+)`", " ".join(rows)) == list(VERBS)


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("requirements.txt", PROJECT["dependencies"]),
        *(
            (f"requirements-{name}.txt", wanted)
            for name, wanted in PROJECT["optional-dependencies"].items()
        ),
    ],
)
def test_each_requirement_file_pins_what_pyproject_asks_for(file, wanted):
    pinned = pins(file)
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is missing: run python scripts/pin_requirements.py"
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def third_party_imports(files: list[Path]) -> dict[str, str]:
    """Map the top-level modules that are neither Python's nor ours to a file that imports them."""
    used = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}: relative import"
                names = [node.module]
            used |= {name.partition(".")[0]: path.name for name in names}
    ours = {"rays_as_pixels", "scripts", "tests", "app", *(path.stem for path in files)}
    return {name: used[name] for name in used.keys() - set(sys.stdlib_module_names) - ours}


PROVIDED = {"spaces", "benchmarks"}  # by Spaces with lent GPUs; by this project


def test_all_third_party_imports_are_declared():
    groups = PROJECT["optional-dependencies"]
    optional = [text for name in ("extras", "text", "data") for text in groups[name]]
    run = [*PROJECT["dependencies"], *optional]
    python = [path for path in tracked() if path.suffix == ".py"]
    product = [path for path in python if path.relative_to(ROOT).parts[0] in PRODUCT]
    for files, wanted in ((product, run), (python, [*run, *groups["dev"]])):
        names = [Requirement(text).name for text in wanted]
        declared = {MODULE_OF.get(name, name.replace("-", "_")) for name in names}
        used = third_party_imports(files)
        undeclared = {name: used[name] for name in used.keys() - declared - PROVIDED}
        assert not undeclared, "add them to pyproject.toml"


IMPORT_PROBE = """
import builtins, pathlib, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import rays_as_pixels
heavy = {"gradio", "plotly", "open3d", "diffusers", "torch", "numpy"} & set(sys.modules)
assert not heavy, heavy
foreign = [name for name in opened if not name.endswith((".py", ".pyc")) and ".pyc." not in name]
assert not foreign, foreign
assert rays_as_pixels.InputError.__name__ == "InputError"
"""


def test_importing_the_package_loads_nothing_heavy_and_touches_no_files_but_its_own():
    subprocess.run([sys.executable, "-c", IMPORT_PROBE], cwd=ROOT, check=True)


def test_every_public_name_loads_and_is_listed_once():
    import rays_as_pixels  # noqa: PLC0415

    assert sorted(set(rays_as_pixels.__all__)) == rays_as_pixels.__all__
    for name in rays_as_pixels.__all__:
        assert getattr(rays_as_pixels, name) is not None
        assert name in dir(rays_as_pixels)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rays_as_pixels.nonsense


def test_no_tracked_file_is_too_big_to_read_or_to_clone():
    heavy = [path.name for path in tracked() if path.stat().st_size > 16 * 2**20]
    assert not heavy, "over 16 MB"
    long = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py" and len(path.read_text(encoding="utf-8").splitlines()) > 400
    ]
    assert not long, "over 400 lines"


def test_no_function_of_the_product_is_longer_than_50_lines():
    """From `def` to its end, docstring included; ruff counts the parameters."""
    long = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and name.startswith(PRODUCT):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = node.end_lineno - node.lineno + 1
                    long += [f"{name}: {node.name} has {lines}"] if lines > 50 else []
    assert not long


def test_no_two_files_of_tests_share_a_name():
    """Folders of tests are no packages: pytest imports a file by its own name alone."""
    names = [path.name for path in tracked() if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


def test_no_tracked_text_names_a_place_of_one_machine():
    places = re.compile(r"/(?:work|farm|root|home/\w+|Users/\w+)/")
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if places.search(text):
            found.append(path.relative_to(ROOT).as_posix())
    assert not found
