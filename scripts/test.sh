#!/usr/bin/env bash
# Installs what is missing into .venv, then lints, checks types and imports, and runs the tests.
# Options go to pytest. The last line is pytest's own summary, or what is wrong with the types.
# Tests marked slow run with --all alone, see CONTRIBUTING.md.
set -euo pipefail
chosen=(-m "not slow")
if [[ "${1:-}" == --all ]]; then
    chosen=()
    shift
fi
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
setup
install dev requirements.txt requirements-dev.txt || die "requirements-dev.txt must install;" \
    "see pip's message above. Check the network, then run the same command again"
export PYTHONPATH=. OMP_NUM_THREADS=1
try_once data requirements-data.txt "datasets in shards and annotation (Ray, Parquet)"
try_once text requirements-text.txt "text prompts"
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    { can_apt && apt_install chromium; } || say "note: no Chromium, so the browser tests skip;" \
        "on Debian, Ubuntu: sudo apt-get install chromium"
fi
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/lint-imports"
types=
if "$VENV/bin/pyright" --version >/dev/null 2>&1; then
    report=$(mktemp)
    nice -n 5 "$VENV/bin/pyright" --pythonpath "$VENV/bin/python" >"$report" 2>&1 &
    types=$!
    trap 'kill "$types" 2>/dev/null || true; rm -f "$report"' EXIT
    say "types are checked while the tests run; errors are printed after them"
else
    say "note: no type check: pyright could not fetch the part of it that runs on Node.js"
fi
status=0
"$VENV/bin/python" -m pytest -n 2 --dist worksteal ${chosen[@]+"${chosen[@]}"} "$@" || status=$?
if [ -n "$types" ] && ! wait "$types"; then
    cat "$report" >&2
    status=1
fi
exit "$status"
