"""Tests of the engine itself; none needs a GPU."""
