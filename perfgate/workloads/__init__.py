"""What to run: from a model and its settings, or an operator, to a workload."""
