"""Rules that no file of the package may break: no pickles, no code from data, no shell."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "rays_as_pixels"
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput"}


def name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value) or '?'}.{node.attr}"  # a method is no built-in
    return ""


def keyword(call: ast.Call, name: str) -> object:
    found = [item.value for item in call.keywords if item.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def faults(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
            found += [f"{line}: import {n}" for n in names if n in FORBIDDEN_MODULES]
        if isinstance(node, ast.ImportFrom) and node.module:
            top = node.module.partition(".")[0]
            found += [f"{line}: from {top}"] if top in FORBIDDEN_MODULES else []
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        if called in FORBIDDEN_CALLS or keyword(node, "shell") is True:
            found.append(f"{line}: {called}")
        if called in ("np.load", "numpy.load") and keyword(node, "allow_pickle") is not False:
            found.append(f"{line}: {called} must say allow_pickle=False")
        if called == "torch.load" and keyword(node, "weights_only") is not True:
            found.append(f"{line}: torch.load must say weights_only=True")
        if called == "yaml.load" or keyword(node, "trust_remote_code") is True:
            found.append(f"{line}: {called}")
    return found


def test_nothing_in_the_package_unpickles_or_runs_what_it_reads():
    broken = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found = faults(ast.parse(path.read_text(encoding="utf-8")))
        if found:
            broken[path.relative_to(PACKAGE).as_posix()] = found
    assert not broken


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "np.load(p)",
        "numpy.load(p, allow_pickle=True)",
        "torch.load(p)",
        "eval(x)",
        "subprocess.run(x, shell=True)",
        "M.from_pretrained(x, trust_remote_code=True)",
    ],
)
def test_this_test_sees_what_it_forbids(text):
    assert faults(ast.parse(text))


def test_this_test_lets_safe_reading_pass():
    safe = "np.load(p, allow_pickle=False); torch.load(p, weights_only=True); ast.literal_eval(x)"
    assert not faults(ast.parse(safe))
