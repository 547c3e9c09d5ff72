"""The counterparts of Perfgate's own programs that run in their place on fake tensors."""
