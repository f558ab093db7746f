"""Small pieces of HTML: the header, the status line, the job bar."""

import html
import resource
import sys

from rays_as_pixels.app import i18n
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import EVERY_FRAME, JobRecord, JobState
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.errors import InputError


def header() -> str:
    """Return the name of the page and its subject, translated in the browser by `i18n.label`."""
    return f'<header class="rap-head"><h1>{i18n.TITLE}</h1></header>'


def status_line(model: ModelHolder, manager: JobManager, lang: str = "en") -> str:
    """Say which model runs where, with how much memory, and how long things take there."""
    facts = model.facts
    if model.problem:
        return (
            f'<div class="rap-status rap-warn" role="alert"><b>{i18n.say("no_model", lang)}</b> '
            f"{html.escape(model.problem)}</div>"
        )
    name = facts.name
    if model.ready is None:
        name += f" ({i18n.say('loading', lang)})"
    chips = [
        (i18n.say("status_model", lang), name, facts.trained_on),
        (i18n.say("status_device", lang), facts.device, ""),
        (i18n.say("status_memory", lang), memory_words(facts.device, lang), ""),
        (i18n.say("status_pace", lang), pace_words(manager, lang), i18n.say("pace_why", lang)),
    ]
    cells = "".join(
        f'<span title="{html.escape(why, quote=True)}"><b>{label}</b> {html.escape(value)}</span>'
        for label, value, why in chips
    )
    return f'<div class="rap-status">{cells}</div>'


def memory_words(device: str, lang: str) -> str:
    """Say how much memory this program uses, and of how much: the GPU's if it has one."""
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - only where there is a GPU

        free, total = torch.cuda.mem_get_info(device)
        used, total = float(total - free), float(total)
    else:
        used, total = _resident_bytes(), _total_bytes()
    if not total:
        return i18n.size(used)
    return i18n.say("of_total", lang, used=i18n.size(used), total=i18n.size(total))


def _resident_bytes() -> float:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux: the greatest use so far, in bytes on a Mac
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (
            1 if sys.platform == "darwin" else 1024
        )


def _total_bytes() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return float(file.readline().split()[1]) * 1024
    except OSError:
        return 0.0


def pace_words(manager: JobManager, lang: str) -> str:
    """Say how long an estimate and a video took here, from measured jobs."""
    measured = []
    for kind in (EVERY_FRAME, "estimate", "generate", "loop"):
        seconds = manager.expected_sec(kind)
        if seconds is not None:
            name = i18n.say(f"short_{kind.replace(' ', '_')}", lang)
            measured.append(f"{name} {i18n.duration(seconds, lang)}")
    return ", ".join(measured) or i18n.say("pace_unknown", lang)


def job_bar(record: JobRecord | None, manager: JobManager, lang: str = "en") -> str:
    """Show a job: state, stage, step, time left, the latents so far; why it ended badly."""
    if record is None:
        return f'<div class="rap-job rap-idle" role="status">{i18n.say("job_idle", lang)}</div>'
    name = i18n.say(f"job_{record.kind}", lang)
    state = i18n.say(f"state_{record.state}", lang)
    share, detail = _progress(record, manager, lang)
    if record.message and record.state not in (JobState.DONE, JobState.CANCELLED):
        detail = record.message
    bar = ""
    if not record.state.is_final:
        width = f' style="width:{100 * share:.1f}%"' if share is not None else ""
        kind = "" if share is not None else " rap-unknown"
        bar = f'<div class="rap-bar{kind}"><i{width}></i></div>'
    picture = "" if record.state.is_final else _picture(record, manager, lang)
    return (
        f'<div class="rap-job rap-{record.state}" role="status" data-job="{record.id}" '
        f'data-state="{record.state}"><div class="rap-line"><b>{html.escape(name)}</b>'
        f'<span class="rap-state">{state}</span><span class="rap-detail">{html.escape(detail)}'
        f"</span></div>{bar}{picture}</div>"
    )


def _picture(record: JobRecord, manager: JobManager, lang: str) -> str:
    preview = manager.preview(record.id)
    if preview is None:
        return ""
    try:
        source = preview.data_uri()
    except InputError:  # a newer one took its place this moment
        return ""
    what = "path_so_far_is" if record.kind == "estimate" else "preview_is"
    words = i18n.say(what, lang, step=preview.step, total=preview.total)
    return f'<img class="rap-latents" src="{source}" alt="{words}" title="{words}">'


def _progress(record: JobRecord, manager: JobManager, lang: str) -> tuple[float | None, str]:
    if record.state is JobState.QUEUED:
        return None, _queue_words(record, manager, lang)
    if record.state in (JobState.DONE, JobState.CANCELLED):
        seconds = record.duration_sec
        return 1.0, "" if seconds is None else i18n.say(
            "job_took", lang, time=i18n.duration(seconds, lang)
        )
    if record.state is not JobState.RUNNING:
        return None, ""
    if record.cancelling:
        return None, i18n.say("job_stopping", lang)
    known = record.total > 1
    words = [stage_words(record.stage, lang)]
    if known and record.stage == "track frames":
        words.append(_tracked_words(record, lang))
    elif known:
        words.append(i18n.say("job_step", lang, done=record.done, total=record.total))
    left = manager.remaining_sec(record.id)
    if left is not None and (known or left > 1):
        words.append(i18n.say("job_left", lang, time=i18n.duration(left, lang)))
    return (record.done / record.total if known else None), ", ".join(filter(None, words))


def _tracked_words(record: JobRecord, lang: str) -> str:
    words = i18n.say("job_frame", lang, done=record.done, total=record.total)
    if record.stage_sec > 0:
        rate = (record.done - record.stage_first) / record.stage_sec
        words += ", " + i18n.say("job_rate", lang, rate=rate)
    return words


def _queue_words(record: JobRecord, manager: JobManager, lang: str) -> str:
    position = manager.queue_position(record.id)
    words = i18n.say("queue_next", lang)
    if position.ahead:
        words = i18n.say("queue_ahead", lang, n=position.ahead, waiting=position.waiting)
    if position.wait_sec is not None and position.ahead:
        words += ", " + i18n.say("queue_wait", lang, time=i18n.duration(position.wait_sec, lang))
    return words


def stage_words(stage: str, lang: str) -> str:
    """Say a stage in the visitor's language; an unknown one in its own words."""
    name, _, rest = stage.partition(" (round ")
    key = "stage_" + name.lower().replace(" ", "_")
    words = i18n.say(key, lang) if key in i18n.table() else name[:1].upper() + name[1:]
    solve, colon, way = name.partition(": ")
    if colon and solve.startswith("solve"):
        part = solve.removeprefix("solve part ")
        key = "stage_solve" if part == solve else "stage_solve_part"
        words = i18n.say(key, lang, n=part, way=i18n.translated(way, "way_", lang))
    if rest:
        number, _, total = rest.rstrip(")").partition(" of ")
        words += i18n.say("stage_round", lang, n=number, total=total)
    return words
