"""The question of a prediction: a step, and the questions that several values of options make."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from perfgate.predict.memory_fit import MAX_BATCH, Settings
from perfgate.predict.options import MODES, flag
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.models.model import Model

MAX_TOKENS = 1 << 22  # a dry run stores the values of masks and positions up to this many elements
IMAGES = "image-classification"
NO_TEXT = (IMAGES, "text-to-image")  # the modes and tasks whose samples are images


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
        if "seq_len" in known and "seq_len" not in given and question.workload.params["task"] != IMAGES:
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
        return MAX_BATCH if params["task"] in NO_TEXT else max(1, min(MAX_BATCH, MAX_TOKENS // tokens))

    def check_batch(self) -> None:
        """Refuse a batch that is too large for a dry run.

        Raises:
            UserError: the message has the largest one.
        """
        if self.workload.params["batch_size"] > self.max_batch:
            raise UserError(f"no dry run: it takes batches of at most {self.max_batch} such samples")


def combinations(options: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Each combination of the options' values, if a tuple has several; the last option varies fastest."""
    values = [value if isinstance(value, tuple) else (value,) for value in options.values()]
    for chosen in product(*values):
        yield dict(zip(options, chosen, strict=True))
