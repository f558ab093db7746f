"""Work that tests of jobs share."""

from rays_as_pixels.errors import Cancelled

SOON = 30.0  # seconds; far more than any of these jobs takes


def until_cancelled(context):
    """Work that steps until it is told to stop."""
    context.results["file"] = "first.txt"
    (context.folder / "first.txt").write_text("kept")
    for step in range(10_000):
        context.progress("Stepping", step, 10_000)
        if context.cancel.wait(0.01):
            raise Cancelled
    raise AssertionError("nobody stopped this job")
