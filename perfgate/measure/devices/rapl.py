"""Reads the energy that this machine's processors have used, from Linux's powercap (RAPL).

The files are described in https://docs.kernel.org/power/powercap/powercap.html. Most systems let only root read them.
"""

import os
from pathlib import Path

RAPL = "rapl"  # the source's name in run files
VARIABLE = "PERFGATE_POWERCAP"  # the variable that names another folder than the system's
SYSTEM = Path("/sys/class/powercap")
PROCESSORS = "intel-rapl:[0-9]*"  # AMD's processors have this name too; zones inside a processor have a second number
# By counter: the joules of the rounds that it completed since this process first read it, and its last value.
_rounds: dict[Path, tuple[float, float]] = {}


def root() -> Path:
    """The folder with one folder for each processor."""
    return Path(os.environ.get(VARIABLE) or SYSTEM)


def energy_j() -> float | None:
    """The joules that all processors have used since some moment; ``None`` if they cannot be read.

    Call it more often than once an hour: a counter restarts at 0 when it is full, and only one restart between two
    calls is noticed.
    """
    counters = [folder / "energy_uj" for folder in root().glob(PROCESSORS) if folder.name.count(":") == 1]
    try:
        return sum(map(grown_j, sorted(counters))) if counters else None
    except (OSError, ValueError):
        return None


def grown_j(counter: Path) -> float:
    """A counter's joules, with its completed rounds added.

    Raises:
        OSError: the counter cannot be read.
        ValueError: it holds no number.
    """
    now_j = float(counter.read_text()) / 1e6
    rounds_j, last_j = _rounds.get(counter, (0.0, now_j))
    if now_j < last_j:
        rounds_j += float(counter.with_name("max_energy_range_uj").read_text()) / 1e6
    _rounds[counter] = rounds_j, now_j
    return rounds_j + now_j
