"""What one annotation run is: which videos, which model, which settings, and where it keeps them.

A run folder:

    cameras-00000.parquet ...   the result: one row per frame, or one per video that failed
    failures.json               the failed videos with their reasons, written at the end
    run.json                    model and settings; a second run into the folder must be the same
    parts/KEY.parquet           one finished video each, until the run collects them
    attempts/KEY.N.json         the N-th worker that began a video and has not finished it
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rays_as_pixels.datasets.frames import files_under
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".gif", ".m4v")
MOST_ATTEMPTS = 3  # workers that may die on one video before it is called a failure
PARTS, ATTEMPTS = "parts", "attempts"


@dataclass(frozen=True)
class Settings:
    """What decides the numbers; kept in run.json and in every row.

    Attributes:
        model: Name of the model: a folder or a repository of the Hub.
        revision: Commit of the repository, or a fingerprint of the folder.
        fps: Frames per second that are looked at; None for every frame.
        frames: Frames per clip that the network estimates; None for every frame of a shot, by
            tracking.
        steps: Denoising steps.
        seeds: Noise seeds averaged; more than one gives a spread.
        seed: Seed of the noise, the same for every clip.
    """

    model: str
    revision: str
    fps: float | None
    frames: int | None
    steps: int = ESTIMATE_STEPS
    seeds: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """One run; plain values, so that it can be sent to a worker on another machine.

    Attributes:
        root: Folder that the videos' names are relative to.
        out: The run folder, which every worker must see.
        model_folder: Where the model lies.
        device: auto, cpu, cuda, cuda:N or mps.
        settings: See `Settings`.
    """

    root: str
    out: str
    model_folder: str
    device: str
    settings: Settings

    def part(self, video: str) -> Path:
        """Where the rows of a finished video go."""
        return Path(self.out) / PARTS / f"{key_of(video)}.parquet"

    def attempts(self, video: str) -> list[Path]:
        """The records of workers that began a video and have not finished it, oldest first."""
        return sorted((Path(self.out) / ATTEMPTS).glob(f"{key_of(video)}.*.json"))

    def begin(self, video: str) -> int:
        """Record that this process begins a video; returns how many began it before."""
        before = len(self.attempts(video))
        path = Path(self.out) / ATTEMPTS / f"{key_of(video)}.{before}.json"
        write_json(path, {"video": video, "pid": os.getpid()})
        return before

    def end(self, video: str) -> None:
        """Forget the attempts on a video, whose part is written."""
        for path in self.attempts(video):
            path.unlink(missing_ok=True)


def key_of(video: str) -> str:
    """Return a file name for a video's path."""
    return hashlib.sha256(video.encode()).hexdigest()[:20]


def find_videos(source: Path) -> tuple[Path, list[str]]:
    """List the videos of a folder, at any depth, or of a text file with one path per line.

    Returns:
        The folder that names are relative to, and the names, sorted, each once.

    Raises:
        InputError: There is nothing at `source`, or no video in it.
    """
    if source.is_dir():
        found = (p for p in files_under(source, "*") if p.suffix.lower() in VIDEO_SUFFIXES)
        names = [p.relative_to(source).as_posix() for p in found if p.is_file()]
        root = source
    elif source.is_file() and source.suffix.lower() in (".txt", ".lst"):
        lines = (line.strip() for line in source.read_text("utf-8").splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
        root = source.parent
    else:
        raise InputError(
            f"SRC must be a folder of videos or a .txt file that lists them; got {source}. Check "
            "the path."
        )
    if not names:
        raise InputError(
            f"SRC must hold a video ({', '.join(VIDEO_SUFFIXES)}); got none in {source}. Check the "
            "path."
        )
    return root.resolve(), sorted(set(names))


def open_run(job: Job) -> None:
    """Make the run folder, or check that it belongs to the same model and settings.

    Raises:
        InputError: It was made with others, or is no folder one may write to.
    """
    out = Path(job.out)
    record = out / "run.json"
    mine = asdict(job.settings)
    if record.exists():
        theirs = json.loads(record.read_text("utf-8"))
        differing = [name for name in mine if theirs.get(name) != mine[name]]
        if differing:
            name = differing[0]
            raise InputError(
                f"out must be new or hold a run of the same model and settings; got {out} with "
                f"{name} {theirs.get(name)!r}, not {mine[name]!r}. Choose another folder."
            )
    try:
        for inner in (PARTS, ATTEMPTS):
            (out / inner).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"out must be a folder one may write to; got {out} ({error.strerror}). Choose another."
        ) from error
    write_json(record, mine)
    for path in (out / ATTEMPTS).glob("*.json"):  # of a run that was stopped: no video's fault
        path.unlink(missing_ok=True)


def fingerprint(folder: Path) -> str:
    """Return a short fingerprint of a model folder: of file names, sizes and first megabytes."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(2**20))
    return f"sha256:{digest.hexdigest()[:16]}"


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors"))
