"""Settings of the inputs about padding and the mask that hides it.

Many regressions appear only if a mask hides something, or if there is none: libraries use other attention code for
masks that are all ones.
"""

from perfgate.shared.settings.declaration import Settings, choice, share

IN_PROMPTS = 0.25


def padding_of_one(settings: Settings) -> str:
    """Samples are padded to the longest one, so a single sample has no padding."""
    padded = settings.get("padded", 0.0)
    if not padded or padded == default_of(settings):
        return ""
    if settings.get("batch_size") == 1:
        return f"padded={padded} pads shorter samples to the longest, and there is one; make batch_size 2 or more"
    length = settings.get("prompt_length") or settings.get("sequence_length", 0)
    if 2 * padded * length < 1:
        return f"padded={padded} of {length} tokens is less than one token a sample; make it larger"
    return ""


def not_of_random_tokens(settings: Settings) -> str:
    """Real text has its own lengths; images and sound have neither padding nor a mask."""
    padded = settings.get("padded", default_of(settings))
    named = f"padded={padded}" if padded != default_of(settings) else ""
    named = "mask='none'" if settings.get("mask") == "none" else named
    if named and settings.get("text"):
        return f"{named} is for random tokens, and text has lengths of its own; leave it out"
    if named and (settings.get("task") == "image-classification" or "num_mel_bins" in settings.get("config", {})):
        return f"{named} is for models that read tokens; leave it out"
    return ""


def padding_twice(settings: Settings) -> str:
    """These settings of training choose the lengths themselves, or need samples without padding."""
    padded = settings.get("padded", 0.0)
    others = [name for name in ("lengths", "packing", "pad_to_multiple_of") if settings.get(name) not in OFF]
    named = f"padded={padded}" if padded else "mask='none'"
    if (padded or settings.get("mask") == "none") and others:
        return f"{named} does not go with {others[0]}={settings[others[0]]!r}; leave one of them out"
    return ""


def padding_without_a_mask(settings: Settings) -> str:
    """Without a mask, a model would take padding for text."""
    padded = settings.get("padded", default_of(settings))
    if settings.get("mask") == "none" and padded and settings.get("batch_size") != 1:
        return "mask='none' would let the model read padding; add padded=0"
    return ""


OFF = (None, False, 0, "equal")
PADDED = share(
    "padded",
    "share of the tokens that is padding, behind samples whose lengths spread evenly up to the longest",
    conflicts=(padding_of_one, not_of_random_tokens),
    unread="padding belongs to the inputs; it shows in the tokens of a step, or in the prompts",
)
MASK = choice(
    "mask",
    ("given", "none"),
    "whether a model that reads tokens is given an attention mask, though it be all ones",
    conflicts=(not_of_random_tokens, padding_without_a_mask),
    left_open=True,
)


def default_of(settings: Settings) -> float:
    """The default share of padding: prompts in a batch differ in length, other samples do not."""
    return IN_PROMPTS if "prompt_length" in settings else 0.0
