"""The settings of training that concern samples: their length, their order, and the processes that fetch them."""

from perfgate.shared.settings.declaration import Need, Settings, choice, chosen_of, count

LOADING = ("lengths", "sampling", "packing", "pad_to_multiple_of", "workers", "prefetch", "pin_memory")
RAGGED_TASKS = ("causal-lm", "masked-lm", "seq2seq-lm")


def prefetch_without_workers(settings: Settings) -> str:
    """Only workers fetch batches ahead (https://docs.pytorch.org/docs/stable/data.html)."""
    if settings.get("prefetch") and not settings.get("workers"):
        return f"prefetch={settings['prefetch']} is how many batches each worker fetches ahead; add workers=1"
    return ""


def loading_in_the_plain_loop(settings: Settings) -> str:
    """The plain loop over ``accelerate`` has a loader of its own."""
    named = chosen_of(settings, LOADING)
    if settings.get("loop") == "accelerate" and named:
        return f"{named} is for the Trainer's loader; leave out loop='accelerate'"
    return ""


def ragged_without_text(settings: Settings) -> str:
    """Images and classes have no lengths. Packed batches have no place for the second text of a translation."""
    task = settings.get("task")
    if settings.get("packing") and task not in (None, "causal-lm"):
        return f"packing=True is for causal-lm, not for {task}"
    named = chosen_of(settings, ("lengths", "pad_to_multiple_of"))
    if named and task not in (None, *RAGGED_TASKS):
        return f"{named} is for {', '.join(RAGGED_TASKS)}, not for {task}"
    return ""


SETTINGS = (
    choice(
        "lengths",
        ("equal", "log-normal"),
        "lengths of the samples; `log-normal` ones are the same in every step, and the longest is `sequence_length`",
        conflicts=(loading_in_the_plain_loop, ragged_without_text),
        unread="lengths belong to the samples; they show in `tokens` and `padded_share`",
    ),
    choice(
        "sampling",
        ("random", "sequential", "group_by_length", "batch_rebalance"),
        "order of the samples, as `TrainingArguments.train_sampling_strategy` names it",
    ),
    choice("packing", (False, True), "whether samples are laid end to end in place of being padded"),
    choice("pin_memory", (False, True), "whether batches lie in pinned memory", needs=(Need(gpu=True),)),
    count("workers", "processes that fetch batches; 0 fetches them in the training process"),
    count(
        "prefetch",
        "batches that each worker fetches ahead; 0 leaves it to torch",
        conflicts=(prefetch_without_workers,),
        left_open=True,
    ),
    count("pad_to_multiple_of", "samples are padded to a multiple of so many tokens"),
)
