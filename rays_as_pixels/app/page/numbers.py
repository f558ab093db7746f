"""Facts and figures as HTML: what was kept of a video, how good a path is, what the loop found."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rays_as_pixels.app import i18n
from rays_as_pixels.app.page.charts import line_chart
from rays_as_pixels.app.page.library import Result
from rays_as_pixels.geometry.cameras import kind_of_move
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.solve.inlier_ratio import is_doubtful
from rays_as_pixels.trajectories.training_range import RangeWarning

MOST_NAMED = 17


def clip_facts(clip: Clip, lang: str) -> str:
    """Say which frames of the input are used, what was done to them and why."""
    info = clip.source
    rows = [
        (
            i18n.say("fact_input", lang),
            i18n.say(
                "fact_input_is",
                lang,
                width=info.width,
                height=info.height,
                frames=info.num_frames,
                seconds=info.duration_sec,
                fps=info.fps,
                codec=info.codec,
            ),
        ),
        (i18n.say("fact_chosen", lang), _frames_words(clip.source_frame, lang)),
    ]
    rows += _notes(clip.notes, lang)
    if len(clip.source_frame) > 1:
        rows.append((i18n.say("fact_why", lang), i18n.say("fact_why_spread", lang)))
    return facts(rows)


def _frames_words(source_frame: Sequence[int], lang: str) -> str:
    shown = ", ".join(str(index) for index in source_frame[:MOST_NAMED])
    more = ", ..." if len(source_frame) > MOST_NAMED else ""
    return i18n.say("fact_used_is", lang, count=len(source_frame), frames=shown + more)


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Return a list of names and values; nothing in them becomes markup."""
    cells = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows
    )
    return f'<dl class="rap-facts">{cells}</dl>'


def estimate_facts(result: Result, path: Trajectory, path_words: str, lang: str) -> str:
    """Describe an estimated path and how it came about."""
    rows = [(i18n.say("path_estimated", lang), path_words)]
    move = kind_of_move(path.cameras)
    if move != "both":
        rows.append((i18n.say("fact_move", lang), i18n.say(f"fact_move_{move}", lang)))
    source_frame = result.results.get("source_frame")
    if result.sampled:
        rows += _every_frame_rows(result, lang)
    elif source_frame:
        rows.append((i18n.say("fact_used", lang), _frames_words(source_frame, lang)))
    rows += _notes(result.results.get("notes", []), lang)
    residual = [value for value in result.results.get("residual", []) if math.isfinite(value)]
    if any(residual):  # none where the rays were drawn from the path
        mean = sum(residual) / len(residual)
        rows.append((i18n.say("fact_residual", lang), i18n.say("fact_residual_is", lang, x=mean)))
    inlier_ratio = result.results.get("inlier_ratio")
    if inlier_ratio is not None:
        words = i18n.say("fact_inliers_is", lang, x=100 * inlier_ratio)
        words += i18n.say("fact_inliers_few", lang) if is_doubtful(inlier_ratio) else ""
        used = result.results.get("frames_seen")
        words += "" if used is None else i18n.say("fact_inliers_extra", lang, n=used)
        rows.append((i18n.say("fact_inliers", lang), words))
    return facts([*rows, *_made_how(result, lang)])


def _notes(notes: Sequence[str], lang: str) -> list[tuple[str, str]]:
    name = i18n.say("fact_note", lang)
    return [(name, i18n.translated(note, "note_", lang)) for note in notes]


def _every_frame_rows(result: Result, lang: str) -> list[tuple[str, str]]:
    """Say how the path of every frame was found, of which shot it is, and what comes of it."""
    found = result.results
    frames, shots = found["source_frame"], found["shots"]
    values = {"count": len(frames), "first": frames[0], "last": frames[-1]}
    rows = [(i18n.say("fact_used", lang), i18n.say("fact_every_is", lang, **values))]
    if "chosen" in found:
        words = i18n.say(
            "fact_way_is",
            lang,
            way=i18n.translated(found["chosen"], "way_", lang),
            count=found["num_candidates"],
            share=100 * found["held_out_score"],
            points=found["num_points"],
        )
        rows.append((i18n.say("fact_way", lang), words))
    if len(shots) > 1:
        words = i18n.say("fact_shot_is", lang, n=found["shot"], total=len(shots))
        rows.append((i18n.say("fact_shot", lang), words))
    if len(result.sampled) < len(frames):
        words = i18n.say("fact_later_is", lang, count=len(result.sampled))
        rows.append((i18n.say("fact_later", lang), words))
    return rows


def result_facts(result: Result, lang: str) -> str:
    """Say how a video came about."""
    rows = []
    if result.state != "done":
        step = result.results.get("steps_done")
        words = i18n.say("fact_partial_is", lang, n=step, total=result.settings.get("steps"))
        rows.append((i18n.say("fact_partial", lang), words))
    return facts([*rows, *_made_how(result, lang)])


def _made_how(result: Result, lang: str) -> list[tuple[str, str]]:
    ask = result.settings
    words = [i18n.steps(ask["steps"], lang)] if "steps" in ask and result.is_denoised else []
    if "guidance_scale" in ask:
        words.append(i18n.say("some_guidance", lang, x=ask["guidance_scale"]))
    if ask.get("whole_clip"):
        words.append(i18n.say("some_clip", lang))
    elif ask.get("image_frames"):
        shown = ", ".join(map(str, ask["image_frames"]))
        words.append(i18n.say("some_frames", lang, frames=shown))
    if ask.get("path_frames", 0) > result.results.get("num_frames", math.inf):
        made = result.results["num_frames"]
        words.append(i18n.say("some_of_path", lang, n=made, total=ask["path_frames"]))
    if "seed" in ask and result.is_denoised:
        words.append(i18n.say("some_seed", lang, n=ask["seed"]))
    if result.duration_sec is not None:
        words.append(i18n.duration(result.duration_sec, lang))
    rows = [(i18n.say("fact_made", lang), ", ".join(words))]
    if result.made_with:
        precomputed = i18n.say("fact_precomputed_is", lang, model=result.made_with)
        rows.append((i18n.say("fact_precomputed", lang), precomputed))
    return rows


def warnings(found: Sequence[RangeWarning], lang: str) -> str:
    """Say whether a path leaves the training range; the editor above shows where."""
    if not found:
        return f'<p class="rap-ok">{i18n.say("range_inside", lang)}</p>'
    return f'<div class="rap-warn" role="status">{i18n.say("range_outside", lang)}</div>'


def loop_numbers(report: Mapping[str, Any], result: Result, lang: str) -> str:
    """Show R_err, T_err and PSNR, in total, per frame and from round to round, in plain words."""
    rounds = report["rounds"]
    first, last = rounds[0], rounds[-1]
    name = i18n.say(f"path_{report['path']}", lang)
    cards = [
        ("R_err", f"{first['rotation_error_rad']:.4f}", i18n.say("unit_r_err", lang)),
        ("T_err", f"{first['translation_error']:.4f}", i18n.say("unit_t_err", lang)),
        (
            "PSNR",
            "–" if first["psnr_db"] is None else f"{first['psnr_db']:.2f}",
            i18n.say("unit_psnr" if first["psnr_db"] is not None else "unit_no_psnr", lang),
        ),
    ]
    cells = "".join(
        f"<div><b>{short}</b><strong>{value}</strong><small>{unit}</small></div>"
        for short, value, unit in cards
    )
    words = [_sentence(first, lang)]
    if len(rounds) > 1:
        words.append(_drift_sentence(first, last, len(rounds), lang))
    if report.get("stopped"):
        stop = i18n.say("loop_stopped", lang, n=len(rounds) + 1, why=report["stopped"])
        words.append(html.escape(stop))
    made = facts(_made_how(result, lang))
    return (
        f'<div class="rap-loop" data-rounds="{len(rounds)}"><h4>{html.escape(name)}</h4>'
        f'<div class="rap-cards">{cells}</div><p class="rap-words">{" ".join(words)}</p>'
        f'<div class="rap-charts">{_charts(rounds, lang)}</div>{made}</div>'
    )


def _sentence(numbers: Mapping[str, Any], lang: str) -> str:
    values = {
        "deg": math.degrees(numbers["rotation_error_rad"]),
        "share": 100 * numbers["translation_error"],
    }
    words = i18n.say("loop_means", lang, **values)
    if numbers["psnr_db"] is not None:
        words += " " + i18n.say("loop_means_psnr", lang, db=numbers["psnr_db"])
    return words + " " + i18n.say("loop_means_not", lang)


def _drift_sentence(
    first: Mapping[str, Any], last: Mapping[str, Any], count: int, lang: str
) -> str:
    return i18n.say(
        "loop_drift",
        lang,
        n=count,
        before=math.degrees(first["rotation_error_rad"]),
        after=math.degrees(last["rotation_error_rad"]),
    )


def _charts(rounds: Sequence[Mapping[str, Any]], lang: str) -> str:
    frame = i18n.say("axis_frame", lang)
    lines = [(i18n.say("round_n", lang, n=k + 1), item) for k, item in enumerate(rounds)]
    turn = i18n.say("axis_round", lang)
    share = i18n.say("unit_extent", lang)
    charts = [
        line_chart(
            i18n.say(key, lang),
            unit,
            [(name, item[field]) for name, item in lines if item[field]],
            x_name=frame,
            from_zero=zero,
        )
        for key, unit, field, zero in (
            ("chart_rotation", "rad", "rotation_error_rad_by_frame", True),
            ("chart_translation", share, "translation_error_by_frame", True),
            ("chart_psnr", "dB", "psnr_db_by_frame", False),
        )
    ]
    if len(rounds) > 1:
        charts += [
            line_chart(name, unit, [(name, [item[field] for item in rounds])], x_name=turn, first=1)
            for name, unit, field in (
                (i18n.say("chart_rotation_drift", lang), "rad", "rotation_error_rad"),
                (i18n.say("chart_translation_drift", lang), share, "translation_error"),
            )
        ]
    return "".join(charts)
