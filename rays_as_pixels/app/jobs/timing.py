"""How long jobs take, from those that were measured: nothing is promised that was not seen."""

from collections.abc import Iterable
from statistics import median

from rays_as_pixels.app.jobs.records import JobRecord, JobState

LATEST = 5  # measured jobs to go by; the machine may have been busier long ago


def run_cost(steps: int, frames: int, *, runs: int = 1, guidance: float = 1.0) -> float:
    """Return how much work a run is: passes through the network, times frames."""
    return float(steps * frames * runs * (2 if guidance > 1 else 1))


def expected_sec(
    records: Iterable[JobRecord], kind: str, *, device: str, cost: float
) -> float | None:
    """Return the seconds a job will take, None if no like job was measured.

    Stages of several steps are scaled by the cost; the others, such as reading a file, are not.

    Args:
        records: All jobs that are known.
        kind: `JobRecord.timed_as` of the job.
        device: Its device.
        cost: Its cost; 0 if not known, which takes the middle of the measured times.
    """
    similar = _measured(records, kind, device)
    if not similar:
        return None
    totals = [record.duration_sec or 0.0 for record in similar]
    if cost <= 0 or any(record.cost <= 0 for record in similar):
        return median(totals)
    stepped = [_stepped_sec(record) for record in similar]
    fixed = median(total - part for total, part in zip(totals, stepped, strict=True))
    rate = median(part / record.cost for part, record in zip(stepped, similar, strict=True))
    return max(0.0, fixed) + rate * cost


def remaining_sec(
    record: JobRecord, records: Iterable[JobRecord], *, since_report_sec: float = 0.0
) -> float | None:
    """Return the seconds a running job still needs: this stage at its speed, and those after it.

    Args:
        record: The job.
        records: All jobs that are known; the latest like it says what comes after this stage.
        since_report_sec: Seconds since the job last reported a step.
    """
    this_stage = record.remaining_sec
    if this_stage is None:
        return None
    this_stage = max(0.0, this_stage - since_report_sec)
    similar = _measured(records, record.timed_as, record.device)
    index = len(record.stages)
    if not similar or [stage[0] for stage in similar[0].stages[: index + 1]] != [
        *(stage[0] for stage in record.stages),
        record.stage,
    ]:
        return this_stage
    before = similar[0]
    scale = record.cost / before.cost if record.cost > 0 and before.cost > 0 else 1.0
    later = before.stages[index + 1 :]
    return this_stage + sum(seconds * (scale if steps > 1 else 1.0) for _, steps, seconds in later)


def step_sec(records: Iterable[JobRecord], stage: str) -> float | None:
    """Return the seconds per step of a stage in the latest finished jobs, None if none had it."""
    finished = [record for record in records if record.state is JobState.DONE]
    finished.sort(key=lambda record: record.finished_unix or 0.0, reverse=True)
    found = [
        seconds / steps
        for record in finished
        for name, steps, seconds in record.stages
        if name == stage and steps > 0
    ]
    return median(found[:LATEST]) if found else None


def _measured(records: Iterable[JobRecord], kind: str, device: str) -> list[JobRecord]:
    similar = [
        record
        for record in records
        if record.state is JobState.DONE
        and (record.timed_as, record.device) == (kind, device)
        and record.duration_sec is not None
    ]
    return sorted(similar, key=lambda record: record.finished_unix or 0.0, reverse=True)[:LATEST]


def _stepped_sec(record: JobRecord) -> float:
    return sum(seconds for _, steps, seconds in record.stages if steps > 1)
