"""Takes dry runs in actors, each step only once, and computes the batches between two dry runs from their traces."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from shutil import get_terminal_size

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.pool import Pool
from perfgate.measure.server import tail
from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.predict.growth import Growth, Trace
from perfgate.predict.memory_fit import StepCost, extrapolated
from perfgate.predict.question import Question
from perfgate.shared.device_kinds import CAPABLE
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json, Workload

CAPABILITY = (9, 0)  # assumed if no GPU is named; it determines the size of cuBLAS's workspaces
DTYPES = ("float32", "bfloat16", "float16")
TIMEOUT_S = 600.0
REPEATED = ("gradient_accumulation", "denoising_steps")  # settings that say how often a step repeats a part of itself
COUNTS = (2, 3)  # steps with more repetitions are computed from steps with these


class NoDryRun(UserError):  # noqa: N818  an answer, not an error
    """The workload cannot run on fake tensors; the message says why."""


@dataclass
class DryRuns:
    """Takes dry runs of workloads, each workload only once.

    A batch between two dry runs is computed from their traces, if both steps are alike.

    Attributes:
        pool: a pool with one server.
        gpu: the GPU whose peak rates and compute capability are assumed, or ``None``.
        taken: the number of dry runs taken.
    """

    pool: Pool
    gpu: GpuSpec | None = None
    taken: int = 0
    _known: dict[str, StepCost | NoDryRun] = field(default_factory=dict)
    _traces: dict[str, dict[int, Trace]] = field(default_factory=dict)

    def of(self, question: Question) -> StepCost:
        """The cost of a step. Many micro-batches, or many steps of denoising, are extrapolated from steps with few.

        Raises:
            NoDryRun: the workload cannot run on fake tensors.
        """
        return together(question, [self._of(part) for part in parts_of(question)])

    def prepare(self, questions: Sequence[Question]) -> None:
        """Take the dry runs that these questions need, several at a time on several cores."""
        waiting: dict[str, list[Question]] = {}
        for question in questions:
            for part in parts_of(question):
                waiting.setdefault(family(part), []).append(part)
        families = [ends_first(group) for group in waiting.values()]
        while families:
            families = [rest for group in families if (rest := [part for part in group if not self._answers(part)])]
            self._take([group[0] for group in families[: os.cpu_count() or 1]])

    def expected_largest(self, question: Question, room: int) -> int | None:
        """An estimate of the largest batch that fits, from the growth between the requested batch and its double.

        Args:
            question: the step.
            room: bytes that are available.

        Returns:
            0 if not even one sample fits; ``None`` if the growth says nothing.
        """
        asked = question.settings["batch_size"]
        # A step with a single sample is often different: tensors with a dimension of 1 need not be copied.
        sizes = (max(asked, 2), 2 * max(asked, 2))
        if sizes[-1] > question.max_batch:
            return None
        self.prepare([question.but({"batch_size": size}) for size in sizes])
        growths = [Growth.between(self._traced(part, sizes)) for part in parts_of(question)]
        if None in growths:
            return None
        low, high = 0, question.max_batch + 1
        while high - low > 1:
            middle = (low + high) // 2
            cost = together(question, [growth.trace(middle).cost(None) for growth in growths if growth])
            low, high = (middle, high) if cost.peak_memory_bytes <= room else (low, middle)
        return low

    def _of(self, question: Question) -> StepCost:
        if not self._answers(question):
            self._take([question])
        found = self._known[question.workload.sha256]
        if isinstance(found, NoDryRun):
            raise found
        return found

    def _answers(self, question: Question) -> bool:
        """Whether the cost of a step is known or can be computed; if it can, it is."""
        identity = question.workload.sha256
        if identity in self._known:
            return True
        size = question.workload.params["batch_size"]
        traces = self._traces.get(family(question), {})
        below, above = [n for n in traces if n < size], [n for n in traces if n > size]
        if below and above:
            growth = Growth.between({n: traces[n] for n in (max(below), min(above))})
            if growth:
                self._known[identity] = growth.trace(size).cost(self.speeds)
        return identity in self._known

    def _traced(self, question: Question, sizes: Sequence[int]) -> dict[int, Trace]:
        traces = self._traces.get(family(question), {})
        return {size: traces[size] for size in sizes if size in traces}

    @property
    def speeds(self) -> dict[str, float] | None:
        """The GPU's peak FLOP/s by dtype, and its bytes per second; ``None`` if no GPU is named."""
        if self.gpu is None:
            return None
        rates = {name: rate for name, rate in self.gpu.flops_per_s.items() if name in DTYPES}
        return rates | {"bytes_per_s": self.gpu.bandwidth_bytes_per_s}

    def _take(self, questions: Sequence[Question]) -> None:
        """Take dry runs at the same time, each in a process of its own."""
        started: list[tuple[Question, Actor]] = []
        try:
            for question in questions:
                self.taken += 1
                tell(f"dry run {self.taken}: {question.workload.model}, {question.workload.setting}")
                started.append((question, self._begin(question.workload)))
            for question, actor in started:
                self._keep(question, actor)
        finally:
            for _, actor in started:
                actor.close(kill=True)

    def _begin(self, workload: Workload) -> Actor:
        order: dict[str, Json] = {
            "workload": workload.order,
            "pass": "dry",
            "targets": [CAPABLE],
            "capability": self.gpu.capability if self.gpu else CAPABILITY,
            "traced": True,
        }
        actor = self.pool.next().launch()
        actor.tell(order | ({"speeds": self.speeds} if self.speeds else {}))
        return actor

    def _keep(self, question: Question, actor: Actor) -> None:
        identity = question.workload.sha256
        try:
            answer = actor.answer(TIMEOUT_S)
        except LaunchFailed as failure:
            self._known[identity] = NoDryRun(f"no dry run: {failure.reason}", tail(failure.output))
            return
        if reason := answer.get("no_dry_run"):
            self._known[identity] = NoDryRun(f"no dry run: {reason}")
            return
        ledger = answer["ledgers"][CAPABLE]
        self._known[identity] = StepCost.from_json(ledger)
        traces = self._traces.setdefault(family(question), {})
        traces[question.workload.params["batch_size"]] = Trace.from_json(ledger["trace"])


def parts_of(question: Question) -> list[Question]:
    """The steps whose costs give a question's cost: the step itself, or two steps with fewer repetitions."""
    name = repeated(question)
    return [question.but({name: count}) for count in COUNTS] if name else [question]


def repeated(question: Question) -> str:
    """The setting whose repetitions are too many to run dry, so that the cost is extrapolated; empty for none."""
    settings = question.settings
    return next((name for name in REPEATED if settings.get(name, 1) > max(COUNTS)), "")


def together(question: Question, costs: Sequence[StepCost]) -> StepCost:
    """The cost of a question's step from those of its parts."""
    if len(costs) == 1:
        return costs[0]
    name = repeated(question)
    fewer, more = costs
    return extrapolated(fewer, more, question.settings[name] - min(COUNTS))


def family(question: Question) -> str:
    """A digest that is the same for all batch sizes of a step."""
    return question.but({"batch_size": 1}).workload.sha256


def ends_first(questions: Sequence[Question]) -> list[Question]:
    """Order steps for their dry runs: the smallest batch, the largest, then the others from small to large.

    With both ends known, the others can be computed.
    """
    ordered = sorted(questions, key=lambda question: question.workload.params["batch_size"])
    return [ordered[0], ordered[-1], *ordered[1:-1]]


def tell(what: str) -> None:
    """Show a line of progress on a terminal, which the next call overwrites. An empty text clears the line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what[: get_terminal_size().columns - 1]}")
        sys.stderr.flush()


@contextmanager
def telling() -> Iterator[None]:
    """Clear the line of progress when the block ends."""
    try:
        yield
    finally:
        tell("")
