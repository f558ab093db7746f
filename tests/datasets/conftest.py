"""One rendered room that all tests of data share."""

import pytest

from tests.datasets.layouts import make_room


@pytest.fixture(scope="session")
def room():
    return make_room()
