"""Keeps the numbers of many runs in a store, and finds what moved in them over time."""
