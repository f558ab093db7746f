"""Results of an ablation: one row per variant, as JSON and as markdown."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rays_as_pixels.evaluation.ablation.score import FLOOR
from rays_as_pixels.evaluation.ablation.variants import VARIANTS
from rays_as_pixels.evaluation.tables import PATH_NOTES, Column, Row, Table

ABLATION_JSON, ABLATION_MARKDOWN = "ablation.json", "ablation.md"
_ERRORS = (
    Column("rotation_mean_deg", "e_R mean [deg]", 2),
    Column("rotation_median_deg", "e_R median [deg]", 2),
    Column("mrra30", "mRRA@30 [%]", 1, percent=True),
    Column("translation_median_deg", "e_t median [deg]", 1),
    Column("r_err_rad", "R_err [rad]", 4),
    Column("t_err", "T_err", 3),
    Column("focal_error_median", "focal median [%]", 1, percent=True),
    Column("worse_than_identity", "clips worse than identity"),
)
_COLUMNS = (
    *_ERRORS,
    Column("parameters_m", "parameters [M]", 2),
    Column("minutes", "minutes", 1),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one variant.

    Attributes:
        name: Of the variant.
        label: In words.
        parameters: Of its network.
        minutes: It trained for.
        clips_seen: In training, repeats counted.
        row: Scores at the default number of steps.
        more: Scores at other numbers of steps, of its autoencoder alone, and of means over seeds.
        dynamic_objects: Scores on worlds where objects stand still, and where they move.
    """

    name: str
    label: str
    parameters: int
    minutes: float
    clips_seen: int
    row: dict[str, Any]
    more: dict[str, dict[str, Any]]
    dynamic_objects: dict[str, dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON holds. Inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Outcome":
        """Read what `to_dict` gave."""
        return cls(**values)

    def table_row(self) -> Row:
        """Return the row of the main table."""
        return {
            "id": self.name,
            "label": self.label,
            "parameters_m": self.parameters / 1e6,
            "minutes": self.minutes,
            **self.row,
        }


def tables(outcomes: list[Outcome], baselines: list[dict[str, object]]) -> list[Table]:
    """Build the tables: variants, and what else was measured on them."""
    main = Table(
        "variants",
        "Variants, 1 step",
        _COLUMNS,
        (*baselines, *(outcome.table_row() for outcome in outcomes)),
        PATH_NOTES,
    )
    note = "Autoencoder floor: true cameras drawn, encoded, decoded and read; no network."
    more = Table(
        "more",
        "Other steps, means over seeds, and the autoencoder alone",
        _ERRORS,
        _rows_of(outcomes, "more"),
        (note,),
    )
    dynamic_objects = Table(
        "dynamic_objects",
        "Worlds where things move, 1 step",
        _ERRORS,
        _rows_of(outcomes, "dynamic_objects"),
        ("The same worlds along the same paths, rendered twice.",),
    )
    return [main, more, dynamic_objects]


def _rows_of(outcomes: list[Outcome], field: str) -> tuple[Row, ...]:
    """List the rows of a field; the autoencoder's floor once per representation of cameras."""
    rows, floors = [], set()
    for outcome in outcomes:
        for key, row in getattr(outcome, field).items():
            if key == FLOOR:
                kind = VARIANTS[outcome.name].representation
                if kind in floors:
                    continue
                floors.add(kind)
            rows.append({"id": f"{outcome.name}/{key}", "label": f"{outcome.label}: {key}", **row})
    return tuple(rows)


def report(
    outcomes: list[Outcome],
    baselines: list[dict[str, object]],
    about: dict[str, object],
    folder: Path,
) -> None:
    """Write ablation.json and ablation.md into a folder."""
    made = tables(outcomes, baselines)
    whole = {"about": about, "tables": {table.key: table.to_dict() for table in made}}
    text = json.dumps(whole, indent=1, allow_nan=False)
    (folder / ABLATION_JSON).write_text(text + "\n", encoding="utf-8")
    lines = ["# Ablations", "", *(f"- {name}: {value}" for name, value in about.items())]
    lines.append(f"- clips seen by each: {outcomes[0].clips_seen if outcomes else 0}")
    page = "\n".join(lines) + "\n\n" + "\n".join(table.markdown() for table in made)
    (folder / ABLATION_MARKDOWN).write_text(page, encoding="utf-8")
