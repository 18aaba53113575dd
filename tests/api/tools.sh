# Sourced by the other scripts here: public tools from a package index, in a virtual environment below `target`.
#
# Where Python or the index is missing the check says that it is skipped and ends well, unless CODITECT_API_REQUIRED is set.

skip() {
    echo "SKIPPED: $*" >&2
    [[ -n "${CODITECT_API_REQUIRED:-}" ]] && exit 1
    exit 0
}

# tools FOLDER PACKAGE…: sets `venv` to the environment of that name, which has the packages.
tools() {
    local name=$1 python
    shift
    venv=$(realpath -m "${CARGO_TARGET_DIR:-target}/$name")
    # What was installed from other versions than these is made anew.
    if [[ -x "$venv/bin/python" ]] && cmp -s tests/api/constraints.txt "$venv/constraints.txt"; then
        return
    fi
    python=$(command -v python3) || skip 'there is no python3'
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip 'python3 is older than 3.10'
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || skip 'python3 has no venv'
    "$venv/bin/pip" install --quiet --disable-pip-version-check --timeout 20 --retries 1 \
        --constraint tests/api/constraints.txt "$@" || skip "cannot install $*"
    cp tests/api/constraints.txt "$venv/constraints.txt"
}
