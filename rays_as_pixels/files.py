"""Files of a run appear whole or not at all: a run may be killed at any moment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to, which becomes `path` if nothing fails."""
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    partial.replace(path)


def write_json(path: Path, value: dict) -> None:
    """Write JSON whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n")
