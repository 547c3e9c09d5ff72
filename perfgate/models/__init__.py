"""Which model and which text a workload runs on."""
