"""The script as a program that Perfgate can step; the script itself stays as it is."""

from itertools import chain, repeat

import train

from perfgate import Program


class FineTuning(Program):
    def __init__(self, device, **options):
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.options = train.parse([*given, f"--device={device.torch_device}"])
        self.network, self.optimizer, self.loader = train.prepare(self.options)
        self.samples = self.options.batch_size

    def drive(self, pace):
        train.train(self.network, self.optimizer, paced(self.loader, pace), self.options.device)


def paced(loader, pace):
    """The loader's batches for ever: a step begins before a batch is read, and ends where the script asks for more."""
    batches = chain.from_iterable(repeat(loader))
    while True:
        pace.begin()
        yield next(batches)
        pace.end()
