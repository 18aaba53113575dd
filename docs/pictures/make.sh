#!/usr/bin/env bash
# Takes the pictures of this folder again: the built programs in a terminal of their own, on a day of invented projects.
#
# `docs/pictures/make.sh` renews the pictures; `docs/pictures/make.sh --look FOLDER` writes them there instead, at 60, 80 and
# 160 columns, to be looked at. Needs Python 3.9, git, and pyte from PyPI, which is fetched into target/pictures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

programs=${CODITECT_BIN_DIR:-$PWD/target/debug}
if [[ -z "${CODITECT_BIN_DIR:-}" ]]; then
    cargo build --quiet --locked -p coditect-sync -p coditect-syncd
fi
venv=target/pictures/venv
if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check pyte==0.8.2
fi
exec "$venv/bin/python" docs/pictures/make.py --programs "$programs" "${@:---out=docs/pictures}"
