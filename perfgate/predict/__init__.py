"""Predicts, on a machine without a GPU, how much of a GPU's memory and time a step would take."""
