"""What a step would take of a GPU, without one."""
