"""Predicts a step for several values of its settings: every combination, with as few dry runs as possible."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from perfgate.predict.dry_runs import DryRuns, NoDryRun
from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.predict.memory_fit import Settings, StepCost, room_bytes
from perfgate.predict.predict import dry_runs
from perfgate.predict.question import NO_TEXT, Question, combinations
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json
from perfgate.workloads.models.model import Model


@dataclass(frozen=True)
class Row:
    """One combination of settings.

    Attributes:
        options: the values of the options that differ between rows, by the options' names.
        setting: the settings that are not at their default.
        samples: the samples of a step.
        tokens: the tokens that a step reads or generates; 0 if samples are no text.
        cost: the cost of the step; ``None`` if not known.
        reason: why the cost is not known.
    """

    options: Settings
    setting: Settings
    samples: int = 0
    tokens: int = 0
    cost: StepCost | None = None
    reason: str = ""

    @property
    def step_s(self) -> float | None:
        """The lower bound of a step's seconds; ``None`` if not known, as without a GPU."""
        return None if self.cost is None else self.cost.roofline_s

    def rate(self, count: int) -> float | None:
        """The largest possible rate per second, for this count in each step."""
        return count / self.step_s if self.step_s and count else None


@dataclass(frozen=True)
class Sweep:
    """The predicted cost of a step under several combinations of settings.

    Attributes:
        model: the model's name.
        task: its task.
        mode: a key of ``MODES``.
        rows: a row for each combination.
        dry_runs: the number of dry runs; the other rows were computed from these.
        gpu: the GPU for the step, or ``None``.
    """

    model: str
    task: str
    mode: str
    rows: tuple[Row, ...]
    dry_runs: int
    gpu: GpuSpec | None = None

    def fits(self, row: Row) -> bool | None:
        """Whether a row's step fits on the GPU; ``None`` if that is not known."""
        if self.gpu is None or row.cost is None:
            return None
        return row.cost.peak_memory_bytes <= room_bytes(self.gpu)

    def to_json(self) -> dict[str, Json]:
        """The sweep as one JSON document, with numbers in base units."""
        return {
            "model": self.model,
            "task": self.task,
            "mode": self.mode,
            "gpu": self.gpu and self.gpu.name,
            "gpu_room_bytes": self.gpu and room_bytes(self.gpu),
            "dry_runs": self.dry_runs,
            "rows": [
                {
                    "options": dict(row.options),
                    "setting": dict(row.setting),
                    "fits": self.fits(row),
                    "samples": row.samples,
                    "tokens": row.tokens,
                    "samples_per_s": row.rate(row.samples),
                    "tokens_per_s": row.rate(row.tokens),
                    "reason": row.reason,
                    **(asdict(row.cost) if row.cost else dict.fromkeys(StepCost.__dataclass_fields__)),
                }
                for row in self.rows
            ],
        }


def sweep(
    model: Model,
    task: str | None,
    mode: str,
    options: Mapping[str, Json],
    gpu: GpuSpec | None = None,
    preload: Sequence[str] = (),
    programs: Sequence[str] = (),
) -> Sweep:
    """Predict a step under every combination of the options' values.

    An impossible combination, or one that cannot run dry, has a row with the reason.

    Args:
        model: the model.
        task: one of the model's tasks, or ``None``.
        mode: a key of ``MODES``.
        options: the options' values by name; a tuple has several, ``None`` was not given.
        gpu: the GPU for the step; without one, only sizes are predicted.
        preload: modules to import in advance.
        programs: the folders of these modules.

    Raises:
        UserError: no combination can be predicted; the message has the reason of the first one.
    """
    rows, questions = rows_of(model, task, mode, options)
    if not questions:
        raise UserError(rows[0].reason)
    first = next(iter(questions.values())).workload
    with dry_runs(first, gpu, preload, programs) as dry:
        rows = costs(rows, questions, dry)
    if all(row.cost is None for row in rows):
        raise NoDryRun(next(row.reason for at, row in enumerate(rows) if at in questions))
    return Sweep(model.name, first.params["task"], mode, tuple(rows), dry.taken, gpu)


def rows_of(
    model: Model, task: str | None, mode: str, options: Mapping[str, Json]
) -> tuple[list[Row], dict[int, Question]]:
    """A row for each combination of the options' values, and the questions by row; arguments as for ``sweep``."""
    varied = [name for name, value in options.items() if isinstance(value, tuple)]
    rows: list[Row] = []
    questions: dict[int, Question] = {}
    for at, chosen in enumerate(combinations(options)):
        row = Row({name: chosen[name] for name in varied}, {})
        try:
            question = Question.of_options(model, task, mode, chosen)
            question.check_batch()
        except UserError as error:
            rows.append(replace(row, reason=str(error)))
            continue
        questions[at] = question
        workload = question.workload
        rows.append(replace(row, setting=workload.setting, samples=samples_of(question), tokens=tokens_of(question)))
    return rows, questions


def costs(rows: Sequence[Row], questions: Mapping[int, Question], dry: DryRuns) -> list[Row]:
    """The rows with the costs of their steps."""
    dry.prepare(list(questions.values()))
    return [costed(row, questions.get(at), dry) for at, row in enumerate(rows)]


def costed(row: Row, question: Question | None, dry: DryRuns) -> Row:
    """A row with the cost of its step, or the reason why there is none."""
    if question is None:
        return row
    try:
        return replace(row, cost=dry.of(question))
    except NoDryRun as reason:
        return replace(row, reason=str(reason))


def samples_of(question: Question) -> int:
    """The samples of a step."""
    params = question.workload.params
    return int(params["batch_size"] * params.get("gradient_accumulation", 1))


def tokens_of(question: Question) -> int:
    """The tokens that a step reads or generates; 0 if samples are no text."""
    params = question.workload.params
    if params["task"] in NO_TEXT:
        return 0
    return samples_of(question) * int(params.get("new_tokens") or params.get("sequence_length") or 0)
