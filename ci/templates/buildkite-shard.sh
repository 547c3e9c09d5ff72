#!/usr/bin/env bash
# Copy to .buildkite/perf-shard: one shard of the suite, of as many as the step's parallelism.
set -eu
shard=$((BUILDKITE_PARALLEL_JOB + 1))/$BUILDKITE_PARALLEL_JOB_COUNT
exec python -m pytest perf_tests --perf-shard "$shard" --perf-ref "$(git merge-base HEAD "origin/$BUILDKITE_PULL_REQUEST_BASE_BRANCH")"
