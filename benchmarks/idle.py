"""A program that does nothing, to measure what is around it."""

from perfgate.actor.programs.base import Program


class Idle(Program):
    """A step is nothing."""

    def __init__(self, device):
        del device

    def step(self):
        """Do nothing."""
