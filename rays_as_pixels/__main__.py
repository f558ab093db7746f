"""`python -m rays_as_pixels VERB ...`: the command line of the package."""

import sys
import warnings

from rays_as_pixels.cli.main import main

if __name__ == "__main__":
    if not sys.warnoptions:  # `python -W default` shows what libraries warn their callers of
        warnings.simplefilter("ignore")
    sys.exit(main())
