"""Perfgate's own programs: the id of each, which stored baselines are keyed by, and where it lives today.

An id never changes. A module may move, and then its path is changed here alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

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
    "yardstick.cpu": "perfgate.actor.yardsticks.cpu:Yardstick",
    "yardstick.cuda": "perfgate.actor.yardsticks.cuda:GpuYardstick",
    "yardstick.fake": "perfgate.actor.yardsticks.fake:FakeYardstick",
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


def modules_of(programs: Iterable[str]) -> tuple[str, ...]:
    """The modules that fork servers import ahead for these programs, each once."""
    return tuple(dict.fromkeys(PROGRAMS[program].partition(":")[0] for program in programs))
