"""Shards of a suite as jobs: on Slurm, or as processes of this machine, both through submitit."""
