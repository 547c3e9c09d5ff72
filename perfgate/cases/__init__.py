"""Takes one case from its workload to its verdicts, and writes it to the run file."""
