"""An instrument: how often the kernel took the processor away from the program."""

import resource

from perfgate.actor.instruments import Instrument


class ContextSwitches(Instrument):
    """``context_switches`` of each timed step."""

    passes = frozenset({"time"})

    def begin_step(self):
        self.before = self.count()

    def end_step(self):
        return {"context_switches": (self.count() - self.before) / self.steps}

    def count(self):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_nvcsw + usage.ru_nivcsw
