"""A program that does nothing, to measure the time that Perfgate itself takes around a step."""

from perfgate.actor.programs.base import Program


class Idle(Program):
    """A program whose step does nothing."""

    def __init__(self, device):
        del device

    def step(self):
        """Do nothing."""
