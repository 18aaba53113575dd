#!/usr/bin/env bash
# Lints every target of the workspace as it is built for macOS, on any machine; nothing is linked or run.
#
# SQLite and ring are partly C: the compiler for that target comes from PyPI's ziglang, in a virtual environment below
# `target`. Where rustup, the target, Python or the package index is missing the check says that it is skipped and ends
# well, unless CODITECT_MACOS_REQUIRED is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=aarch64-apple-darwin
ziglang=0.17.1

skip() {
    echo "SKIPPED: $*" >&2
    [[ -n "${CODITECT_MACOS_REQUIRED:-}" ]] && exit 1
    exit 0
}

if [[ $(uname -s) != Darwin ]]; then
    if [[ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]]; then
        command -v rustup >/dev/null || skip "the toolchain has no $target"
        timeout 120 rustup --quiet target add "$target" || skip "rustup cannot add $target"
    fi
    folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/macos")
    if [[ "$(cat "$folder/version" 2>/dev/null)" != "$ziglang" ]]; then
        command -v python3 >/dev/null || skip 'there is no python3'
        rm -rf "$folder"
        python3 -m venv "$folder/venv" >/dev/null 2>&1 || skip 'python3 has no venv'
        "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --timeout 20 --retries 1 "ziglang==$ziglang" ||
            skip "cannot install ziglang $ziglang"
        # The options with which clang is told the target are not zig's.
        cat >"$folder/cc" <<EOF
#!/usr/bin/env bash
kept=()
for word in "\$@"; do
    case \$word in
        --target=* | -arch | arm64 | -mmacosx-version-min=*) ;;
        *) kept+=("\$word") ;;
    esac
done
exec "$folder/venv/bin/python" -m ziglang cc -target aarch64-macos "\${kept[@]}"
EOF
        printf '#!/usr/bin/env bash\nexec "%s" -m ziglang ar "$@"\n' "$folder/venv/bin/python" >"$folder/ar"
        chmod +x "$folder/cc" "$folder/ar"
        echo "$ziglang" >"$folder/version"
    fi
    export CC_aarch64_apple_darwin=$folder/cc AR_aarch64_apple_darwin=$folder/ar
fi

cargo clippy --workspace --all-targets --locked --target "$target" -- -D warnings
