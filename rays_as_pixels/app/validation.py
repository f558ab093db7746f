"""Checks of data from outside by pydantic models, refused in the words of the project's errors."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rays_as_pixels.errors import InputError

MOST_CHARACTERS = 60  # of a value that is quoted in a message
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


Model = TypeVar("Model", bound=BaseModel)


def validated(
    model_class: type[Model],
    data: object,
    *,
    name: str = "the request",
    remedy: str = "Correct it and try again.",
) -> Model:
    """Return data as a pydantic model.

    Args:
        model_class: What it must be; its validators may raise InputError themselves.
        data: From outside.
        name: What a message calls the whole of it.
        remedy: What a message says can be done.

    Raises:
        InputError: A rule of the model is broken; the message names the first.
    """
    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        context: Mapping[str, Any] = first.get("ctx", {})
        if isinstance(context.get("error"), InputError):
            raise context["error"] from None
        where = field_name(first["loc"]) or name
        rule = RULES.get(first["type"])
        words = f"must obey: {first['msg']}" if rule is None else rule.format(**context)
        got = "nothing" if first["type"] == "missing" else quoted(first["input"])
        if first["type"] in _COUNTED:
            got = str(context.get("actual_length"))
        raise InputError(f"{where} {words}; got {got}. {remedy}") from error


def field_name(place: Sequence[int | str]) -> str:
    """Say where in nested data a field is: ("keys", 0, "at", 2) is 'at[2] of keys[0]'."""
    names: list[str] = []
    for part in place:
        if isinstance(part, int) and names:
            names[-1] += f"[{part}]"
        else:
            names.append(str(part)[:MOST_CHARACTERS])
    return " of ".join(reversed(names))


def quoted(value: object) -> str:
    """Return a short text of any value for a message."""
    words = repr(value)
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 3] + "..."
