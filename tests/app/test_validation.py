"""Data from outside is refused with rule, value and remedy, wherever in it the fault lies."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rays_as_pixels.app.validation import validated
from rays_as_pixels.errors import InputError


class Key(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    at: Annotated[list[Annotated[float, Field(le=9, allow_inf_nan=False)]], Field(max_length=3)]
    easing: Literal["smooth", "linear"] = "smooth"


class Edit(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    num_frames: Annotated[int, Field(ge=1)]
    keys: list[Key] = Field(default_factory=list)

    @field_validator("num_frames")
    @classmethod
    def odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise InputError(f"num_frames must be odd; got {value}. Add one.")
        return value


def test_sound_data_become_the_model():
    assert validated(Edit, {"num_frames": 3, "keys": [{"at": [1.0]}]}).keys[0].easing == "smooth"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the request must be a JSON object; got [].*Correct it"),
        ({}, "num_frames must be given; got nothing."),
        ({"num_frames": 1.5}, "num_frames must be a whole number; got 1.5."),
        ({"num_frames": True}, "num_frames must be a whole number; got True."),
        ({"num_frames": 0}, "num_frames must be 1 or more; got 0."),
        ({"num_frames": 2}, "num_frames must be odd; got 2. Add one."),
        ({"num_frames": 1, "more": 2}, "more must be left out.*got 2."),
        ({"num_frames": 1, "keys": [{"at": [0.0, 10.0]}]}, "at.1. of keys.0. must be 9 or less"),
        ({"num_frames": 1, "keys": [{"at": [float("nan")]}]}, "must be a finite number; got nan"),
        ({"num_frames": 1, "keys": [{"at": [0.0] * 4}]}, "must have 3 values or fewer; got 4."),
        ({"num_frames": 1, "keys": [{"at": [], "easing": "x"}]}, "must be 'smooth' or 'linear'"),
    ],
)
def test_a_broken_rule_is_named_with_the_value_and_the_remedy(data, message):
    with pytest.raises(InputError, match=message.replace("[]", r"\[\]")):
        validated(Edit, data)
