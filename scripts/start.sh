#!/usr/bin/env bash
# Installs what is missing into .venv and starts the app; options go to app.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
setup
exec "$VENV/bin/python" app.py "$@"
