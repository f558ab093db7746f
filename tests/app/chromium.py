"""The browser that the tests drive."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without a GPU a browser puts its pages together in software, which costs a tenth of doing so in
# emulated OpenGL. For pages that need no WebGL.
NO_GPU = [*FLAGS, "--disable-gpu-compositing"]


def chromium_path() -> str | None:
    """Return the Chromium of the variable CHROMIUM, or one on the PATH; None if there is none."""
    names = (os.environ.get("CHROMIUM", ""), *NAMES)
    return next((found for name in names if name and (found := shutil.which(name))), None)
