"""Turns a model with its settings, or an operator, into a workload."""
