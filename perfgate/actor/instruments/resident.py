"""Reads the peak resident memory of the process, as the kernel counts it."""

from pathlib import Path
from typing import Any

from perfgate.actor.instrument import Instrument

CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


class Resident(Instrument):
    """Reads ``peak_rss_bytes`` since the launch began, including pages of libraries that processes share.

    Writing 5 to ``clear_refs`` resets the peak to the current size (proc(5)). Without that, a forked process would
    begin with its parent's peak.
    """

    passes = frozenset({"time"})

    def start(self) -> None:
        """Reset the peak that the process inherited."""
        if CLEAR_REFS.exists():
            CLEAR_REFS.write_text("5")

    def finish(self) -> dict[str, Any]:
        """Read the peak, on Linux."""
        if not STATUS.exists():
            return {}
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return {"peak_rss_bytes": int(line.split()[1]) * 1024}
        return {}


INSTRUMENT = Resident
