"""The passes of a case, one file for each. A pass is a kind of launch, with its own instruments."""
