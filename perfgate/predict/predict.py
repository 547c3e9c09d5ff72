"""Predicts by dry runs how much memory and time a step of a model will take on a GPU."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from perfgate.measure.pool import Pool
from perfgate.predict.dry_runs import COUNTS, DryRuns, NoDryRun, tell, telling
from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.predict.memory_fit import (
    Largest,
    Prediction,
    Remedy,
    Settings,
    largest_batch,
    room_bytes,
)
from perfgate.predict.question import Question
from perfgate.predict.suggestions import decides_resident, remedies, resident_bytes
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.programs import DRY_RUN


def predict(
    question: Question, gpu: GpuSpec | None = None, preload: Sequence[str] = (), programs: Sequence[str] = ()
) -> Prediction:
    """Predict the cost of a step. Importing the libraries takes seconds, and so does each dry run.

    Args:
        question: the step in question.
        gpu: the GPU for the step; without one, only sizes are predicted.
        preload: modules to import in advance, such as one that registers an architecture.
        programs: the folders of these modules; they come after all installed packages.

    Raises:
        NoDryRun: the step cannot run on fake tensors.
        UserError: the batch is too large for a dry run, or torch and transformers are not installed.
    """
    question.check_batch()
    workload = question.workload
    with dry_runs(workload, gpu, preload, programs) as dry:
        prediction = Prediction(workload.spec, question.model.name, workload.setting, dry.of(question))
        return prediction if gpu is None else on_gpu(question, gpu, dry, prediction)


@contextmanager
def dry_runs(
    workload: Workload, gpu: GpuSpec | None, preload: Sequence[str] = (), programs: Sequence[str] = ()
) -> Iterator[DryRuns]:
    """A server for dry runs of such workloads, within the block; the arguments are those of ``predict``."""
    modules = [workload.program.partition(":")[0], DRY_RUN, *preload]
    where = Interpreter(after=tuple(programs))
    with TemporaryDirectory() as folder, closing(Pool(modules, Path(folder), 1, where)) as pool, telling():
        tell("importing torch and transformers")
        pool.start()
        yield DryRuns(pool, gpu)


def on_gpu(question: Question, gpu: GpuSpec, dry: DryRuns, prediction: Prediction) -> Prediction:
    """Add the largest batch that fits the GPU, and changes that might help if the step does not fit."""
    room = room_bytes(gpu)
    largest = find_largest(question, dry, room)
    prediction = replace(prediction, gpu=gpu, largest=largest)
    if prediction.fits:
        return prediction
    changes = remedies(question.mode, question.settings, largest.batch_size, gpu.flops_per_s)
    return replace(prediction, remedies=tuple(try_out(question, changes, dry, room)))


def find_largest(question: Question, dry: DryRuns, room: int) -> Largest:
    """The largest batch of a step that fits; one sample more was run dry, and does not fit."""
    if "denoising_steps" in question.workload.params:
        # The peak is the same in every step of denoising.
        question = question.but({"denoising_steps": min(COUNTS)})

    def peak_bytes(batch_size: int) -> int:
        return dry.of(question.but({"batch_size": batch_size})).peak_memory_bytes

    expected = dry.expected_largest(question, room)
    # The larger one first: the smaller one can then be computed.
    tries = [question.settings["batch_size"]] if expected is None else [expected + 1, expected]
    return largest_batch(peak_bytes, room, tries, question.max_batch)


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
