"""Checks of data from outside by pydantic models, refused in the words of the project's errors."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from rays_as_pixels.errors import InputError

MAX_CHARACTERS = 60  # of a value that is quoted in a message
REMEDY = "Correct it and try again."
# From pydantic's types of errors to rules; a rule's braces are filled from the error's context.
RULES = {
    "missing": "must be given",
    "extra_forbidden": "must be left out, since it has no meaning here",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "float_type": "must be a finite number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_pattern_mismatch": "must match {pattern}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "too_short": "must have {min_length} values or more",
    "too_long": "must have {max_length} values or fewer",
}
_COUNTED = ("too_short", "too_long")
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

Model = TypeVar("Model", bound=BaseModel)


class StrictModel(BaseModel):
    """Base of all data from outside: immutable, of known fields only, nothing is converted."""

    model_config = _STRICT


def _int_if_whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON and Gradio's sliders write some whole numbers as 3.0.
WholeNumber = Annotated[int, BeforeValidator(_int_if_whole)]


def validated(
    model_class: type[Model],
    data: object,
    *,
    name: str = "the request",
    remedy: str = REMEDY,
    labels: Mapping[str, str] | None = None,
) -> Model:
    """Return data as a pydantic model.

    Args:
        model_class: What it must be. Its validators raise ValueError with the rule alone ("must be
            odd"), or InputError with the whole message.
        data: From outside.
        name: What a message calls the whole of it.
        remedy: What a message says can be done.
        labels: What a message calls its fields, where not by their own names. "{n}" in the label of
            a list is the number of an item, counted from 1.

    Raises:
        InputError: A rule of the model is broken; the message names the first.
    """
    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        raise _refusal(error, name, remedy, labels or {}) from error


def number_between(
    kind: Any, value: object, low: float, high: float, *, name: str, remedy: str = REMEDY
) -> Any:
    """Return a number within [low, high].

    Args:
        kind: WholeNumber or float.
        value: From outside.
        low: The least.
        high: The most.
        name: What a message calls it.
        remedy: What a message says can be done.

    Raises:
        InputError: It is no such number.
    """
    try:
        return _adapter(kind, low, high).validate_python(value)
    except ValidationError as error:
        raise _refusal(error, name, remedy, {}) from error


@cache
def _adapter(kind: Any, low: float, high: float) -> TypeAdapter:
    config = ConfigDict(strict=True, allow_inf_nan=False)
    bounded: Any = Annotated[kind, Field(ge=low, le=high)]
    return TypeAdapter(bounded, config=config)


def _refusal(
    error: ValidationError, name: str, remedy: str, labels: Mapping[str, str]
) -> InputError:
    """Return the first of pydantic's errors as rule, value and remedy."""
    first = error.errors(include_url=False)[0]
    context: Mapping[str, Any] = first.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InputError):
        return cause
    where = field_name(first["loc"], labels) or name
    rule = RULES.get(first["type"], f"must obey: {first['msg']}").format(**context)
    words = rule if cause is None else str(cause)
    got = "nothing" if first["type"] == "missing" else quoted(first["input"])
    if first["type"] in _COUNTED:
        got = str(context.get("actual_length"))
    return InputError(f"{where} {words}; got {got}. {remedy}")


def field_name(place: Sequence[int | str], labels: Mapping[str, str]) -> str:
    """Say where in nested data a field is: ("keys", 0, "at", 2) is 'at[2] of keys[0]'."""
    names: list[str] = []
    for before, part in zip(("", *place), place, strict=False):
        if not isinstance(part, int) or not names:
            label = labels.get(str(part), str(part)[:MAX_CHARACTERS])
            names.append(str(part) if "{n}" in label else label)
        elif "{n}" in labels.get(str(before), ""):
            names[-1] = labels[str(before)].format(n=part + 1)
        else:
            names[-1] += f"[{part}]"
    return " of ".join(reversed(names))


def quoted(value: object) -> str:
    """Return a short text of any value for a message."""
    words = "nothing" if value is None or value == "" else repr(value)
    return words if len(words) <= MAX_CHARACTERS else words[: MAX_CHARACTERS - 3] + "..."
