# Read by start.sh and test.sh: makes the virtual environment and installs what is missing.
# A second run installs nothing: a stamp in the environment holds the hash of what was installed.
# VENV=folder uses another environment than .venv; PYTHON=path chooses the interpreter.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 2; }

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if is_supported "$candidate"; then echo "$candidate"; return; fi
    done
    die "Python must be 3.11, 3.12 or 3.13; found none. Install one (Debian, Ubuntu: apt-get install" \
        "python3.11 python3.11-venv) or name it: PYTHON=/path/to/python bash scripts/start.sh"
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        >/dev/null 2>&1 && return
    apt-get update -qq >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

make_venv() {
    [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
    local python
    python=$(find_python) || exit 2
    say "making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV" >/dev/null 2>&1 && return
    can_apt && apt_install python3-venv && "$python" -m venv --clear "$VENV" && return
    die "the venv module of $python must work; it does not." \
        "Install it (Debian, Ubuntu: apt-get install python3-venv) and try again"
}

hash_of() { "$VENV/bin/python" -c '
import hashlib, sys
data = sys.version.encode() + b"".join(open(name, "rb").read() for name in sys.argv[1:])
print(hashlib.sha256(data).hexdigest())' "$@"; }

# uv installs in seconds what takes pip minutes. It has settings of its own, so pip's are handed on.
UV_VERSION=0.13.9
install_by_uv() (
    [ "$("$VENV/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ] ||
        "$VENV/bin/python" -m pip install --quiet "uv==$UV_VERSION" >/dev/null 2>&1 || return 1
    eval "$("$VENV/bin/python" -m pip config list 2>/dev/null | "$VENV/bin/python" -c '
import ast, shlex, sys
names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX",
         "find-links": "UV_FIND_LINKS", "constraint": "UV_CONSTRAINT", "cert": "SSL_CERT_FILE"}
for line in sys.stdin:
    name, _, value = line.strip().partition("=")
    known = names.get(name.rpartition(".")[2])
    if known:
        values = ast.literal_eval(value).split()
        joined = ("," if known == "UV_FIND_LINKS" else " ").join(values)
        print(f"export {known}={shlex.quote(joined)}")')"
    export UV_INDEX_STRATEGY=unsafe-best-match  # of all indexes the newest, as pip does
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" "$@" 2>/dev/null
)

# install NAME FILE...: installs the files unless the stamp NAME says that this was done.
install() {
    local stamp="$VENV/.installed-$1" hash
    shift
    hash=$(hash_of "$@")
    [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && return
    say "installing $*"
    local files=("${@/#/--requirement=}")
    # Of 20,000 files a few thousand are ever imported; Python compiles those when they are.
    install_by_uv "${files[@]}" ||
        "$VENV/bin/python" -m pip install --quiet --no-compile "${files[@]}" || return 1
    echo "$hash" >"$stamp"
}

# try_once NAME FILE WHAT: like install, but a failure is named with its remedy, once, and passes.
try_once() {
    local tried="$VENV/.tried-$1" hash
    hash=$(hash_of "$2")
    [ "$(cat "$tried" 2>/dev/null)" = "$hash" ] && return
    install "$1" "$2" || say "note: $3 is missing; to try again: $VENV/bin/pip install -r $2"
    echo "$hash" >"$tried"
}

has_package() {
    "$VENV/bin/python" -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('$1'))"
}

# Open3D opens only where some libraries of the system are; without them only the 3D export is off.
install_system_libraries() {
    local tried="$VENV/.tried-packages" hash packages
    hash=$(hash_of requirements-extras.txt packages.txt)
    [ "$(cat "$tried" 2>/dev/null)" = "$hash" ] && return
    packages=$(xargs <packages.txt)
    if has_package open3d && ! "$VENV/bin/python" -c 'import open3d' >/dev/null 2>&1; then
        # shellcheck disable=SC2086 - the package names are words
        { can_apt && apt_install $packages && "$VENV/bin/python" -c 'import open3d' >/dev/null 2>&1; } ||
            say "note: 3D mesh export is off: Open3D misses libraries of the system;" \
                "on Debian, Ubuntu: sudo apt-get install $packages"
    fi
    echo "$hash" >"$tried"
}

setup() {
    export PYTHONDONTWRITEBYTECODE=  # packages come uncompiled: once is enough
    make_venv
    install run requirements.txt || die "requirements.txt must install; see pip's message above." \
        "Check the network and the free disk space, then run the same command again"
    try_once extras requirements-extras.txt "3D mesh export (Open3D)"
    install_system_libraries
}
