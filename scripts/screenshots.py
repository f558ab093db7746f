"""Take the pictures of the page in assets/: `python scripts/screenshots.py [STEP ...]`.

Starts the app on a free port and photographs every step with its solved example in headless
Chromium, on a desk and on a phone (playwright and Chromium are needed; CHROMIUM names another
browser). Nothing is computed.
"""

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.app.chromium import FLAGS, chromium_path  # noqa: E402 - found from the root

STEPS = ("video", "path", "edit", "generate", "loop")
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
PATIENCE_MS = 120_000
SETTLE_MS = 2500  # for the 3D view and the videos to draw


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: str) -> None:
    for _ in range(480):
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("the app did not start within four minutes; run `python app.py` to see why")


def _turn_to(page: Any, step: int) -> None:
    """Open a step's tab; on a phone the last ones are in a menu."""
    tabs = page.locator("#steps .tab-container:not(.visually-hidden) [role=tab]")
    if step < tabs.count():
        tabs.nth(step).click()
        return
    page.locator("#steps .overflow-menu > button").click()
    page.locator("#steps .overflow-dropdown button").nth(step - tabs.count()).click()


def photograph(page: Any, url: str, device: str, steps: tuple[str, ...]) -> None:
    """Write assets/page-STEP-DEVICE.jpg for every step."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.wait_for_selector("#film .film-frame")
    page.wait_for_selector("#plot .rpv-plot canvas")
    for step in steps:
        _turn_to(page, STEPS.index(step))
        if step == "edit":
            page.wait_for_selector("#editor canvas")
            start = page.locator("#editor button:visible").filter(has_text="Estimated path")
            if start.count():
                start.first.click()
        page.wait_for_timeout(SETTLE_MS)
        place = ROOT / "assets" / f"page-{step}-{device}.jpg"
        page.screenshot(path=place, type="jpeg", quality=80, full_page=device == "phone")


def main() -> None:
    """Photograph all steps, or those named on the command line."""
    steps = tuple(sys.argv[1:]) or STEPS
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "app.py", "--port", str(port), "--workspace-dir", work]
        app = subprocess.Popen(command, cwd=ROOT)
        try:
            _wait(url)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium_path(), args=FLAGS)
                for device, (width, height) in SIZES.items():
                    page = browser.new_page(viewport={"width": width, "height": height})
                    photograph(page, url, device, steps)
                    page.close()
                browser.close()
        finally:
            app.terminate()
            app.wait(timeout=20)


if __name__ == "__main__":
    main()
