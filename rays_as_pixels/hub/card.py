"""The model card of a pushed repository: what it is, how to use it, where from, how good."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.checkpoints import read_json
from rays_as_pixels.model.root_module import INSTALL

LICENSE = "apache-2.0"  # the project's, and Wan 2.1's
PAPER = "2604.09429"
_TAGS = ["rays-as-pixels", "camera-pose-estimation", "camera-control", f"arxiv:{PAPER}"]
_COLUMNS = {
    "rotation_mean_deg": ("e_R mean [deg]", 2, 1),
    "rotation_median_deg": ("e_R median [deg]", 2, 1),
    "mrra30": ("mRRA@30 [%]", 1, 100),
    "translation_median_deg": ("e_t median [deg]", 1, 1),
    "r_err_rad": ("R_err [rad]", 4, 1),
    "t_err": ("T_err", 4, 1),
    "ate_median": ("ATE median", 3, 1),
    "psnr_db": ("PSNR [dB]", 1, 1),
    "failures": ("failures", 0, 1),
}
_FACTS = {
    "clips_seen": "clips seen",
    "steps": "steps",
    "transformer_minutes": "minutes",
    "parameters": "parameters of the transformer",
    "device": "device",
    "config": "configuration",
    "seed": "seed",
}


def model_card(
    folder: Path, repository: str, *, license_id: str | None = None, base: str | None = None
) -> str:
    """Write the card of a pipeline folder.

    A README.md in the folder is kept: its words come first and its metadata goes before ours. What
    it does not say is added: use, training, figures.

    Args:
        folder: A saved pipeline; README.md, training.json and evaluation.json are read if there.
        repository: `org/name` that it will be found under.
        license_id: Licence of the weights; the card's own, or Apache-2.0, if None.
        base: Repository of the model that these weights were made from.

    Raises:
        CheckpointError: One of the files is damaged, or has another licence or base.
    """
    own, words = _own_card(folder)
    given = {"license": license_id, "base_model": base}
    for name, value in given.items():
        if value is not None and own.get(name, value) != value:
            raise CheckpointError(
                f"{name} must be given once; got {value!r}, and README.md in {folder} has "
                f"{own[name]!r}. Change one of them."
            )
    data: dict[str, Any] = {
        "license": license_id or LICENSE,
        "library_name": "diffusers",
        "pipeline_tag": "image-to-video",
        **({} if base is None else {"base_model": base}),
        **own,
    }
    data["tags"] = list(dict.fromkeys([*own.get("tags", []), *_TAGS]))
    parts = [words or _what(repository), *_sections(folder, repository, words, data)]
    head = "\n".join(_yaml(name, value) for name, value in data.items())
    return f"---\n{head}\n---\n\n" + "\n\n".join(part.strip() for part in parts) + "\n"


def _own_card(folder: Path) -> tuple[dict[str, Any], str]:
    file = folder / "README.md"
    if not file.is_file():
        return {}, ""
    try:
        card = ModelCard(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"README.md must begin with valid metadata; got {file} with: {error}. Repair it."
        ) from error
    return card.data.to_dict(), card.text.strip()


def _what(repository: str) -> str:
    return (
        f"# {repository.partition('/')[2]}\n\n"
        "One diffusion model over a video and its camera rays, drawn as images: it estimates the\n"
        "camera path of a video, makes a video along a path, or makes both from an image. An open\n"
        f"implementation of *Rays as Pixels* ([arXiv {PAPER}](https://arxiv.org/abs/{PAPER}))."
    )


def _sections(folder: Path, repository: str, words: str, data: dict[str, Any]) -> list[str]:
    """Write what the card's own words leave out."""
    has = {line.lstrip("# ").lower() for line in words.splitlines() if line.startswith("#")}
    sections = []
    if "use" not in has:
        sections.append(_use(repository))
    if "training" not in has:
        sections.append(_training(folder, data.get("base_model")))
    if not has & {"figures", "evaluation"}:
        sections += _figures(folder)
    return [section for section in sections if section]


def _use(repository: str) -> str:
    return (
        "## Use\n\n```bash\n"
        f"python -m rays_as_pixels estimate clip.mp4 --model {repository} --out result\n```\n\n"
        "```python\nfrom rays_as_pixels import RaysAsPixelsPipeline\n\n"
        f'pipeline = RaysAsPixelsPipeline.from_pretrained("{repository}")\n```\n\n'
        f"For the package, {INSTALL}. With it, diffusers' generic loader works too:\n"
        f'`DiffusionPipeline.from_pretrained("{repository}", trust_remote_code=True)`.'
    )


def _training(folder: Path, base: object) -> str:
    facts = _json(folder / "training.json")
    lines = ["## Training", ""]
    if base:
        lines += [f"Made from [{base}](https://huggingface.co/{base}).", ""]
    if facts.get("trained_on"):
        lines += [f"Trained on: {facts['trained_on']}.", ""]
    elif facts:
        lines += ["Trained with `python -m rays_as_pixels train`.", ""]
    else:
        lines += ["What it was trained on is not recorded in the folder.", ""]
    recorded = (f"- {words}: {facts[key]}" for key, words in _FACTS.items() if key in facts)
    return "\n".join([*lines, *recorded])


def _figures(folder: Path) -> list[str]:
    result = _json(folder / "evaluation.json")
    tables = [_table(table) for table in result.get("tables", {}).values()]
    if not any(tables):
        return []
    return ["## Figures", f"Measured on {result.get('source', 'clips')}.", *filter(None, tables)]


def _table(table: dict[str, Any]) -> str:
    rows = [row for row in table.get("rows", []) if isinstance(row, dict)]
    keys = [key for key in _COLUMNS if any(row.get(key) is not None for row in rows)]
    if not keys:
        return ""
    lines = [f"### {table.get('title', '')}", ""]
    lines.append("| | " + " | ".join(_COLUMNS[key][0] for key in keys) + " |")
    lines.append("|---|" + "---:|" * len(keys))
    for row in rows:
        cells = [_cell(row.get(key), *_COLUMNS[key][1:]) for key in keys]
        lines.append(f"| {row.get('label', row.get('id', ''))} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object, digits: int, factor: int) -> str:
    return f"{value * factor:.{digits}f}" if isinstance(value, int | float) else "-"


def _json(file: Path) -> dict[str, Any]:
    return read_json(file, "Repair or remove it.") if file.is_file() else {}


def _yaml(name: str, value: object) -> str:
    """Write one line of metadata; JSON is YAML."""
    return (
        f"{name}: {value if isinstance(value, str) and value.isidentifier() else json.dumps(value)}"
    )
