"""One of two processes: a verb of the command line; prints its exit code."""

import json
import sys

from rays_as_pixels.cli.main import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    print(json.dumps(code))
