"""Rounds sizes up, as kernels and allocators do."""


def up(number: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-number // unit) * unit
