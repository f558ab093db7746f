"""The small root `pipeline.py` by which diffusers' generic loader finds this package's pipeline.

`DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)` runs it; our own loader never
does.
"""

import json
from pathlib import Path

from rays_as_pixels.model.checkpoints import PIPELINE_CLASS

_ROOT_MODULE = f'''"""For `DiffusionPipeline.from_pretrained(..., trust_remote_code=True)`."""

try:
    from rays_as_pixels.pipeline import {PIPELINE_CLASS}
except ImportError as error:
    raise ImportError(
        "the package rays_as_pixels must be importable for this pipeline; it is not. Put a "
        "checkout of the project on the Python path."
    ) from error

__all__ = ["{PIPELINE_CLASS}"]
'''


def write_root_module(folder: Path) -> None:
    """Put `pipeline.py` into a saved folder and name it in model_index.json; may be repeated."""
    (folder / "pipeline.py").write_text(_ROOT_MODULE, encoding="utf-8")
    index = folder / "model_index.json"
    listed = json.loads(index.read_text(encoding="utf-8"))
    listed["_class_name"] = ["pipeline", PIPELINE_CLASS]
    index.write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n", encoding="utf-8")
