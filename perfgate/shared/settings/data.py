"""The settings of tokenizing and of reading data sets, which run only on the host."""

from perfgate.shared.settings.declaration import Kind, Setting, Settings, choice, count, size

TOKENIZES = ("encode", "decode", "convert", "chat")
READS = ("column", "rows", "indices", "batches", "map", "transform", "stream", "collate", "pack", "loader")
IN_PROCESSES = ("map", "loader")
FORMATTED = ("column", "rows", "indices", "batches", "loader")


def processes_of_one(settings: Settings) -> str:
    """Only ``map`` and a loader share their work with other processes."""
    if settings.get("processes") and settings["what"] not in IN_PROCESSES:
        return f"processes={settings['processes']} is a setting of {' and '.join(IN_PROCESSES)}; leave it out"
    return ""


def format_of_nothing_read(settings: Settings) -> str:
    """A format applies to rows and columns only."""
    if settings.get("format", "python") != "python" and settings["what"] not in FORMATTED:
        return f"format={settings['format']!r} is a setting of {', '.join(FORMATTED)}; leave it out"
    return ""


def batches_of_no_map(settings: Settings) -> str:
    """Only ``map`` hands over either single rows or batches."""
    if not settings.get("batched", True) and settings["what"] != "map":
        return "batched=False is a setting of map; leave it out"
    return ""


ADDED_TOKENS: Setting = count("added_tokens", "tokens that are added to the vocabulary, as for new languages or images")
TOKENIZING = Kind(
    "tokenizing",
    (
        size("texts", 32, "texts, or conversations, of a step"),
        size("words", 32, "words of a text"),
        choice("tokenizer", ("fast", "slow"), "a tokenizer in Rust (byte-level BPE), or one in Python (bytes)"),
        ADDED_TOKENS,
    ),
)
READING = Kind(
    "reading",
    (
        size("rows", 1000, "rows of the data set, all of which a step reads"),
        size("length", 32, "tokens of the longest row"),
        choice(
            "format",
            ("python", "numpy", "torch", "arrow"),
            "what rows and columns come in, as `with_format` names it",
            conflicts=(format_of_nothing_read,),
        ),
        choice(
            "batched",
            (True, False),
            "whether `map` hands over many rows at once",
            conflicts=(batches_of_no_map,),
            unread="how rows are handed over shows in Python's calls",
        ),
        count(
            "processes", "processes that share the work of `map` or of a `DataLoader`", conflicts=(processes_of_one,)
        ),
    ),
)
