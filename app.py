"""Start the page: `python app.py`, the same as `python -m rays_as_pixels app`."""

import sys

from rays_as_pixels.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
