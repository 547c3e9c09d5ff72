"""``perfgate doctor``: what this machine can measure and gate, and what would make it measure better."""
