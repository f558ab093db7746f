"""The small modules by which diffusers' generic loader finds this package's classes.

`DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)` runs them; our own loader never
does.
"""

import json
from pathlib import Path

from rays_as_pixels.model.checkpoints import PIPELINE_CLASS

INSTALL = "run `pip install .` in a checkout of the project's repository; it is not on PyPI"
_MODULE = '''"""For diffusers' generic loader; the code itself is in the package rays_as_pixels."""

try:
    from {module} import {name}
except ImportError as error:
    raise ImportError(
        "the package rays_as_pixels must be installed to load this model; it is not. To install "
        "it, {install}."
    ) from error

__all__ = ["{name}"]
'''


def loader_module(module: str, name: str) -> str:
    """Return the text of a module that hands on one class of this package."""
    return _MODULE.format(module=module, name=name, install=INSTALL)


def write_root_module(folder: Path) -> None:
    """Put `pipeline.py` into a saved folder and name it in model_index.json; may be repeated."""
    text = loader_module("rays_as_pixels.pipeline", PIPELINE_CLASS)
    (folder / "pipeline.py").write_text(text, encoding="utf-8")
    index = folder / "model_index.json"
    listed = json.loads(index.read_text(encoding="utf-8"))
    listed["_class_name"] = ["pipeline", PIPELINE_CLASS]
    index.write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n", encoding="utf-8")
