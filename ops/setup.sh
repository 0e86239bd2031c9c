#!/bin/sh
# Find a Python that is new enough and let it prepare .venv: `ops/setup.sh run` or `ops/setup.sh test`.
set -eu
repository=$(cd "${0%/*}/.." && pwd)

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# 3.11 and 3.12 come first: every package has wheels for them.
for python in ${PYTHON:-} "$repository/.venv/bin/python" python3.12 python3.11 python3 python3.13 python3.14 python; do
    if is_new_enough "$python"; then
        exec "$python" "$repository/ops/setup.py" "$@"
    fi
    if [ "$python" = "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is not a Python 3.11 or newer." >&2
        exit 1
    fi
done
echo "The studio needs Python 3.11 or newer, and none was found in PATH." >&2
echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3 make run" >&2
exit 1
