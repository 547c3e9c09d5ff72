"""The passes of a case: what is started, stepped and collected in each."""
