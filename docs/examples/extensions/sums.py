"""A program to measure: it adds numbers."""

from perfgate import Program


class Sums(Program):
    def __init__(self, device, count):
        self.numbers = range(count)

    def step(self):
        sum(self.numbers)
