"""Finds the commit, or the version of a package, with which a case got worse."""
