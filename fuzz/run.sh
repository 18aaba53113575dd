#!/usr/bin/env bash
# Runs the fuzz targets for so many seconds each, two at a time: fuzz/run.sh [SECONDS] [TARGET…]
#
# Needs a nightly toolchain with its address sanitizer, a C++ compiler, and cargo-fuzz (`cargo install cargo-fuzz`). What
# is found goes to fuzz/corpus/TARGET/crash-…, so that the ordinary tests replay it from then on; what merely reaches new
# code stays in fuzz/work/TARGET and is where the next run goes on from. Exits 1 when anything was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-60}
shift || true
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    for folder in corpus/*/; do
        targets+=("$(basename "$folder")")
    done
fi
toolchain=${FUZZ_TOOLCHAIN:-nightly}
most_bytes=16384
# Leaks are not looked for, after an input or at the end: what threads hold that end just then looks like some.
# A target that holds this much at once, or takes so long over one input, is at fault.
most_megabytes=1024
longest_seconds=20

cargo "+$toolchain" fuzz build

# A home of its own below the system's folder for temporary files: one target runs a daemon. In memory where there is a
# file system for that, because some write a database for each input.
scratch=$(TMPDIR=$([[ -d /dev/shm && -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}") mktemp -d)
trap 'rm -rf "$scratch"' EXIT

host=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
run() {
    local target=$1 home="$scratch/$1"
    mkdir -p "$home" "work/$target" "artifacts/$target"
    chmod 700 "$home"
    env -i PATH="$PATH" HOME="$home" TMPDIR="$scratch" RUST_BACKTRACE=1 ASAN_OPTIONS=detect_leaks=0 \
        nice -n 10 "${CARGO_TARGET_DIR:-target}/$host/release/$target" "work/$target" "corpus/$target" \
        -max_total_time="$seconds" -detect_leaks=0 -max_len="$most_bytes" -rss_limit_mb="$most_megabytes" \
        -timeout="$longest_seconds" -artifact_prefix="artifacts/$target/" -print_final_stats=1 \
        >"work/$target.log" 2>&1
}

found=0
wait_for() {
    local target=$1 pid=$2
    if wait "$pid"; then
        printf '%-12s %s\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1 inputs/p' "work/$target.log") $(grep -o 'cov: [0-9]* ft: [0-9]*' "work/$target.log" | tail -1)"
    else
        found=1
        printf '%-12s FOUND SOMETHING, see fuzz/work/%s.log\n' "$target" "$target"
        grep -m 3 -E 'panicked at|ERROR: |^SUMMARY' "work/$target.log" || true
        for artifact in artifacts/"$target"/*; do
            [[ -e $artifact ]] && cp "$artifact" "corpus/$target/crash-${artifact##*-}"
        done
    fi
}

for ((at = 0; at < ${#targets[@]}; at += 2)); do
    run "${targets[at]}" &
    first=$!
    second=
    if ((at + 1 < ${#targets[@]})); then
        run "${targets[at + 1]}" &
        second=$!
    fi
    wait_for "${targets[at]}" "$first"
    [[ -z $second ]] || wait_for "${targets[at + 1]}" "$second"
done
exit "$found"
