"""Sizes as kernels and allocators fill them up."""


def up(number: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-number // unit) * unit
