"""What finished jobs may keep, and how many may wait."""

import pytest
from job_helpers import SOON, submit, until_cancelled
from waiting import wait_until

from rays_as_pixels.app.jobs.quota import Quota, expired
from rays_as_pixels.app.jobs.records import JobRecord, JobState
from rays_as_pixels.errors import InputError


@pytest.mark.parametrize("job_id", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, None])
def test_ids_that_are_none_are_refused(open_manager, job_id):
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        open_manager().get(job_id)


def test_an_unknown_job_is_called_cleaned_up(open_manager):
    with pytest.raises(InputError, match="cleaned up"):
        open_manager().get("0" * 32)


def test_a_visitor_may_not_fill_the_queue(open_manager):
    manager = open_manager(quota=Quota(owner_waiting=2, waiting=3))
    jobs = [submit(manager, "long", until_cancelled, owner="ann") for _ in range(2)]
    with pytest.raises(InputError, match="2 or fewer at a time"):
        submit(manager, "long", until_cancelled, owner="ann")
    jobs.append(submit(manager, "long", until_cancelled, owner="bob"))
    with pytest.raises(InputError, match="queue must hold 3"):
        submit(manager, "long", until_cancelled, owner="cy")
    for job in reversed(jobs):
        manager.cancel(job.id)


def test_the_oldest_finished_jobs_go_when_the_quota_is_full(open_manager):
    manager = open_manager(quota=Quota(total_bytes=25_000, owner_bytes=25_000))

    def work(context):
        (context.folder / "big").write_bytes(b"0" * 10_000)

    jobs = []
    for _ in range(4):
        jobs.append(manager.wait(submit(manager, "big", work, owner="ann").id, timeout_sec=SOON))
    wait_until(lambda: len(manager.records()) == 2)
    assert [job.id for job in manager.records()] == [jobs[3].id, jobs[2].id]
    assert not manager.folder(jobs[0].id).exists()


def test_quota_counts_per_visitor_and_by_age():
    def job(number: int, owner: str, finished: float) -> JobRecord:
        return JobRecord(
            f"{number:032x}", "k", owner, "cpu", JobState.DONE, 0.0, finished_unix=finished
        )

    quota = Quota(total_bytes=100, owner_bytes=30, keep_sec=50.0)
    jobs = [(job(1, "ann", 95.0), 20), (job(2, "ann", 96.0), 20), (job(3, "bob", 90.0), 30)]
    jobs.append((job(4, "bob", 10.0), 0))
    gone = expired(jobs, quota, now=100.0)
    assert gone == [f"{4:032x}", f"{1:032x}"]


def test_a_nearly_full_disk_takes_no_new_job(open_manager):
    manager = open_manager(quota=Quota(free_bytes=1 << 60))
    with pytest.raises(InputError, match="disk must have"):
        submit(manager, "k", lambda _: None)
