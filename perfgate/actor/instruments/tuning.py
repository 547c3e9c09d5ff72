"""Whether the compiler chose kernels by their times, as ``max-autotune`` does: each compilation may choose others."""

import sys
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS

AUTOTUNE = "max-autotune"


class Tuning(Instrument):
    """Reads the finding ``tuned``, on a GPU, where such a choice decides which kernels run and what they take."""

    passes = frozenset({"counters", "memory"})

    def built(self, program: Any) -> None:
        """Keep the program, which tells what was asked for."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Whether the settings ask for it, or inductor counted it, as in a program that compiles by itself."""
        if not DEVICE_KINDS[self.device.name].bursts:
            return {}
        asked, _ = self._program.effective()
        return {"tuned": True} if AUTOTUNE in asked.values() or counted() else {}


def counted() -> bool:
    """Whether inductor tried kernels out; what it loads from its cache counts as well."""
    utils = sys.modules.get("torch._dynamo.utils")
    return bool(utils and utils.counters["inductor"]["select_algorithm_autotune"])


INSTRUMENT = Tuning
