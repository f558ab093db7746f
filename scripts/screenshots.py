"""Take the pictures of the page that the README shows: `python scripts/screenshots.py`.

Starts the app on a free port, lets it estimate the first example, and photographs it in headless
Chromium (playwright and Chromium are needed; CHROMIUM names another browser).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: str) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("the app did not start within two minutes; run `python app.py` to see why")


def main() -> None:
    """Write assets/page.png."""
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "app.py", "--port", str(port), "--workspace-dir", work]
        app = subprocess.Popen(command, cwd=ROOT)
        try:
            _wait(url)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=browser_path, args=FLAGS)
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(url)
                page.wait_for_timeout(6000)
                for name in sys.argv[1:]:
                    page.get_by_text(name, exact=False).first.click()
                    page.wait_for_timeout(15000)
                page.screenshot(path=ROOT / "assets" / "page.png")
                browser.close()
        finally:
            app.terminate()
            app.wait(timeout=20)


if __name__ == "__main__":
    main()
