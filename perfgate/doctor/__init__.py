"""``perfgate doctor``: examines what this machine can measure and gate, and how to improve it."""
