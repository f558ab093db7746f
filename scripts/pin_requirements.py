"""Write the requirement files: what pyproject.toml asks for, at the versions installed here.

Run it in the environment the tests passed in: `python scripts/pin_requirements.py`.
"""

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by scripts/pin_requirements.py from pyproject.toml; do not edit by hand.\n"


def main() -> None:
    """Write requirements.txt, and requirements-NAME.txt for each group of optional packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run = write("requirements.txt", project["dependencies"], pinned=set())
    for name in ("extras", "text", "data", "dev"):
        write(f"requirements-{name}.txt", extras[name], pinned=run)


def write(name: str, wanted: list[str], *, pinned: set[str]) -> set[str]:
    """Pin `wanted` and all they need, except `pinned`; return the names."""
    direct = {canonicalize_name(Requirement(text).name) for text in wanted}
    needed = closure([Requirement(text) for text in wanted]) - pinned
    lines = [HEADER, *(f"{pin(item)}\n" for item in sorted(direct))]
    lines += ["\n# needed by these\n", *(f"{pin(item)}\n" for item in sorted(needed - direct))]
    (ROOT / name).write_text("".join(lines))
    return needed


def closure(requirements: list[Requirement]) -> set[str]:
    """Return the names of all installed packages that the requirements lead to."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    todo = list(requirements)
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), tuple(sorted(requirement.extras)))
        if key in seen:
            continue
        try:
            needs = distribution(key[0]).requires or []
        except PackageNotFoundError:
            raise SystemExit(f"{requirement} must be installed here; it is not.") from None
        seen.add(key)
        for need in map(Requirement, needs):
            names = requirement.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": x}) for x in names):
                todo.append(need)
    return {name for name, _ in seen}


def pin(name: str) -> str:
    """Return 'name==version' of the installed package, without a local build tag such as +cpu."""
    return f"{name}=={distribution(name).version.partition('+')[0]}"


if __name__ == "__main__":
    main()
