"""The loop's result as one page: both videos side by side, both paths, the numbers."""

import base64
import html
from pathlib import Path

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.figures import trajectory_figure

STYLE = """
body{font-family:system-ui,sans-serif;margin:1rem auto;max-width:64rem;padding:0 1rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
figure{margin:0}video{width:100%;background:#000}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right}
th:first-child,td:first-child{text-align:left}
.path{height:36rem}
"""
UNITS = {
    "rotation_error_rad": "Rotation error, mean (rad)",
    "translation_error": "Translation error, mean (share of each path's reach)",
    "translation_error_fixed_scale": "Translation error at one scale, mean (scene units)",
    "psnr_db": "PSNR of the regenerated video (dB)",
}


def write_loop_page(
    folder: Path, estimated: Trajectory, reestimated: Trajectory, report: dict
) -> None:
    """Write loop.html, which holds everything it shows and needs no network.

    Args:
        folder: Where input.mp4 and video.mp4 lie and loop.html is written.
        estimated: The path read off the input video.
        reestimated: The path read off the regenerated video, in the same world frame.
        report: The numbers, as `LoopReport.to_dict` gives them.
    """
    figure = trajectory_figure(
        estimated, other=reestimated, labels=("Estimated", "Estimated again")
    )
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        default_height="100%",
        config={"responsive": True, "displaylogo": False},
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Loop check</title>\n<style>{STYLE}</style></head><body>\n"
        "<h1>Loop check</h1>\n"
        f'<div class="pair">{_video(folder / "input.mp4", "Input frames")}'
        f"{_video(folder / 'video.mp4', 'Regenerated along the estimated path')}</div>\n"
        f'{_table(report)}\n<div class="path">{plot}</div>\n</body></html>\n'
    )
    (folder / "loop.html").write_text(page, encoding="utf-8")


def _video(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure><video src="data:video/mp4;base64,{data}" controls muted loop autoplay '
        f"playsinline></video><figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _table(report: dict) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td>{report[name]:.4f}</td></tr>"
        for name, label in UNITS.items()
        if isinstance(report.get(name), int | float)
    )
    return f"<table><tr><th>Measure</th><th>Value</th></tr>{rows}</table>"
