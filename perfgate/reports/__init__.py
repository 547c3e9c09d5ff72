"""Writes everything that people read: progress during a run, its summary, and reports made from run files."""
