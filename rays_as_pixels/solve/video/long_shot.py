"""A shot of any length, solved part by part while its frames come, and joined in the end."""

from collections.abc import Callable

from rays_as_pixels.solve.video.loops import LoopFinder
from rays_as_pixels.solve.video.observations import Observations
from rays_as_pixels.solve.video.parts import SolvedPart, join_parts
from rays_as_pixels.solve.video.shots import ShotPart
from rays_as_pixels.solve.video.solver import (
    VideoSolution,
    held_still,
    solve_observations,
)

_SURE_LOG_FOCAL = 0.05  # standard deviation from which on other parts take over a focal length


class LongShot:
    """Solves the parts of one shot in turn.

    Attributes:
        num_frames: Of all parts so far.
        notes: What is to be said of the shot as a whole.
    """

    def __init__(
        self,
        focal_px: float,
        *,
        report: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        """Start without any part.

        Args:
            focal_px: A first guess of the focal length, in pixels of the frames.
            report: Called with what is done next; may raise to stop.
            check: Called several times a second; may raise to stop.
        """
        self.num_frames = 0
        self.notes: tuple[str, ...] = ()
        self._focal_px, self._focal_is_known = focal_px, False
        self._is_solved = False
        self._report, self._check = report, check
        self._first_frame: int | None = None
        self._parts: list[SolvedPart] = []
        self._loops = LoopFinder()

    def add(self, part: ShotPart) -> None:
        """Solve the next part of the shot."""
        if self._first_frame is None:
            self._first_frame = part.first_frame
        first = part.first_frame - self._first_frame
        solution = self._solved(part.observations)
        self.num_frames = first + len(part)
        if solution is None:
            solution = held_still(len(part), self._focal_px)
        else:
            self._is_solved = True
            self._learn_focal(solution)
        before = self._parts[-1] if self._parts else None
        self._parts.append(SolvedPart.after(before, first, solution))
        self._loops.add(first, part.observations)

    def _solved(self, observations: Observations) -> VideoSolution | None:
        number = len(self._parts) + 1

        def report(name: str) -> None:
            self._report(f"solve: {name}" if number == 1 else f"solve part {number}: {name}")

        return solve_observations(
            observations,
            focal_px=self._focal_px,
            focal_is_known=self._focal_is_known,
            report=report,
            check=self._check,
        )

    def _learn_focal(self, solution: VideoSolution) -> None:
        deviation = solution.deviation
        is_sure = deviation is not None and deviation.log_focal < _SURE_LOG_FOCAL
        if not self._focal_is_known and is_sure and not solution.is_doubtful:
            self._focal_px, self._focal_is_known = float(solution.path.focal_px[0]), True

    def solution(self, *, close_loops: bool = True) -> VideoSolution | None:
        """Join the parts, with the loops between them; None where nothing was solved."""
        if not self._is_solved:
            return None
        loops = []
        if close_loops and len(self._parts) > 2:
            self._report("close loops")
            loops = list(self._loops.loops(self._focal_px, check=self._check))
        joined = join_parts(self._parts, loops)
        if len(self._parts) > 1:
            back = f" and at {len(loops)} places that the camera came back to" if loops else ""
            self.notes = (f"Solved in {len(self._parts)} parts, joined where they overlap{back}.",)
        return joined
