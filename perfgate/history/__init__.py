"""What many runs measured: a store of their numbers, and what moved in them over time."""
