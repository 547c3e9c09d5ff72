"""Predicts by dry runs how much memory and time a step of a model will take on a GPU."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import get_terminal_size
from tempfile import TemporaryDirectory

from perfgate.measure.actor import LaunchFailed
from perfgate.measure.pool import Pool
from perfgate.measure.server import tail
from perfgate.models.model import Model
from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.predict.memory_fit import (
    MAX_BATCH,
    Prediction,
    Remedy,
    Settings,
    StepCost,
    largest_batch,
    of_accumulated,
    room_bytes,
)
from perfgate.predict.options import MODES, flag
from perfgate.predict.suggestions import decides_resident, remedies, resident_bytes
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.programs import DRY_RUN

CAPABILITY = (9, 0)  # assumed if no GPU is named; it decides the size of cuBLAS's workspaces
DTYPES = ("float32", "bfloat16", "float16")
MAX_TOKENS = 1 << 22  # a dry run keeps the values of masks and positions up to this many elements
TIMEOUT_S = 600.0
ACCUMULATED = (2, 3)
IMAGES = "image-classification"


class NoDryRun(UserError):  # noqa: N818  an answer, not an error
    """The workload cannot run on fake tensors; the message says why."""


@dataclass(frozen=True)
class Question:
    """A step whose cost is to be predicted.

    Attributes:
        model: the model.
        task: one of the model's tasks; ``None`` for the first that the mode supports.
        mode: a key of ``MODES``.
        settings: the settings by name, as ``perfgate.shared.settings`` declares them.
    """

    model: Model
    task: str | None
    mode: str
    settings: Settings

    @classmethod
    def of_options(cls, model: Model, task: str | None, mode: str, options: Mapping[str, Json]) -> "Question":
        """Make a question from options of the command line.

        Args:
            model: the model.
            task: one of the model's tasks, or ``None``.
            mode: a key of ``MODES``.
            options: the options' values by name; ``None`` for options that were not given.

        Raises:
            UserError: the mode does not have one of the options, or ``--seq-len`` is missing.
        """
        known = MODES[mode].settings
        given = {name: value for name, value in options.items() if value is not None}
        if foreign := next((name for name in given if name not in known), None):
            raise UserError(f"{flag(foreign)} is not for --mode {mode}")
        question = cls(model, task, mode, {known[name].name: value for name, value in given.items()})
        if "seq_len" not in given and question.workload.params["task"] != IMAGES:
            raise UserError("--seq-len is missing: how many tokens a sample has")
        return question

    @property
    def workload(self) -> Workload:
        """The workload that takes this step.

        Raises:
            UserError: a setting is out of range, or the model cannot do the task.
        """
        return MODES[self.mode].build(self.model, task=self.task, **self.settings)

    def but(self, change: Settings) -> "Question":
        """The same question with some settings changed."""
        return replace(self, settings={**self.settings, **change})

    @property
    def max_batch(self) -> int:
        """The largest batch size that can be predicted."""
        params = self.workload.params
        tokens = sum(params.get(name, 0) for name in ("sequence_length", "prompt_length", "new_tokens"))
        return MAX_BATCH if params["task"] == IMAGES else max(1, min(MAX_BATCH, MAX_TOKENS // tokens))


@dataclass
class DryRuns:
    """Takes dry runs of workloads, each workload only once.

    Attributes:
        pool: a pool with one server.
        gpu: the GPU whose peak rates and compute capability are assumed, or ``None``.
    """

    pool: Pool
    gpu: GpuSpec | None = None
    _known: dict[str, StepCost] = field(default_factory=dict)

    def of(self, question: Question) -> StepCost:
        """The cost of a step. More than three micro-batches are extrapolated from steps with two and with three.

        Raises:
            NoDryRun: the workload cannot run on fake tensors.
        """
        if question.settings.get("gradient_accumulation", 1) <= max(ACCUMULATED):
            return self._of(question.workload)
        two, three = (self._of(question.but({"gradient_accumulation": count}).workload) for count in ACCUMULATED)
        return of_accumulated(two, three, question.settings["gradient_accumulation"])

    def _of(self, workload: Workload) -> StepCost:
        if workload.sha256 not in self._known:
            tell(f"dry run {len(self._known) + 1}: {workload.model}, {workload.setting}")
            self._known[workload.sha256] = self._ask(workload)
        return self._known[workload.sha256]

    def _ask(self, workload: Workload) -> StepCost:
        order = {"workload": workload.order, "pass": "dry", "targets": ["cuda"], "capability": CAPABILITY}
        if self.gpu:
            rates = {name: rate for name, rate in self.gpu.flops_per_s.items() if name in DTYPES}
            speeds = rates | {"bytes_per_s": self.gpu.bandwidth_bytes_per_s}
            order |= {"capability": self.gpu.capability, "speeds": speeds}
        actor = self.pool.next().launch()
        try:
            answer = actor.ask(order, TIMEOUT_S)
        except LaunchFailed as failure:
            raise NoDryRun(f"no dry run: {failure.reason}", tail(failure.output)) from None
        finally:
            actor.close(kill=True)
        if reason := answer.get("no_dry_run"):
            raise NoDryRun(f"no dry run: {reason}")
        return StepCost.from_json(answer["ledgers"]["cuda"])


def predict(
    question: Question, gpu: GpuSpec | None = None, preload: Sequence[str] = (), programs: Sequence[str] = ()
) -> Prediction:
    """Predict the cost of a step. Importing the libraries takes seconds, and so does each dry run.

    Args:
        question: what is asked.
        gpu: where the step would run; without one, only sizes are told.
        preload: modules to import ahead, such as one that registers an architecture.
        programs: folders in which they lie, behind all installed packages.

    Raises:
        NoDryRun: the step cannot run on fake tensors.
        UserError: the batch is too large for a dry run, or torch and transformers are not installed.
    """
    workload = question.workload
    if workload.params["batch_size"] > question.max_batch:
        raise UserError(f"no dry run: it takes batches of at most {question.max_batch} such samples")
    modules = [workload.program.partition(":")[0], DRY_RUN, *preload]
    where = Interpreter(after=tuple(programs))
    with TemporaryDirectory() as folder, closing(Pool(modules, Path(folder), 1, where)) as pool, telling():
        tell("importing torch and transformers")
        dry = DryRuns(pool, gpu)
        prediction = Prediction(workload.spec, question.model.name, workload.setting, dry.of(question))
        return prediction if gpu is None else on_gpu(question, gpu, dry, prediction)


def on_gpu(question: Question, gpu: GpuSpec, dry: DryRuns, prediction: Prediction) -> Prediction:
    """Add the largest batch that fits the GPU and, if the step does not fit, changes that might make it fit."""
    room = room_bytes(gpu)
    asked: int = question.workload.params["batch_size"]
    question = question.but({"batch_size": asked})

    def peak_bytes(batch_size: int) -> int:
        return dry.of(question.but({"batch_size": batch_size})).peak_memory_bytes

    largest = largest_batch(peak_bytes, room, asked, question.max_batch)
    prediction = replace(prediction, gpu=gpu, largest=largest)
    if prediction.fits:
        return prediction
    changes = remedies(question.mode, question.settings, largest.batch_size, gpu.flops_per_s)
    return replace(prediction, remedies=tuple(try_out(question, changes, dry, room)))


def try_out(question: Question, changes: list[Settings], dry: DryRuns, room: int) -> list[Remedy]:
    """Try changes until one makes the step fit. Changes that cannot help or cannot run dry are left out."""
    found: list[Remedy] = []
    too_large: set[tuple[Json, ...]] = set()
    for change in ({}, *changes):
        changed = question.but(change)
        if decides_resident(changed.settings) in too_large:
            continue
        try:
            ledger = dry.of(changed)
        except NoDryRun:
            continue
        if resident_bytes(ledger) > room:
            too_large.add(decides_resident(changed.settings))
        if change:
            found.append(Remedy(change, ledger.peak_memory_bytes, ledger.peak_memory_bytes <= room))
        if found and found[-1].fits:
            break
    return found


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
