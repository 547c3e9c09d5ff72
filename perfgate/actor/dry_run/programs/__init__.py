"""Counterparts of Perfgate's own programs, which run in their place on fake tensors."""
