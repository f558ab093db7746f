"""What stands between the command and the page: what is imported, and what the page opens with."""

import asyncio
import gc
import re
import subprocess
import sys

import httpx
import pytest
from running_server import Visitor

from rays_as_pixels.app.page.launch import LaunchOptions, launch
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.errors import InputError

PROBE = """
import sys, time
import rays_as_pixels.app.page.launch
print(time.process_time())
print(*sorted({"diffusers", "transformers", "scipy", "cv2", "open3d"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_the_page_is_imported_without_what_only_the_model_needs():
    """diffusers and what it draws in take as long as all the rest; they load with the weights."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    print(f"imported in {float(done[0]):.1f} s of processor time")
    assert done[1] == ""


# The server runs in this process, where a deprecation in a package of Gradio's must not stop it.
@pytest.mark.filterwarnings("ignore")
def test_the_page_opens_without_a_model_and_the_editor_can_fetch_the_examples_points(tmp_path):
    def load():
        raise InputError("model must be needed by nobody here; got a call.")

    facts = ModelFacts("tiny", "cpu", "nothing", 9, 9)
    options = LaunchOptions(workspace=tmp_path / "workspace")
    app, manager, url = launch(options, ModelHolder(load, facts), block=False)
    visitor = Visitor(url)
    try:
        opened = visitor.open()
        assert opened["success"], opened
        [address] = set(re.findall(r"http[^'\"]*points-\w+\.bin", str(opened["output"])))
        points = httpx.get(address).content
        assert len(points) > 16 * 500 and len(points) % 16 == 0
    finally:
        visitor.close()
        manager.close()
        app.close()
        asyncio.set_event_loop(None)  # Gradio makes event loops that it never closes
        gc.collect()
