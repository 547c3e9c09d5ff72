"""The pytest side: hooks, options, what was selected, one run, the bridge to pytest-benchmark."""
