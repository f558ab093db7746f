"""Strict JSON: no NaN, no repeated keys, and every complaint says line, column and field."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.textfile import line_and_column

_SPACE = re.compile(r"[ \t\r\n]*")
_NOT_A_NUMBER = re.compile(r"(?<![\w\"])-?(?:NaN|Infinity)(?![\w\"])")


@dataclass(frozen=True)
class JsonFile:
    """A parsed JSON text that can say where any of its fields stands."""

    text: str
    name: str
    value: Any

    def where(self, *field: "str | int") -> str:
        """Return "name, line L, column C, field a[0].b" of a field or its nearest parent."""
        line, column = line_and_column(self.text, locate(self.text, field))
        label = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field)
        return f"{self.name}, line {line}, column {column}, field {label.lstrip('.') or '(top)'}"

    def fail(self, field: "tuple[str | int, ...]", rule: str, got: str, remedy: str) -> InputError:
        """Build the error of one field: rule, value, remedy."""
        return InputError(f"{self.where(*field)}: must {rule}; got {got}. {remedy}")

    def get(self, *field: "str | int") -> Any:
        """Return a field.

        Raises:
            InputError: It is missing, or its parent is not an object or list.
        """
        value = self.value
        for depth, part in enumerate(field):
            try:
                if isinstance(value, dict) != isinstance(part, str):
                    raise TypeError
                value = value[part]
            except (KeyError, IndexError, TypeError):
                parent = field[:depth]
                raise self.fail(
                    parent,
                    f"have {part!r}",
                    describe(value),
                    "Add it or choose another --input-format.",
                ) from None
        return value

    def numbers(self, field: "tuple[str | int, ...]", shape: tuple[int, ...]) -> np.ndarray:
        """Return a field of finite numbers of the given shape; -1 is any length."""
        return self.check_numbers(self.get(*field), field, shape)

    def number(self, *field: "str | int") -> float:
        """Return a field that is one finite number."""
        return float(self.numbers(field, ()))

    def positive(self, *field: "str | int") -> float:
        """Return a field that is one finite number above zero."""
        value = self.number(*field)
        if value <= 0:
            raise self.fail(field, "be positive", repr(value), "Correct that number.")
        return value

    def size(self, *field: "str | int") -> int:
        """Return a field that is a positive whole number of pixels."""
        value = self.number(*field)
        if value < 1 or value != int(value):
            rule = "be a positive whole number of pixels"
            raise self.fail(field, rule, f"{value:g}", "Write the image size.")
        return int(value)

    def check_numbers(
        self, value: Any, field: "tuple[str | int, ...]", shape: tuple[int, ...]
    ) -> np.ndarray:
        """Turn nested lists into float64, or say which entry is wrong and where."""
        try:
            array = np.array(value)
            numeric = array.dtype.kind in "iuf" and not self._holds_booleans(value)
            if numeric and shape_fits(array.shape, shape):
                array = array.astype(np.float64)
                if np.isfinite(array).all():
                    return array
        except (ValueError, OverflowError):
            pass
        raise self._first_bad(value, field, shape)

    @cached_property
    def _text_has_booleans(self) -> bool:
        """Whether the words stand anywhere; looked for once, since files are long."""
        return "true" in self.text or "false" in self.text

    def _holds_booleans(self, value: Any) -> bool:
        """Whether nested lists hold true or false, which NumPy would count as 1 and 0."""
        if not self._text_has_booleans:
            return False
        if isinstance(value, list):
            return any(self._holds_booleans(entry) for entry in value)
        return isinstance(value, bool)

    def _first_bad(self, value: Any, field: tuple, shape: tuple[int, ...]) -> InputError:
        remedy = "Correct that value."
        if not shape:
            return self.fail(field, "be a finite number", describe(value), remedy)
        if not isinstance(value, list) or shape[0] not in (-1, len(value)):
            count = "" if shape[0] == -1 else f" of {shape[0]}"
            kind = "numbers" if len(shape) == 1 else "rows"
            return self.fail(field, f"be a list{count} {kind}", describe(value), remedy)
        for index, entry in enumerate(value):
            try:
                self.check_numbers(entry, (*field, index), shape[1:])
            except InputError as error:
                return error
        return self.fail(field, f"be numbers of shape {shape}", describe(value), remedy)


def parse_json(text: str, name: str) -> JsonFile:
    """Parse strictly.

    Raises:
        InputError: Not JSON, NaN or Infinity, a key twice in one object, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name}, line {error.lineno}, column {error.colno}: must be JSON; got "
            f"{excerpt(text, error.pos)} ({error.msg.lower()}). Check for a cut-off file."
        ) from None
    except _ConstantError:
        match = _NOT_A_NUMBER.search(text)
        line, column = line_and_column(text, match.start() if match else 0)
        raise InputError(
            f"{name}, line {line}, column {column}: numbers must be finite; got "
            f"{match.group() if match else 'NaN'}. Repair or remove that frame."
        ) from None
    except _RepeatedKeyError as error:
        line, column = line_and_column(text, text.rfind(json.dumps(error.args[0])))
        raise InputError(
            f"{name}, line {line}, column {column}: keys must be unique within an object; got "
            f"{error.args[0]!r} twice. Remove one of the two."
        ) from None
    except RecursionError:
        raise InputError(
            f"{name}, line 1, column 1: JSON must be nested less deeply; got hundreds of levels. "
            "Export the file again."
        ) from None
    return JsonFile(text, name, value)


def locate(text: str, field: "Iterable[str | int]") -> int:
    """Return the offset of a field's value in a valid JSON text, or of its nearest parent's."""
    offset = _skip_space(text, 0)
    for part in field:
        entry = next((at for key, at in _entries(text, offset) if key == part), None)
        if entry is None:
            break
        offset = entry
    return offset


def describe(value: Any) -> str:
    """Name a JSON value in a few words."""
    if isinstance(value, dict):
        return "an object with " + (", ".join(map(repr, list(value)[:6])) or "no keys")
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return json.dumps(value)[:60]


def excerpt(text: str, offset: int) -> str:
    """Quote the few characters at an offset."""
    return repr(text[offset : offset + 12]) if offset < len(text) else "the end of the file"


def shape_fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape equals the wanted one, where -1 is any length."""
    return len(shape) == len(wanted) and all(
        want in (-1, have) for have, want in zip(shape, wanted, strict=True)
    )


def lines_of(key: str, entries: "list[str]") -> str:
    """Lay out a JSON list with one entry a line, which keeps big files readable and fast."""
    return f"  {json.dumps(key)}: [\n    " + ",\n    ".join(entries) + "\n  ]"


def object_of(head: "dict[str, Any]", *blocks: str) -> str:
    """Lay out a JSON object: one line a field of `head`, then ready-made blocks."""
    fields = [
        f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in head.items()
    ]
    return "{\n" + ",\n".join([*fields, *blocks]) + "\n}\n"


class _ConstantError(ValueError):
    pass


class _RepeatedKeyError(ValueError):
    pass


def _refuse(constant: str) -> float:
    raise _ConstantError(constant)


def _unique_keys(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return result


def _skip_space(text: str, offset: int) -> int:
    match = _SPACE.match(text, offset)
    assert match is not None
    return match.end()


def _entries(text: str, offset: int):
    """Yield (key or index, offset of its value) of the object or list at `offset`."""
    decoder = json.JSONDecoder()
    opening = text[offset : offset + 1]
    if opening not in ("{", "["):
        return
    index, at = 0, _skip_space(text, offset + 1)
    while at < len(text) and text[at] not in "}]":
        key: str | int = index
        if opening == "{":
            key, at = decoder.raw_decode(text, at)
            at = _skip_space(text, _skip_space(text, at) + 1)
        yield key, at
        _, at = decoder.raw_decode(text, at)
        at = _skip_space(text, at)
        if text[at : at + 1] == ",":
            at = _skip_space(text, at + 1)
        index += 1
