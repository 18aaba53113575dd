#!/usr/bin/env bash
# Holds the control API to its own description with public tools: the OpenAPI document is valid, and a property-based
# tester drives a real daemon by it and finds no answer that the document does not promise, no 5xx and no hang.
#
#     tests/api/run.sh [SECONDS] [SEED]     how long the tester may try, 60 by default, and what it begins from
#
# Needs Python 3.10 with venv and a package index; see tools.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/api/tools.sh

seconds=${1:-60}
seed=${2:-1}
bin=${CODITECT_BIN_DIR:-${CARGO_TARGET_DIR:-target}/debug}
tools api-tester openapi-spec-validator schemathesis
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
for project in sample more/rust more/web; do
    mkdir -p "$home/roots/$project"
done
printf '[package]\nname = "sample"\n' | tee "$home/roots/sample/Cargo.toml" >"$home/roots/more/rust/Cargo.toml"
echo '{"name": "web"}' >"$home/roots/more/web/package.json"

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

# `shutdown` would end what is tested, and `events` has no end; both have tests of their own.
run() { # WHAT SECONDS, then what else the tester is told
    local what=$1 time=$2
    shift 2
    echo "==> $what, tried for $time s from seed $seed"
    "$venv/bin/python" tests/api/config.py "$url" "$home/roots/sample" "$home/schemathesis.toml"
    (cd "$home" && CODITECT_API_ROOT=$home/roots PYTHONPATH="$OLDPWD/tests/api" SCHEMATHESIS_HOOKS=hooks \
        timeout $((time * 3 + 60)) "$venv/bin/schemathesis" --config-file "$home/schemathesis.toml" \
        run "$home/openapi.json" --url "$url" --max-time "$time" --request-timeout 10 --seed "$seed" \
        --continue-on-failure --no-color "$@" ${CODITECT_API_ARGS:-}) || failed=1
}
failed=0
run 'the daemon answers as the document says' "$seconds" --exclude-path /v1/shutdown --exclude-path /v1/events \
    --exclude-path-regex '^/v1/queue/items/'
# Whatever sends or resumes would soon leave no entry to ask for, so these are tried by themselves.
run 'a waiting entry is what the document says' $((seconds / 4 + 1)) \
    --include-path '/v1/queue/items' --include-path '/v1/queue/items/{id}' --include-path '/v1/queue/items/{id}/retry'

if grep -E ' (WARN|ERROR) .*(fault|panicked)' "$home/log" >&2; then
    echo 'the daemon had a fault' >&2
    failed=1
fi
kill -0 "$daemon" 2>/dev/null || { echo 'the daemon has gone' >&2; failed=1; }
exit "$failed"
