"""One case from workload to verdict: it is measured, compared and written to the run file."""
