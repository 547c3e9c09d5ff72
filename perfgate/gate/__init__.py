"""Decisions: pure functions from measurements to verdicts, without I/O."""
