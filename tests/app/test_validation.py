"""Data from outside is refused with rule, value and remedy, wherever in it the fault lies."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rays_as_pixels.app.validation import WholeNumber, number_between, validated
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


def test_labels_stand_in_messages_and_items_of_a_list_count_from_one():
    data = {"num_frames": 1, "keys": [{"at": []}, {"at": [10.0]}]}
    with pytest.raises(InputError, match=r"^at\[0\] of key 2 must be 9 or less; got 10.0"):
        validated(Edit, data, labels={"keys": "key {n}"})
    with pytest.raises(InputError, match=r"^Frames must be 1 or more; got 0"):
        validated(Edit, {"num_frames": 0}, labels={"num_frames": "Frames"})
    with pytest.raises(InputError, match=r"^keys must be a list; got 3"):
        validated(Edit, {"num_frames": 1, "keys": 3}, labels={"keys": "key {n}"})


@pytest.mark.parametrize("value", [3, 3.0])
def test_a_whole_number_may_be_written_as_a_float(value):
    found = number_between(WholeNumber, value, 1, 9, name="Steps")
    assert found == 3 and isinstance(found, int)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "Steps must be 1 or more; got 0. Correct it"),
        (10, "Steps must be 9 or less; got 10."),
        (2.5, "Steps must be a whole number; got 2.5."),
        (float("inf"), "Steps must be a whole number; got inf."),
        ("3", "Steps must be a whole number; got '3'."),
        (True, "Steps must be a whole number; got True."),
        (None, "Steps must be a whole number; got nothing."),
    ],
)
def test_no_other_value_is_a_whole_number(value, message):
    with pytest.raises(InputError, match=message):
        number_between(WholeNumber, value, 1, 9, name="Steps")
