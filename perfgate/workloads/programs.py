"""Maps the id of each of Perfgate's own programs to the import path of its class.

Stored baselines are keyed by the ids, so an id never changes. When a module moves, only its path in this table changes.
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
    "image_generation": "perfgate.actor.programs.image_generation:ImageGeneration",
    "denoiser_training": "perfgate.actor.programs.denoiser_training:DenoiserTraining",
    "loading": "perfgate.actor.programs.loading:Loading",
    "tokenizing": "perfgate.actor.programs.tokenizing:Tokenizing",
    "reading": "perfgate.actor.programs.reading:Reading",
    "calibration": "perfgate.actor.yardsticks.calibration:Calibration",
    **{f"yardstick.{name}": kind.yardstick for name, kind in DEVICE_KINDS.items()},
}
# The programs that each fixture's workloads run.
OF_FIXTURE = {
    "training": ("training.trainer", "training.accelerate"),
    "generation": ("generation",),
    "serving": ("serving",),
    "forward": ("forward",),
    "operator": ("operator",),
    "image_generation": ("image_generation",),
    "denoiser_training": ("denoiser_training",),
    "loading": ("loading",),
    "tokenizing": ("tokenizing",),
    "reading": ("reading",),
}
TRAINING = ("training.trainer", "training.seq2seq-trainer", "training.accelerate")
DRY_RUN = "perfgate.actor.dry_run.run"


def workload_of(program: str, params: Mapping[str, Json], **about: Any) -> Workload:
    """Make a workload of one of Perfgate's own programs.

    Args:
        program: the program's id.
        params: the program's keyword arguments.
        about: the workload's ``model``, ``setting``, ``vanilla`` and ``place``.
    """
    return Workload(PROGRAMS[program], params, id=program, **about)


def noisy_metrics(fixtures: Collection[str], on_gpu: bool = False) -> list[str]:
    """The names of the noisy metrics that a case can have.

    Each of them needs a part of the run's alpha budget.

    Args:
        fixtures: names of the fixtures that the case uses. If none of them makes workloads, the case runs a program of
            the user's own, which may have any noisy metric.
        on_gpu: whether the device works while the host goes on.
    """
    known = set(OF_FIXTURE) & set(fixtures)
    noisy = [row for row in METRICS.values() if row.noisy and (on_gpu or not row.on_gpu)]
    return [row.name for row in noisy if not known or not row.fixtures or known & set(row.fixtures)]


def modules_of(programs: Iterable[str]) -> tuple[str, ...]:
    """The modules that a fork server must import before it can run these programs, each once."""
    return tuple(dict.fromkeys(PROGRAMS[program].partition(":")[0] for program in programs))
