"""Perfgate's own programs: the id of each, which stored baselines are keyed by, and where it lives today.

An id never changes. A module may move, and then its path is changed here alone.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.metrics import METRICS
from perfgate.shared.workload import Json, Workload

PROGRAMS = {
    "training.trainer": "perfgate.actor.programs.trainer:TrainerLoop",
    "training.seq2seq-trainer": "perfgate.actor.programs.trainer:Seq2SeqLoop",
    "training.accelerate": "perfgate.actor.programs.accelerated:AcceleratedLoop",
    "generation": "perfgate.actor.programs.generation:Generation",
    "serving": "perfgate.actor.programs.serving:Serving",
    "forward": "perfgate.actor.programs.forward:Forward",
    "operator": "perfgate.actor.programs.operators:Operator",
    "calibration": "perfgate.actor.yardsticks.calibration:Calibration",
    **{f"yardstick.{name}": kind.yardstick for name, kind in DEVICE_KINDS.items()},
}
# The programs that the workloads of each fixture run.
OF_FIXTURE = {
    "training": ("training.trainer", "training.accelerate"),
    "generation": ("generation",),
    "serving": ("serving",),
    "forward": ("forward",),
    "operator": ("operator",),
}
TRAINING = ("training.trainer", "training.seq2seq-trainer", "training.accelerate")
DRY_RUN = "perfgate.actor.dry_run.run"


def workload_of(program: str, params: Mapping[str, Json], **about: Any) -> Workload:
    """A workload of one of Perfgate's own programs.

    Args:
        program: its id.
        params: keyword arguments of the program.
        about: ``model``, ``setting`` and ``vanilla`` of the workload.
    """
    return Workload(PROGRAMS[program], params, id=program, **about)


def noisy_metrics(fixtures: Collection[str]) -> list[str]:
    """The noisy metrics that a case can have: each is judged, so each takes its part of the chance of a false alarm.

    Args:
        fixtures: names of those that the case uses. Where none of them makes a workload, the case runs a program of
            the user's own, which may have any noisy metric.
    """
    known = set(OF_FIXTURE) & set(fixtures)
    noisy = [row for row in METRICS.values() if row.noisy]
    return [row.name for row in noisy if not known or not row.fixtures or known & set(row.fixtures)]


def modules_of(programs: Iterable[str]) -> tuple[str, ...]:
    """The modules that fork servers import ahead for these programs, each once."""
    return tuple(dict.fromkeys(PROGRAMS[program].partition(":")[0] for program in programs))
