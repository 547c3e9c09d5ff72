#!/usr/bin/env bash
# Copy to .buildkite/perf-shard: one shard of the suite, of as many as the step's parallelism.
set -eu
shard=$((BUILDKITE_PARALLEL_JOB + 1))/$BUILDKITE_PARALLEL_JOB_COUNT
base=HEAD^1  # a build of a branch is compared with the commit before
if [ "${BUILDKITE_PULL_REQUEST_BASE_BRANCH:-}" ]; then
    # Agents keep their checkouts, so what they know of the base branch may be old.
    git fetch --quiet origin "$BUILDKITE_PULL_REQUEST_BASE_BRANCH"
    base=$(git merge-base HEAD FETCH_HEAD)
fi
exec python -m pytest perf_tests --perf-device cuda --perf-shard "$shard" --perf-ref "$base"
