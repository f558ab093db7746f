"""The toy model of all tests, under the name the verbs' tests know."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_folder(toy_folder) -> Path:
    return toy_folder
