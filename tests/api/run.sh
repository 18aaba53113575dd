#!/usr/bin/env bash
# Holds the control API to its own description with public tools: the OpenAPI document is valid, and a property-based
# tester drives a real daemon by it and finds no answer that the document does not promise, no 5xx and no hang.
#
#     tests/api/run.sh [SECONDS]     how long the tester may try, 60 by default
#
# Needs Python 3.10 with venv, and a package index to install two tools from into a folder of their own below `target`.
# Where one of these is missing it says so and ends well, unless CODITECT_API_REQUIRED is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-60}
validator=openapi-spec-validator==0.9.0
tester=schemathesis==4.32.5
target=${CARGO_TARGET_DIR:-target}
venv=$(realpath -m "${CODITECT_API_VENV:-$target/api-venv}")
bin=${CODITECT_BIN_DIR:-$target/debug}

skip() {
    echo "skipped: $*" >&2
    [[ -z "${CODITECT_API_REQUIRED:-}" ]] && exit 0
    exit 1
}

python=$(command -v python3) || skip 'there is no python3'
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip 'python3 is older than 3.10'
if ! "$venv/bin/python" -c 'import schemathesis, openapi_spec_validator' 2>/dev/null; then
    "$python" -m venv "$venv" 2>/dev/null || skip 'python3 has no venv'
    "$venv/bin/pip" install --quiet --disable-pip-version-check --timeout 20 --retries 1 "$validator" "$tester" \
        || skip "$validator and $tester cannot be installed"
fi
[[ -x "$bin/coditect-syncd" ]] || cargo build --quiet --locked -p coditect-syncd

home=$(mktemp -d)
daemon='' bridge=''
end() {
    for pid in $bridge $daemon; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap end EXIT
mkdir -m 700 "$home/roots" "$home/state"
project="$home/roots/sample"
mkdir "$project"
printf '[package]\nname = "sample"\n' >"$project/Cargo.toml"

HOME=$home CODITECT_CONFIG=$home/config.json CODITECT_DATA_DIR=$home/data CODITECT_SYNC_STATE_DIR=$home/state \
    "$bin/coditect-syncd" --dev --root "$home/roots" >"$home/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
    [[ -S "$home/state/sync.sock" ]] && break
    kill -0 "$daemon" 2>/dev/null || { cat "$home/log" >&2; exit 1; }
    sleep 0.1
done
"$venv/bin/python" tests/api/bridge.py "$home/state/sync.sock" >"$home/port" &
bridge=$!
for _ in $(seq 100); do
    [[ -s "$home/port" ]] && break
    sleep 0.1
done
url="http://127.0.0.1:$(cat "$home/port")"

"$venv/bin/python" - "$url/v1/openapi.json" "$home/openapi.json" <<'PYTHON'
import sys, urllib.request
open(sys.argv[2], "wb").write(urllib.request.urlopen(sys.argv[1], timeout=10).read())
PYTHON
echo '==> the document that is served and the one that is written are valid OpenAPI 3.1'
"$venv/bin/openapi-spec-validator" "$home/openapi.json" docs/control-api.yaml

echo "==> the daemon answers as the document says, tried for ${seconds} s"
# `shutdown` would end what is tested, and `events` has no end; both have tests of their own.
"$venv/bin/python" tests/api/config.py "$url" "$project" "$home/schemathesis.toml"
cd "$home"
failed=0
CODITECT_API_ROOT=$home/roots PYTHONPATH="$OLDPWD/tests/api" SCHEMATHESIS_HOOKS=hooks timeout $((seconds * 3 + 60)) \
    "$venv/bin/schemathesis" --config-file "$home/schemathesis.toml" run "$home/openapi.json" --url "$url" --max-time "$seconds" \
    --exclude-path /v1/shutdown --exclude-path /v1/events \
    --request-timeout 10 --seed 1 --continue-on-failure --no-color \
    ${CODITECT_API_ARGS:-} || failed=$?
cd "$OLDPWD"

if grep -E ' (WARN|ERROR) .*(fault|panicked)' "$home/log" >&2; then
    echo 'the daemon had a fault' >&2
    failed=1
fi
kill -0 "$daemon" 2>/dev/null || { echo 'the daemon has gone' >&2; failed=1; }
exit "$failed"
