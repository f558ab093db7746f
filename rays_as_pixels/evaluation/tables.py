"""Tables of results: rows of plain numbers that print as markdown and save as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """One column: the row's key, the heading with its unit, and how a number prints."""

    key: str
    heading: str
    digits: int | None = None  # None prints the value as it is
    percent: bool = False

    def text(self, row: Row) -> str:
        """Return the cell; an undefined number is a dash."""
        value = row.get(self.key)
        if value is None:
            return "-"
        if self.digits is None or not isinstance(value, int | float):
            return str(value)
        return f"{value * 100 if self.percent else value:.{self.digits}f}"


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        key: Short name under which the JSON holds it.
        title: Heading.
        columns: What to print, in order; rows may hold more.
        rows: Each has `id` (for programs) and `label` (for people).
        notes: Sentences printed below: what was done, what is counted.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def row(self, row_id: str) -> Row:
        """Return the row with an id.

        Raises:
            KeyError: There is none.
        """
        return next_or_key_error(self.rows, row_id)

    def to_dict(self) -> dict[str, object]:
        """Return what JSON holds."""
        return {
            "title": self.title,
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
        }

    def markdown(self) -> str:
        """Return heading, table and notes."""
        lines = [f"## {self.title}", ""]
        lines.append("| " + " | ".join(["", *(c.heading for c in self.columns)]) + " |")
        lines.append("|" + "---|" + "---:|" * len(self.columns))
        for row in self.rows:
            cells = [str(row["label"]), *(column.text(row) for column in self.columns)]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def next_or_key_error(rows: Sequence[Row], row_id: str) -> Row:
    """Return the first row whose `id` is `row_id`."""
    for row in rows:
        if row["id"] == row_id:
            return row
    raise KeyError(row_id)


PATH_COLUMNS = (
    Column("rotation_mean_deg", "e_R mean [deg]", 2),
    Column("rotation_median_deg", "e_R median [deg]", 2),
    Column("mrra30", "mRRA@30 [%]", 1, percent=True),
    Column("rra5", "RRA@5 [%]", 1, percent=True),
    Column("translation_mean_deg", "e_t mean [deg]", 1),
    Column("translation_median_deg", "e_t median [deg]", 1),
    Column("rta15", "RTA@15 [%]", 1, percent=True),
    Column("auc30", "AUC@30 [%]", 1, percent=True),
    Column("r_err_rad", "R_err [rad]", 4),
    Column("t_err", "T_err", 4),
    Column("t_err_fixed_scale", "T_err fixed scale", 4),
    Column("ate", "ATE mean", 4),
    Column("ate_median", "ATE median", 4),
    Column("rpe_rotation_deg", "RPE rot [deg]", 2),
    Column("rpe_translation", "RPE trans", 4),
    Column("focal_error", "focal mean [%]", 1, percent=True),
    Column("focal_error_median", "focal median [%]", 1, percent=True),
    Column("failures", "failures"),
    Column("worse_than_identity", "clips worse than identity"),
    Column("pairs_masked", "pairs without e_t"),
    Column("seconds", "s/clip", 2),
)

PATH_NOTES = (
    "e_R, e_t: over all frame pairs of all clips and seeds. e_t is undefined where the true "
    "baseline is zero: those pairs are masked and counted. An estimate that stands still is "
    "charged 90 degrees.",
    "R_err, T_err: means over frames after frame 0; each path is divided by its furthest distance "
    "from frame 0 (fixed scale: not divided). ATE after Sim(3); RPE at delta 1.",
    "Identity and constant velocity assume a 60 degree view; constant velocity is given the true "
    "first step 0 to 1, which no estimator is.",
    "Failures count as errors: the identity path (or, for single lost frames, the nearest known "
    "pose) is scored in their place.",
)
