"""What could be changed of a step that does not fit: decisions, as pure functions."""

from collections.abc import Collection, Sequence

from perfgate.predict.memory_fit import Settings, StepCost
from perfgate.shared.workload import Json

LORA_RANK = 16
RESIDENT = ("weights", "buffers", "optimizer_state")


def remedies(mode: str, settings: Settings, largest: int, dtypes: Collection[str]) -> list[Settings]:
    """Changes of settings that save memory: each alone, then together; what changes the least comes first.

    Args:
        mode: ``train``, ``forward`` or ``generate``.
        settings: the workload's, as ``perfgate.workloads.tasks`` names them.
        largest: batch that fits, 0 for none.
        dtypes: in which the GPU computes; without bfloat16 there is float16.
    """
    half = "bf16" if "bfloat16" in dtypes else "fp16"
    found: list[Settings] = [{"attention": "sdpa"}] if settings.get("attention") == "eager" else []
    if mode != "train":
        return found + ([{"precision": half}] if settings.get("precision", "fp32") == "fp32" else [])
    smaller = smaller_batches(settings, largest)
    found += smaller
    if not settings.get("activation_checkpointing"):
        found.append({"activation_checkpointing": True})
    found += [{"precision": name} for name in lower_precisions(settings.get("precision", "fp32"), half)]
    found += [{"optimizer": name} for name in leaner_optimizers(settings.get("optimizer", "adamw_torch"))]
    if not settings.get("lora_rank"):
        found.append({"lora_rank": LORA_RANK})
    every = found + together(found)
    # Where a single sample does not fit, many of them one after the other do not either.
    return every if largest else [change for change in every if change not in smaller]


def smaller_batches(settings: Settings, largest: int) -> list[Settings]:
    """Micro-batches that make up the same batch: the two largest that may fit, and single samples."""
    batch, count = settings["batch_size"], settings.get("gradient_accumulation", 1)
    fitting = [size for size in range(min(largest, batch - 1), 1, -1) if batch % size == 0][:2]
    sizes = [*fitting, 1] if batch > 1 else []
    return [{"batch_size": size, "gradient_accumulation": count * batch // size} for size in sizes]


def lower_precisions(precision: str, half: str) -> list[str]:
    """Precisions of training that take less memory: in the arithmetic first, then in the weights."""
    lower = [f"{half}-amp", "bf16"] if precision in ("fp32", "tf32") else ["bf16"] if precision.endswith("-amp") else []
    return [name for name in lower if half == "bf16" or name != "bf16"]


def leaner_optimizers(optimizer: str) -> list[str]:
    """Optimizers with less state."""
    return {"sgd": [], "adafactor": ["sgd"]}.get(optimizer, ["adafactor", "sgd"])


def together(alone: Sequence[Settings]) -> list[Settings]:
    """Of the changes that can be made alone several at once, one more at a time; single samples only as a last resort.

    They alone need a dry run of several micro-batches, and leave the GPU idle most of the time.
    """
    # By what they change; of several the last, which saves the most.
    most = {next(iter(change)): change for change in alone}
    samples, adapters = most.get("batch_size", {}), most.get("lora_rank", {})
    same_result = {**most.get("attention", {}), **most.get("activation_checkpointing", {})}
    half = {**same_result, **most.get("precision", {})}
    lean = {**half, "optimizer": "adafactor"} if {"optimizer": "adafactor"} in alone else {}
    found: list[Settings] = []
    for change in ({**same_result, **samples}, half, lean, {**half, **adapters}, {**half, **adapters, **samples}):
        if change and change not in (*alone, *found):
            found.append(change)
    return found


def resident_bytes(ledger: StepCost) -> int:
    """What is there from the first step to the last: no batch, however small, needs less."""
    return sum(ledger.memory_by_part_bytes[part] for part in RESIDENT)


def decides_resident(settings: Settings) -> tuple[Json, ...]:
    """The settings that decide it."""
    precision = str(settings.get("precision", "fp32"))
    weights = "fp32" if precision == "tf32" or precision.endswith("-amp") else precision
    return weights, settings.get("optimizer", "adamw_torch"), settings.get("lora_rank", 0)
