"""Perfgate's pytest plugin: hooks, options, selection, one run, the bridge to pytest-benchmark."""
