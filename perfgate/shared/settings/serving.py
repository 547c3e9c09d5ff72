"""The settings of serving."""

from perfgate.shared.settings.common import ATTENTION, PRECISION, PROMPT_LENGTH
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, count, size


def paging_in_padded_batches(settings: Settings) -> str:
    """Only continuous batching shares prefixes and overlaps batches."""
    for name in ("prefix_sharing", "asynchronous"):
        if settings.get(name) and settings.get("batching") != "continuous":
            return f"{name} is a setting of continuous batching; add batching='continuous'"
    return ""


def prefix_of_the_whole_prompt(settings: Settings) -> str:
    """A prompt needs tokens of its own after the ones that it shares with others."""
    prefix, length = settings.get("shared_prefix", 0), settings.get("prompt_length")
    if isinstance(prefix, int) and isinstance(length, int) and prefix >= length:
        return f"shared_prefix={prefix} leaves nothing of prompt_length={length}; make it shorter"
    return ""


SERVING = Kind(
    "serving",
    (
        size("batch_size", 4, "requests that are worked on at once"),
        size("requests", 16, "requests of a step"),
        PROMPT_LENGTH.but(doc="tokens of the longest prompt; the others take from an eighth of them to all", option=""),
        size("new_tokens", 32, "tokens of the longest answer; the others take from a quarter of them to all"),
        choice("batching", ("padded", "continuous"), "whether a batch is padded, or requests enter it as others leave"),
        choice(
            "prefix_sharing",
            (False, True),
            "whether requests with the same beginning share its keys and values",
            conflicts=(paging_in_padded_batches,),
        ),
        choice(
            "asynchronous",
            (False, True),
            "whether the next batch is put together while one is computed",
            needs=(Need(gpu=True),),
            conflicts=(paging_in_padded_batches,),
        ),
        count(
            "shared_prefix",
            "tokens with which all prompts begin",
            conflicts=(prefix_of_the_whole_prompt,),
            unread="the prefix is a part of the prompts; it shows in `processed_tokens`",
        ),
        PRECISION.but(option=""),
        ATTENTION.but(option=""),
    ),
)
