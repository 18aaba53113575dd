#!/usr/bin/env bash
# Has a public validator look at docs/control-api.yaml, which a test holds to what the daemon serves: it is OpenAPI 3.1 by the
# OpenAPI Initiative's own schema. A copy that is spoilt has to be refused, so that a validator that takes everything is found.
#
# Needs Python 3.10 with venv and a package index; see tools.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/api/tools.sh
tools api-validator openapi-spec-validator

validator=$venv/bin/openapi-spec-validator
spoilt=$(mktemp --suffix=.yaml)
trap 'rm -f "$spoilt"' EXIT
"$validator" docs/control-api.yaml
sed '0,/^          name: /s//          nome: /' docs/control-api.yaml >"$spoilt"
cmp -s docs/control-api.yaml "$spoilt" && { echo 'nothing was spoilt' >&2; exit 1; }
if "$validator" "$spoilt" >/dev/null 2>&1; then
    echo 'the validator takes a parameter without a name' >&2
    exit 1
fi
"$venv/bin/pip" list --format=freeze --disable-pip-version-check | grep '^openapi-spec-validator=='
