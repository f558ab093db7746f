"""`python -m rays_as_pixels VERB ...`: the command line of the package."""

import sys

from rays_as_pixels.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
