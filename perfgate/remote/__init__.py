"""Speaks to other machines: shards of a suite on many of them, and the forges that hold the repository."""
