"""One case from workload to verdict: measured, held against something, written down."""
