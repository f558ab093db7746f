"""Measure a model's calibration factor over 4 flips and write it into its model_index.json.

`python scripts/calibrate_uncertainty.py [MODEL_FOLDER] [WORLDS]`: on worlds of the training family,
so that the held-out ones can tell whether it holds (`evaluate --tasks uncertainty`).
"""

import json
import sys
from pathlib import Path

import torch

from rays_as_pixels.evaluation.tasks.runner import Runner, Settings
from rays_as_pixels.evaluation.tasks.uncertainty import fit_scale
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline


def main() -> None:
    """Fit, write and print the number."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_MODEL
    worlds = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    torch.set_num_threads(1)
    pipe = RaysAsPixelsPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)

    def progress(stage: str, done: int, total: int) -> None:
        sys.stderr.write(f"\r{stage}: {done}/{total}")

    scale, used = fit_scale(Runner(pipe, Settings()), worlds, progress)
    index = folder / "model_index.json"
    text = json.loads(index.read_text(encoding="utf-8"))
    text["calibration_factor"] = round(scale, 3)
    index.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"\ncalibration factor {scale:.3f}, from {used} worlds, written to {index}\n")


if __name__ == "__main__":
    main()
