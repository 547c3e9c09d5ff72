"""Data that is written and read back: metrics, launches, run files, baselines, the machine's identity."""
