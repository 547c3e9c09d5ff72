"""The two sides of a run: the revision or interpreter to compare with, and the environment of the code under test."""
