"""What this machine can measure and gate, what it cannot, and what to do about it."""
