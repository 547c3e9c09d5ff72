#!/usr/bin/env bash
# Copy to .buildkite/perf-verdict: puts the shards together, shows the verdict on the build's page, and fails where it has to.
set -eu
buildkite-agent artifact download "perf_output/*.jsonl" parts/
mkdir verdict
code=0
perfgate merge parts -o verdict/merged.jsonl || code=$?
[ -f verdict/merged.jsonl ] || exit "$code"
perfgate report verdict/merged.jsonl --format html --output verdict/merged.html
style=success; [ "$code" = 0 ] || style=error
perfgate comment verdict/merged.jsonl --dry | buildkite-agent annotate --context performance --style "$style"
exit "$code"
