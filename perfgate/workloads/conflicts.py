"""Settings that exclude each other, or the device: refused before anything is started, with the sentence why."""

import re
from collections.abc import Callable, Iterable, Mapping

from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json

Settings = Mapping[str, Json]
LOADING = ("lengths", "sampling", "packing", "pad_to_multiple_of", "workers", "prefetch", "pin_memory")
RAGGED_TASKS = ("causal-lm", "masked-lm", "seq2seq-lm")
LOW_RANK = ("galore_adamw", "apollo_adamw")
OWN_CACHES = ("minimax", "reformer", "rwkv", "xlnet", "xlstm")
KERNEL = re.compile(r"[^=:]+=[^=:]+:[^=:]+")
Rule = Callable[[Settings], str]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    """Add a rule: it returns why settings cannot be, or nothing."""
    RULES.append(check)
    return check


@rule
def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    precision = settings.get("precision", "fp32")
    if "flash" in str(settings.get("attention")) and precision in ("fp32", "tf32"):
        return f"attention={settings['attention']!r} has no kernels for {precision}; add precision='bf16'"
    return ""


@rule
def gradients_in_place(settings: Settings) -> str:
    """What is overwritten has no gradient (https://docs.pytorch.org/docs/stable/notes/autograd.html)."""
    if settings.get("in_place") and settings.get("direction", "forward") != "forward":
        return f"in_place=True overwrites what direction={settings['direction']!r} needs; leave one of them out"
    return ""


@rule
def prefetch_without_workers(settings: Settings) -> str:
    """Workers alone fetch ahead (https://docs.pytorch.org/docs/stable/data.html)."""
    if settings.get("prefetch") and not settings.get("workers"):
        return f"prefetch={settings['prefetch']} is how many batches each worker fetches ahead; add workers=1"
    return ""


@rule
def loading_in_the_plain_loop(settings: Settings) -> str:
    """The plain loop has a loader of its own."""
    named = chosen(settings, LOADING)
    if settings.get("loop") == "accelerate" and named:
        return f"{named} is for the Trainer's loader; leave out loop='accelerate'"
    return ""


@rule
def ragged_without_text(settings: Settings) -> str:
    """Images and classes have no lengths, and flattened batches no place for a second text."""
    task = settings.get("task")
    if settings.get("packing") and task not in (None, "causal-lm"):
        return f"packing=True is for causal-lm, not for {task}"
    named = chosen(settings, ("lengths", "pad_to_multiple_of"))
    if named and task not in (None, *RAGGED_TASKS):
        return f"{named} is for {', '.join(RAGGED_TASKS)}, not for {task}"
    return ""


def chosen(settings: Settings, names: Iterable[str]) -> str:
    """The first of some settings that is not at its default, as one writes it; empty where all are."""
    found = [name for name in names if settings.get(name) not in (None, False, 0, "equal", "random")]
    return f"{found[0]}={settings[found[0]]!r}" if found else ""


@rule
def cache_emptied_by_hand(settings: Settings) -> str:
    """The Trainer empties the allocator's cache (``torch_empty_cache_steps``); a plain loop has nobody who does."""
    if settings.get("empty_cache_steps") and settings.get("loop") == "accelerate":
        return "empty_cache_steps is an argument of the Trainer; leave loop='accelerate' out"
    return ""


@rule
def recipe_of_the_trainer(settings: Settings) -> str:
    """The recipe converts layers in ``Accelerator.prepare``, and ``TrainingArguments`` has no name for it."""
    if settings.get("precision") == "fp8-amp" and settings.get("loop") == "trainer":
        return "precision='fp8-amp' is a recipe of accelerate that the Trainer cannot name; add loop='accelerate'"
    return ""


@rule
def training_quantized_weights(settings: Settings) -> str:
    """Weights of 4 bits have no gradients (https://huggingface.co/docs/peft/developer_guides/quantization)."""
    training = "gradient_accumulation" in settings
    if training and settings.get("quantization", "off") != "off" and not settings.get("lora_rank"):
        return f"quantization={settings['quantization']!r} leaves no weights to train; add lora_rank=8"
    return ""


@rule
def rank_of_another_optimizer(settings: Settings) -> str:
    """Only GaLore and APOLLO project gradients."""
    optimizer = settings.get("optimizer", "adamw_torch")
    if settings.get("optimizer_rank") and optimizer not in LOW_RANK:
        return f"optimizer={optimizer!r} has no rank; leave optimizer_rank out, or choose {' or '.join(LOW_RANK)}"
    return ""


@rule
def accumulation_without_gradients(settings: Settings) -> str:
    """LOMO updates each weight as its gradient comes, and keeps none (https://arxiv.org/abs/2306.09782)."""
    pieces = settings.get("gradient_accumulation", 1)
    if settings.get("optimizer") == "lomo" and pieces != 1:
        return f"optimizer='lomo' keeps no gradients to accumulate; leave gradient_accumulation={pieces} out"
    return ""


@rule
def two_losses(settings: Settings) -> str:
    """Both put a loss of their own in place of the model's."""
    if settings.get("liger") and settings.get("chunked_loss"):
        return "liger=True has a chunked loss of its own; leave chunked_loss=True out"
    return ""


@rule
def quantized_cache_of_encoder_decoder(settings: Settings) -> str:
    """``generate`` has quantized caches for models that only decode (``_prepare_cache_for_generation``)."""
    cache = str(settings.get("cache"))
    if cache.startswith("quantized") and settings["task"] == "seq2seq-lm":
        return f"cache={cache!r} does not go with an encoder-decoder model; choose a static or an offloaded one"
    return ""


@rule
def cache_of_its_own(settings: Settings) -> str:
    """These keep their state in other ways, and ignore the cache that is asked for."""
    cache, kind = settings.get("cache", "default"), settings.get("config", {}).get("model_type")
    if cache not in ("default", "none") and kind in OWN_CACHES:
        return f"cache={cache!r} is ignored by a {kind} model, which keeps its state in its own way; leave it out"
    return ""


@rule
def chunk_of_no_prompt(settings: Settings) -> str:
    """Chunks are pieces of a prompt, and each needs the cache of those before it."""
    size = settings.get("prefill_chunk_size", 0)
    if not size:
        return ""
    if settings["task"] == "seq2seq-lm":
        return f"prefill_chunk_size={size} has no prompt to cut, as an encoder reads it at once; leave it out"
    if settings.get("cache") == "none":
        return f"prefill_chunk_size={size} needs a cache; leave out cache='none'"
    if size >= settings["prompt_length"]:
        return f"prefill_chunk_size={size} leaves a prompt of {settings['prompt_length']} whole; choose a smaller one"
    return ""


@rule
def compiled_twice(settings: Settings) -> str:
    """``generate`` compiles the steps after the prompt over caches of a fixed size alone."""
    mode = settings.get("compile_decode", "auto")
    if mode in ("auto", "off"):
        return ""
    if settings.get("compile", "off") != "off":
        return f"compile_decode={mode!r} and compile={settings['compile']!r} compile the same steps; choose one"
    if settings.get("cache") != "static":
        return f"compile_decode={mode!r} needs a cache of a fixed size; add cache='static'"
    return ""


@rule
def beyond_the_positions(settings: Settings) -> str:
    """A table of learned positions has no row for what is beyond its end."""
    # The last new token is not read any more.
    taken = settings.get("prompt_length", 0) + settings.get("new_tokens", 1) - 1
    limit = settings.get("config", {}).get("n_positions")
    if limit and taken > limit:
        return f"prompt_length and new_tokens take {taken} positions, and the model has {limit}; shorten the prompt"
    return ""


@rule
def misspelt_kernel(settings: Settings) -> str:
    """A layer of the model, a folder, and a class in the folder's package."""
    kernels = settings.get("kernels", "")
    if kernels and not KERNEL.fullmatch(kernels):
        return f"kernels={kernels!r} is not of the form 'LAYER=FOLDER:CLASS'"
    return ""


@rule
def speculation_for_several(settings: Settings) -> str:
    """A draft is checked for one sequence at a time (https://huggingface.co/docs/transformers/assisted_decoding)."""
    speculating = [name for name in ("assistant_layers", "prompt_lookup_tokens") if settings.get(name)]
    if len(speculating) > 1:
        return f"{' and '.join(speculating)} both write drafts; choose one"
    if speculating and settings.get("batch_size", 1) != 1:
        return f"{speculating[0]} works on one sequence at a time; leave out batch_size={settings['batch_size']}"
    if speculating and settings.get("task") == "seq2seq-lm":
        return f"{speculating[0]} is for causal language models here; leave it out for task='seq2seq-lm'"
    return ""


@rule
def speculation_and_other_loops(settings: Settings) -> str:
    """Checking drafts is a loop of its own, over a cache that can be cut back."""
    speculating = [name for name in ("assistant_layers", "prompt_lookup_tokens") if settings.get(name)]
    plain: Mapping[str, tuple[Json, ...]] = {
        "cache": ("default", "dynamic"),
        "beams": (1,),
        "prefill_chunk_size": (0,),
        "compile_decode": ("auto", "off"),
    }
    others = [name for name, values in plain.items() if settings.get(name, values[0]) not in values]
    if speculating and others:
        return f"{others[0]}={settings[others[0]]!r} does not go with {speculating[0]}; leave one of them out"
    return ""


@rule
def paging_in_padded_batches(settings: Settings) -> str:
    """Shared prefixes and overlapped batches are of continuous batching alone."""
    for name in ("prefix_sharing", "asynchronous"):
        if settings.get(name) and settings.get("batching") != "continuous":
            return f"{name} is a setting of continuous batching; add batching='continuous'"
    return ""


@rule
def prefix_of_the_whole_prompt(settings: Settings) -> str:
    """A prompt needs tokens of its own after those that it shares with others."""
    prefix, length = settings.get("shared_prefix", 0), settings.get("prompt_length")
    if isinstance(prefix, int) and isinstance(length, int) and prefix >= length:
        return f"shared_prefix={prefix} leaves nothing of prompt_length={length}; make it shorter"
    return ""


@rule
def ranks_and_strategy(settings: Settings) -> str:
    """Several processes share a step in some way, and one process shares it with nobody."""
    strategy, ranks = settings.get("strategy", "none"), settings.get("ranks", 1)
    if strategy != "none" and ranks == 1:
        return f"strategy={strategy!r} shares a step among several processes; add ranks=2"
    if strategy == "none" and ranks != 1:
        return f"ranks={ranks} needs to be told how they share a step; add strategy='ddp' or 'fsdp'"
    if strategy in ("tp", "cp") and settings.get("loop") == "accelerate":
        return f"strategy={strategy!r} splits what the Trainer trains; leave loop='accelerate' out"
    return ""


@rule
def samples_in_parts(settings: Settings) -> str:
    """The ring of attention is SDPA's and causal, and each rank has an early and a late part of every sample, so that
    all attend to as much (https://docs.pytorch.org/tutorials/unstable/context_parallel.html)."""
    if settings.get("strategy") != "cp":
        return ""
    attention, task = settings.get("attention", "default"), settings.get("task") or "causal-lm"
    length, ranks = settings.get("sequence_length"), settings.get("ranks")
    if attention != "default" and not str(attention).startswith("sdpa"):
        return f"strategy='cp' passes keys and values on in SDPA alone; leave out attention={attention!r}"
    named = f"task={task!r}" if task != "causal-lm" else chosen(settings, ("lengths", "packing"))
    if named:
        return f"strategy='cp' has no mask but the causal one; leave out {named}"
    if isinstance(length, int) and isinstance(ranks, int) and length % (2 * ranks):
        return f"strategy='cp' gives a rank two parts; make sequence_length={length} a multiple of {2 * ranks}"
    return ""


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
