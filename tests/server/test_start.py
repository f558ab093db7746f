"""What stands between the command and the page: only what the page itself needs is imported."""

import subprocess
import sys

PROBE = """
import sys, time
import rays_as_pixels.ui.launch
print(time.process_time())
print(*sorted({"diffusers", "transformers", "scipy", "cv2", "open3d"} & set(sys.modules)))
"""


def test_the_page_is_imported_without_what_only_the_model_needs():
    """diffusers and what it draws in take as long as all the rest; they load with the weights."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    print(f"imported in {float(done[0]):.1f} s of processor time")
    assert done[1] == ""
