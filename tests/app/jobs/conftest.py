"""A job manager that is closed after the test."""

import pytest

from rays_as_pixels.app.jobs.manager import JobManager


@pytest.fixture
def open_manager(tmp_path):
    managers = []

    def make(kinds=None, **options) -> JobManager:
        managers.append(JobManager(tmp_path / "jobs", {} if kinds is None else kinds, **options))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()
