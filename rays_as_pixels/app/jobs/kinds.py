"""The kinds of jobs by name: how each request is read, and which function does the work.

A job that still waits is kept as its kind's name and its request, so that it can run in the next
process of the program.
"""

from functools import partial

from rays_as_pixels.app.jobs import estimate_every_frame, loop_rounds, tasks
from rays_as_pixels.app.jobs.context import JobKind
from rays_as_pixels.app.jobs.requests import (
    EstimateRequest,
    GenerateRequest,
    ImagineRequest,
    LoopRequest,
)


def job_kinds(load: tasks.LoadPipeline) -> dict[str, JobKind]:
    """Return all kinds of jobs.

    Args:
        load: Gives the pipeline; called in the worker's thread, once a job needs it.
    """
    return {
        "estimate": JobKind(EstimateRequest, partial(estimate_every_frame.run_estimate, load)),
        "generate": JobKind(GenerateRequest, partial(tasks.run_generate, load)),
        "imagine": JobKind(ImagineRequest, partial(tasks.run_imagine, load)),
        "loop": JobKind(LoopRequest, partial(loop_rounds.run_loop, load)),
    }
