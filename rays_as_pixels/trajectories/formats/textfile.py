"""Text files of numbers: read them, and name the line and column of a mistake."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError

MAX_FILE_BYTES = 256 * 2**20


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        InputError: The file is missing, a folder, empty, unreadable or larger than MAX_FILE_BYTES.
    """
    if not path.exists():
        raise InputError(f"trajectory file must exist; got {path}. Check the path.")
    if path.is_dir():
        raise InputError(f"trajectory file must be a file; got the folder {path}. Name a file.")
    try:
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path.name} must not be empty; got 0 bytes. Export it again.")
        if size > MAX_FILE_BYTES:
            raise InputError(
                f"{path.name} must be at most {MAX_FILE_BYTES // 2**20} MiB; got "
                f"{size // 2**20} MiB. Cut the path into pieces."
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} must be readable; got {error.strerror}. Check its permissions."
        ) from error


def decode(data: bytes, name: str) -> str:
    """Decode UTF-8, with or without a byte order mark.

    Raises:
        InputError: The bytes are not text; the message names line and column.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = line_and_column(data[: error.start].decode("latin-1"), error.start)
        raise InputError(
            f"{name}, line {line}, column {column}: a text file must be UTF-8; got byte "
            f"0x{data[error.start]:02x}. Check that this is not a binary file."
        ) from None
    if "\0" in text:
        line, column = line_and_column(text, text.index("\0"))
        raise InputError(
            f"{name}, line {line}, column {column}: a text file must hold no zero byte; got one. "
            "Check that this is not a binary file."
        )
    return text


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file; see `read_bytes` and `decode` for the errors."""
    return decode(read_bytes(path), path.name)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column, both from 1, of the character at `offset`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


@dataclass(frozen=True)
class Table:
    """Rows of numbers with the lines they came from.

    Attributes:
        values: (rows, columns) float64, all finite.
        lines: For each row its line number, from 1.
        comments: The lines that start with `#`, without it and stripped.
        name: Of the file.
    """

    values: np.ndarray
    lines: list[int]
    comments: list[str]
    name: str

    def where(self, row: int) -> str:
        """Say where a row begins, for messages."""
        return f"{self.name}, line {self.lines[row]}, column 1"


def parse_table(
    text: str,
    name: str,
    *,
    columns: "tuple[int, ...]",
    remedy: str,
    skip_lines: int = 0,
    separator: str | None = None,
) -> Table:
    """Read rows that all have the same number of columns, one of `columns`.

    Args:
        text: The whole file.
        name: Its name, for messages.
        columns: Allowed column counts; the first row decides which.
        remedy: Last sentence of the message when a row has another count.
        skip_lines: Header lines to jump over.
        separator: What stands between numbers; None is white space.

    Raises:
        InputError: No row, a wrong count, or a token that is not a finite number; with line and
            column.
    """
    rows, lines, comments = [], [], []
    for number, line in enumerate(text.split("\n")[skip_lines:], start=skip_lines + 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            comments.append(stripped[1:].strip())
        elif stripped:
            rows.append(stripped.split(separator))
            lines.append(number)
    if not rows:
        raise InputError(f"{name} must hold at least one line of numbers; got none. {remedy}")
    width = len(rows[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width or width not in columns:
            allowed = width if width in columns else " or ".join(map(str, columns))
            raise InputError(
                f"{name}, line {line}, column {1 if width not in columns else len(row) + 1}: "
                f"a line must hold {allowed} numbers; got {len(row)}. {remedy}"
            )
    tokens = [token for row in rows for token in row]
    values = to_numbers(tokens, text, name, lines, width).reshape(-1, width)
    return Table(values, lines, comments, name)


def to_numbers(tokens: list[str], text: str, name: str, lines: list[int], width: int) -> np.ndarray:
    """Convert tokens to float64 at once, or name line and column of the first that is no number."""
    try:
        values = np.array(tokens, dtype=np.float64)
    except ValueError:
        values = np.array([number_or_nan(token) for token in tokens])
    finite = np.isfinite(values)
    if not finite.all():
        bad = int(np.argmin(finite))
        line = lines[bad // width]
        column = column_of_token(text.split("\n")[line - 1], bad % width)
        raise InputError(
            f"{name}, line {line}, column {column}: field {bad % width + 1} must be a finite "
            f"number; got {tokens[bad]!r}. Repair or remove that line."
        )
    return values


def number_or_nan(token: str) -> float:
    """Return the number a token spells, NaN where it spells none."""
    try:
        return float(token)
    except ValueError:
        return float("nan")


def column_of_token(line: str, index: int) -> int:
    """Return the column, from 1, at which the token `index` of a line starts."""
    tokens = list(re.finditer(r"[^\s,]+", line))
    return tokens[index].start() + 1 if index < len(tokens) else len(line) + 1


def number_rows(values: np.ndarray, separator: str = " ") -> list[str]:
    """Spell each row with the fewest digits that read back to the same float64."""
    return [separator.join(map(repr, row)) for row in np.asarray(values, np.float64).tolist()]


def join_lines(lines: Iterable[str]) -> str:
    """Join lines with line feeds, the last one included."""
    return "\n".join(lines) + "\n"
