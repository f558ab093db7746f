"""Where jobs are kept on disk: their files, which a page may serve, and their records.

A record names the visitor it belongs to, and a fault's log names places on this machine; so both
lie outside the folder of files, which anyone who knows a job's id can fetch.
"""

import shutil
from pathlib import Path

from rays_as_pixels.app.jobs.folderlock import FolderLock
from rays_as_pixels.app.jobs.quota import folder_bytes
from rays_as_pixels.app.jobs.records import JobRecord, check_job_id, read_record, write_record
from rays_as_pixels.errors import InputError


class JobStore:
    """The folder of jobs, held by one program at a time.

    Args:
        root: The folder, made if need be.

    Raises:
        InputError: The folder cannot be made or is in use by another program.
    """

    def __init__(self, root: Path) -> None:
        self.files = root / "files"
        self._records = root / "records"
        try:
            for folder in (self.files, self._records):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"workspace must be a folder that can be made; got {root} "
                f"({error.strerror}). Choose another folder."
            ) from error
        self._lock = FolderLock(root)

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job's files."""
        return self.files / check_job_id(job_id)

    def fault_log(self, job_id: str) -> Path:
        """Return the file for the traceback of a job that met a fault."""
        return self._records / f"{check_job_id(job_id)}.txt"

    def write(self, record: JobRecord) -> None:
        """Keep a record, whole or not at all."""
        write_record(record, self._records / f"{record.id}.json")

    def fill(self, job_id: str, inputs: "dict[str, Path | bytes]") -> None:
        """Make a job's folder and put its inputs there.

        Raises:
            InputError: An input cannot be copied; the folder is then gone again.
        """
        folder = self.folder(job_id)
        folder.mkdir()
        for name, source in inputs.items():
            assert Path(name).name == name, f"{name!r} would lie outside the job's folder"
            try:
                if isinstance(source, bytes):
                    (folder / name).write_bytes(source)
                else:
                    shutil.copyfile(source, folder / name)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise InputError(
                    f"{name} must be readable; got '{error.strerror}'. Upload it again."
                ) from error

    def forget(self, job_id: str) -> None:
        """Delete a job: first the record, so that what a crash leaves is known to be nobody's."""
        for path in (self._records / f"{job_id}.json", self.fault_log(job_id)):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def size(self, job_id: str) -> int:
        """Return the bytes of a job's files."""
        return folder_bytes(self.folder(job_id))

    def recover(self) -> list[JobRecord]:
        """Return all records that can be read, and delete files without a record."""
        for part in self._records.glob(".*.part"):
            part.unlink(missing_ok=True)
        paths = sorted(self._records.glob("*.json"))
        records = [record for record in map(read_record, paths) if record is not None]
        known = {path.stem for path in paths}  # a damaged record keeps its files, for a person
        for folder in self.files.iterdir():
            if folder.is_dir() and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for record in records:
            self.folder(record.id).mkdir(exist_ok=True)
        return records

    def release(self) -> None:
        """Let another program use the folder."""
        self._lock.release()
