"""Why a test is skipped where an optional package is missing, and what brings it back."""

BASELINES = "pycolmap and OpenCV are missing: pip install -r requirements.txt"
DATA = "tools for real data are optional: pip install -r requirements-data.txt"
EXTRAS = (
    "mesh files and figures are optional: pip install -r requirements-extras.txt, and for Open3D "
    "the system packages of packages.txt"
)
DEV = "a tool of the tests is missing: pip install -r requirements-dev.txt"
