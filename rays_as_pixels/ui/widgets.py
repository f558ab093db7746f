"""Small pieces of HTML: the status line, the job bar, the numbers of the loop."""

import html
import math
from collections.abc import Mapping

from rays_as_pixels.jobs.records import JobRecord, JobState
from rays_as_pixels.ui import text
from rays_as_pixels.ui.model_holder import ModelHolder


def status_line(model: ModelHolder) -> str:
    """Say which model runs where, or what to do if there is none."""
    facts = model.facts
    if model.problem:
        return (
            f'<div class="rap-status rap-warn" role="alert"><b>{text.STATUS_NO_MODEL}</b> '
            f"{html.escape(model.problem)}</div>"
        )
    name = facts.name if model.ready is not None else f"{facts.name} ({text.STATUS_LOADING})"
    chips = [(text.STATUS_MODEL, name), (text.STATUS_DEVICE, facts.device)]
    if facts.trained_on:
        chips.append((text.STATUS_TRAINED, facts.trained_on))
    cells = "".join(f"<span><b>{label}</b> {html.escape(value)}</span>" for label, value in chips)
    return f'<div class="rap-status">{cells}</div>'


def job_bar(record: JobRecord | None, *, position: int = 0) -> str:
    """Show a job: state, stage, step, time left; its message when it ended badly."""
    if record is None:
        return f'<div class="rap-job rap-idle" role="status">{text.JOB_IDLE}</div>'
    name = text.JOB_NAMES.get(record.kind, record.kind)
    state = text.JOB_STATES[record.state]
    share, detail = _progress(record, position)
    if record.message and record.state is not JobState.DONE:
        detail = record.message
    bar = ""
    if not record.state.is_final:
        width = f' style="width:{100 * share:.1f}%"' if share is not None else ""
        kind = "" if share is not None else " rap-unknown"
        bar = f'<div class="rap-bar{kind}"><i{width}></i></div>'
    return (
        f'<div class="rap-job rap-{record.state}" role="status" data-job="{record.id}" '
        f'data-state="{record.state}"><div class="rap-line"><b>{html.escape(name)}</b>'
        f'<span class="rap-state">{state}</span><span class="rap-detail">{html.escape(detail)}'
        f"</span></div>{bar}</div>"
    )


def _progress(record: JobRecord, position: int) -> tuple[float | None, str]:
    if record.state is JobState.QUEUED:
        return None, text.queue_note(position)
    if record.state is JobState.DONE:
        seconds = record.duration_sec
        return 1.0, "" if seconds is None else f"in {text.duration(seconds)}"
    if record.state is not JobState.RUNNING:
        return None, ""
    if record.cancelling:
        return None, text.JOB_STOPPING
    known = record.total > 1
    words = [record.stage[:1].upper() + record.stage[1:]]
    if known:
        words.append(f"step {record.done} of {record.total}")
    if record.remaining_sec is not None and known:
        words.append(f"about {text.duration(record.remaining_sec)} left")
    return (record.done / record.total if known else None), ", ".join(filter(None, words))


def loop_numbers(report: Mapping[str, float]) -> str:
    """Show R_err, T_err and PSNR large, with a sentence on what they mean."""
    rotation, translation = report["rotation_error_rad"], report["translation_error"]
    psnr = report["psnr_db"]
    cards = [
        ("R_err", f"{rotation:.4f}", "rad, mean"),
        ("T_err", f"{translation:.4f}", "share of the path's reach, mean"),
        ("PSNR", f"{psnr:.2f}", "dB"),
    ]
    cells = "".join(
        f"<div><b>{name}</b><strong>{value}</strong><small>{unit}</small></div>"
        for name, value, unit in cards
    )
    words = text.loop_sentence(math.degrees(rotation), translation, psnr)
    return f'<div class="rap-cards">{cells}</div><p class="rap-words">{words}</p>'
