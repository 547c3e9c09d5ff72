#!/usr/bin/env bash
#SBATCH --job-name=perf
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --exclusive
# sbatch ci/templates/slurm.sh, from a folder that all nodes see. Each task measures one shard; when the array has ended:
#     perfgate merge perf_output -o merged.jsonl
set -eu
exec python -m pytest perf_tests --perf-device cuda --perf-shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
