"""What a file holds, looked at once for all formats that might recognise it."""

import io
import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.jsonfile import parse_json
from rays_as_pixels.trajectories.formats.textfile import decode, read_bytes

_MAX_LINES = 40


class FileContent:
    """A file or folder as the sniffers of the formats see it; each part is read on first use.

    At most one of `archive_names`, `json` and `text` is filled. A damaged archive, JSON with a
    mistake and an empty or unreadable file raise InputError when they are first looked at.

    Attributes:
        path: The file or folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def payload(self) -> bytes:
        """All bytes; none of a folder."""
        return b"" if self.path.is_dir() else read_bytes(self.path)

    @cached_property
    def archive_names(self) -> tuple[str, ...]:
        """Names of the files in a ZIP archive."""
        if not self._is_archive:
            return ()
        try:
            return tuple(zipfile.ZipFile(io.BytesIO(self.payload)).namelist())
        except zipfile.BadZipFile as error:
            raise InputError(
                f"{self.path.name} must be a whole archive; got {error}. Copy it again."
            ) from None

    @cached_property
    def json(self) -> Any:
        """The value of a JSON file whose outermost value is an object or a list, else None."""
        if not self._is_json:
            return None
        return parse_json(self._decoded, self.path.name).value

    @property
    def json_object(self) -> "dict[str, Any]":
        """The outermost object of a JSON file; empty if there is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def json_list(self) -> "list[Any]":
        """The outermost list of a JSON file; empty if there is none."""
        return self.json if isinstance(self.json, list) else []

    @property
    def text(self) -> str:
        """Text that is not JSON."""
        return "" if self._is_json else self._decoded

    @cached_property
    def lines(self) -> list[str]:
        """The first lines of text that are not blank."""
        return [line for line in self.text.split("\n", _MAX_LINES)[:_MAX_LINES] if line.strip()]

    @cached_property
    def rows(self) -> list[str]:
        """Those of `lines` that are not comments."""
        return [line for line in self.lines if not line.lstrip().startswith("#")]

    @cached_property
    def column_counts(self) -> list[int]:
        """How many columns each row has, separated by white space."""
        return [len(row.split()) for row in self.rows]

    @property
    def header(self) -> list[str]:
        """The cells of the first row if it is separated by commas."""
        cells = self.rows[0].split(",") if self.rows else []
        return [cell.strip() for cell in cells] if len(cells) > 1 else []

    def is_table(self, columns: int) -> bool:
        """Tell whether the first rows have `columns` columns, separated by white space."""
        first = self.column_counts[:2]
        return bool(first) and not self.header and all(count == columns for count in first)

    def check_decodable(self) -> None:
        """Refuse bytes that are neither an archive nor text, naming line and column."""
        if not self._is_archive:
            decode(self.payload, self.path.name)

    def summary(self) -> str:
        """Describe what was found, for the message that no format recognises it."""
        if self.path.is_dir():
            names = sorted(entry.name for entry in self.path.iterdir())
            return "a folder of " + (", ".join(names[:6]) or "nothing")
        if self.archive_names:
            return "an archive of " + ", ".join(self.archive_names[:6])
        if self._is_json:
            value = self.json
            keys = list(value)[:6] if isinstance(value, dict) else f"a list of {len(value)}"
            return f"JSON with {json.dumps(keys)[:80]}"
        if not self.rows:
            return "no line of data"
        if self.header:
            return f"a table of {len(self.header)} columns, {self.rows[0][:40]!r}"
        return f"{self.column_counts[0]} columns in its first line of data, {self.rows[0][:40]!r}"

    @cached_property
    def _is_archive(self) -> bool:
        return self.payload.startswith(b"PK")

    @cached_property
    def _decoded(self) -> str:
        """Text; empty where the bytes are something else, see `check_decodable`."""
        if self._is_archive or not self.payload:
            return ""
        try:
            return decode(self.payload, self.path.name)
        except InputError:
            return ""

    @property
    def _is_json(self) -> bool:
        return self._decoded.lstrip()[:1] in ("{", "[")
