"""How much the finished jobs may keep, and which go first."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.app.jobs.records import JobRecord
from rays_as_pixels.errors import InputError


@dataclass(frozen=True)
class Quota:
    """Limits of a workspace.

    Attributes:
        total_bytes: All finished jobs together.
        owner_bytes: The finished jobs of one visitor.
        owner_waiting: Jobs that one visitor may have queued or running.
        waiting: Jobs that may be queued or running in all.
        keep_sec: Age after which a finished job may go.
        free_bytes: Disk space that must be left before a new job is taken.
    """

    total_bytes: int = 4 << 30
    owner_bytes: int = 1 << 30
    owner_waiting: int = 3
    waiting: int = 50
    keep_sec: float = 7 * 86400.0
    free_bytes: int = 256 << 20


def expired(
    finished: Iterable[tuple[JobRecord, int]], quota: Quota, *, now: float | None = None
) -> list[str]:
    """Return the ids of the finished jobs to delete, oldest first.

    Args:
        finished: Finished jobs with their sizes in bytes.
        quota: The limits.
        now: Seconds since 1970.
    """
    now = time.time() if now is None else now
    newest_first = sorted(finished, key=lambda item: item[0].finished_unix or 0.0, reverse=True)
    kept_total = 0
    kept_by: dict[str, int] = {}
    gone = []
    for record, size in newest_first:
        too_old = now - (record.finished_unix or 0.0) > quota.keep_sec
        too_much = kept_total + size > quota.total_bytes
        owner_total = kept_by.get(record.owner, 0) + size
        if too_old or too_much or (record.owner and owner_total > quota.owner_bytes):
            gone.append(record.id)
            continue
        kept_total += size
        kept_by[record.owner] = owner_total
    return gone[::-1]


def check_room(root: Path, waiting: list[JobRecord], owner: str, quota: Quota) -> None:
    """Refuse a new job when too many wait or the disk is nearly full.

    Raises:
        InputError: One of the limits is reached.
    """
    mine = [record for record in waiting if record.owner == owner]
    if owner and len(mine) >= quota.owner_waiting:
        raise InputError(
            f"jobs of one visitor must be {quota.owner_waiting} or fewer at a time; got "
            f"{len(mine)} waiting. Wait for one to finish or stop it."
        )
    if len(waiting) >= quota.waiting:
        raise InputError(
            f"the queue must hold {quota.waiting} jobs or fewer; got {len(waiting)}. "
            "Try again in a few minutes."
        )
    free = shutil.disk_usage(root).free
    if free < quota.free_bytes:
        raise InputError(
            f"the disk must have {quota.free_bytes >> 20} MB free; got {free >> 20} MB. "
            "Delete files that are no longer needed."
        )
