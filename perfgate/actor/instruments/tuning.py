"""Detects a compiler that chose kernels by their speed (``max-autotune``): another compilation may choose others."""

import sys
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS

AUTOTUNE = "max-autotune"


class Tuning(Instrument):
    """Reads the finding ``tuned`` on a GPU, where this choice decides on the kernels and their memory."""

    passes = frozenset({"counters", "memory"})

    def built(self, program: Any) -> None:
        """Keep the program with its settings."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Whether the settings ask for tuning, or inductor tuned in a program that compiles by itself."""
        if not DEVICE_KINDS[self.device.name].bursts:
            return {}
        asked, _ = self._program.effective()
        return {"tuned": True} if AUTOTUNE in asked.values() or counted() else {}


def counted() -> bool:
    """Whether inductor tried out kernels; choices loaded from its cache count too."""
    utils = sys.modules.get("torch._dynamo.utils")
    return bool(utils and utils.counters["inductor"]["select_algorithm_autotune"])


INSTRUMENT = Tuning
