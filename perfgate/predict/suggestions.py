"""Chooses changes of settings that might make a too large step fit into memory; pure functions."""

from collections.abc import Collection, Sequence

from perfgate.predict.memory_fit import Settings, StepCost
from perfgate.shared.workload import Json

LORA_RANK = 16
TRAINING = ("train", "denoiser")
RESIDENT = ("weights", "buffers", "optimizer_state")


def remedies(mode: str, settings: Settings, largest: int, dtypes: Collection[str]) -> list[Settings]:
    """Changes of settings that save memory: first each by itself, then several together, the least intrusive first.

    Args:
        mode: ``train``, ``denoiser``, ``images``, ``forward`` or ``generate``.
        settings: the workload's settings by name.
        largest: the largest batch size that fits, or 0.
        dtypes: the number types that the GPU supports; without bfloat16, float16 is suggested.
    """
    half = "bf16" if "bfloat16" in dtypes else "fp16"
    found: list[Settings] = [{"attention": "sdpa"}] if settings.get("attention") == "eager" else []
    if mode == "images":
        return of_images(settings, half)
    if mode not in TRAINING:
        return found + ([{"precision": half}] if settings.get("precision", "fp32") == "fp32" else [])
    smaller = smaller_batches(settings, largest)
    found += smaller
    half = half if mode == "train" else "bf16"  # a denoiser is trained in bf16 only
    if not settings.get("activation_checkpointing"):
        found.append({"activation_checkpointing": True})
    found += [{"precision": name} for name in lower_precisions(settings.get("precision", "fp32"), half)]
    found += [{"optimizer": name} for name in leaner_optimizers(settings.get("optimizer", "adamw_torch"))]
    if not settings.get("lora_rank"):
        found.append({"lora_rank": LORA_RANK})
    every = found + together(found)
    # If not even one sample fits, smaller batches cannot help.
    return every if largest else [change for change in every if change not in smaller]


def of_images(settings: Settings, half: str) -> list[Settings]:
    """Changes that save memory in image generation; those that move weights come last."""
    found: list[Settings] = []
    for name, change in {"attention": "sdpa", "vae_slicing": True, "vae_tiling": True, "precision": half}.items():
        # A decoder that works image by image saves nothing for a single image.
        useless = name == "vae_slicing" and settings["batch_size"] == 1
        wanted = settings.get(name) == "eager" if name == "attention" else settings.get(name) in (None, False, "fp32")
        found += [{name: change}] if wanted and not useless else []
    every = {name: value for change in found for name, value in change.items()}
    offloads = [{"offload": kind} for kind in ("model", "layers") if settings.get("offload", "off") == "off"]
    more = [every, *offloads, *({**every, **offload} for offload in offloads)]
    return found + [change for change in more if change and change not in found]


def smaller_batches(settings: Settings, largest: int) -> list[Settings]:
    """Smaller micro-batches, and more of them per step: the two largest sizes that may fit, and single samples."""
    batch, count = settings["batch_size"], settings.get("gradient_accumulation", 1)
    fitting = [size for size in range(min(largest, batch - 1), 1, -1) if batch % size == 0][:2]
    sizes = [*fitting, 1] if batch > 1 else []
    return [{"batch_size": size, "gradient_accumulation": count * batch // size} for size in sizes]


def lower_precisions(precision: str, half: str) -> list[str]:
    """Training precisions that take less memory: first those with 32-bit weights, then those with 16-bit weights."""
    lower = [f"{half}-amp", "bf16"] if precision in ("fp32", "tf32") else ["bf16"] if precision.endswith("-amp") else []
    return [name for name in lower if half == "bf16" or name != "bf16"]


def leaner_optimizers(optimizer: str) -> list[str]:
    """Optimizers that keep less state than this one."""
    return {"sgd": [], "adafactor": ["sgd"]}.get(optimizer, ["adafactor", "sgd"])


def together(alone: Sequence[Settings]) -> list[Settings]:
    """Combine changes, adding one more each time.

    Batches of a single sample come last, because they leave the GPU idle most of the time.
    """
    # If several changes concern one setting, the last of them saves the most.
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
    """Bytes that stay allocated from step to step and do not depend on the batch."""
    return sum(ledger.memory_by_part_bytes[part] for part in RESIDENT)


def decides_resident(settings: Settings) -> tuple[Json, ...]:
    """The settings that determine how many bytes stay allocated from step to step, with their values."""
    precision = str(settings.get("precision", "fp32"))
    weights = "fp32" if precision == "tf32" or precision.endswith("-amp") else precision
    optimizer, rank = settings.get("optimizer", "adamw_torch"), settings.get("lora_rank", 0)
    return weights, optimizer, rank, settings.get("offload", "off")
