"""The CPU: one core and one thread, unless told otherwise, so that two actors can take turns on the same core."""

import os
import sys


class Cpu:
    """Work is done when a call returns, so there is nothing to wait for."""

    name = "cpu"

    def __init__(self, core: int | None, threads: int) -> None:
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    def synchronize(self) -> None:
        """Nothing is ever pending."""
