"""The differences between versions of the libraries, in one place: names that appeared, moved or were renamed.

A reference may run transformers from 4.37.2 and torch from 2.6 on (docs/verified/versions.md). Other modules of the
actor import only names that all these versions have; for all other names they ask here. A setting that a version lacks
ends in ``Unsupported``, which names the version, so that its case is new and not wrong.
"""

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from typing import Any

from perfgate.actor.failures import Unsupported


@dataclass(frozen=True)
class Name:
    """The place of a class or function.

    Attributes:
        since: the library, and the first version that has it.
        modules: the modules that have it, the newest version's first.
    """

    since: str
    modules: tuple[str, ...]


NAMES = {
    "no_init_weights": Name("transformers 4.20", ("transformers.initialization", "transformers.modeling_utils")),
    "ForCausalLMLoss": Name("transformers 4.46", ("transformers.loss.loss_utils",)),
    "LOSS_MAPPING": Name("transformers 4.46", ("transformers.loss.loss_utils",)),
    "GradientCheckpointingLayer": Name("transformers 4.52", ("transformers.modeling_layers",)),
    "DataCollatorWithFlattening": Name("transformers 4.44", ("transformers",)),
    "BatchRebalanceSampler": Name("transformers 5.17", ("transformers.trainer_pt_utils",)),
    "CompileConfig": Name("transformers 4.49", ("transformers",)),
    "KernelConfig": Name("transformers 5.0", ("transformers",)),
    "DistributedConfig": Name("transformers 4.52", ("transformers.distributed",)),
    "ContinuousBatchingConfig": Name("transformers 5.3", ("transformers",)),
    "StaticCache": Name("transformers 4.38", ("transformers",)),
    "QuantizedCache": Name("transformers 4.42", ("transformers",)),
    "ALL_CACHE_IMPLEMENTATIONS": Name("transformers 4.51", ("transformers.generation.configuration_utils",)),
    "apply_liger_kernel": Name("transformers 5.0", ("transformers.integrations.liger",)),
    "ParallelismConfig": Name("accelerate 1.10", ("accelerate",)),
    "AORecipeKwargs": Name("accelerate 1.3", ("accelerate.utils",)),
    "compile_regions": Name("accelerate 1.7", ("accelerate.utils",)),
}
# Arguments by their newest name, with their older names.
RENAMED = {
    "page_size": "block_size",
    "eval_strategy": "evaluation_strategy",
    "activation_checkpointing": "gradient_checkpointing",
    "activation_checkpointing_kwargs": "gradient_checkpointing_kwargs",
}
REPLACED = {("train_sampling_strategy", "group_by_length"): ("group_by_length", True)}
# The behaviour of a version that does not know an argument, if that is not just the absence of the feature.
WITHOUT = {"train_sampling_strategy": "random", "disable_compile": True, "use_cache": True}
FIRST_CACHES = ("static", "offloaded", "offloaded_static", "quantized")  # for versions that do not list them


@cache
def find(name: str) -> Any:
    """A class or function in ``NAMES``; ``None`` if the installed version lacks it."""
    for module in NAMES[name].modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return None


def need(name: str, what: str) -> Any:
    """A class or function that a setting needs.

    Args:
        name: a key of ``NAMES``.
        what: the setting that needs it, like ``liger=True``.

    Raises:
        Unsupported: the installed version lacks it.
    """
    found = find(name)
    if found is None:
        since = NAMES[name].since
        raise Unsupported(f"{what} needs {since} or newer, and this is {installed(since.partition(' ')[0])}")
    return found


def installed(library: str) -> str:
    """A library and its version."""
    return f"{library} {version(library)}"


def at_least(library: str, *wanted: int) -> bool:
    """Whether the installed version is at least this one; a development version counts as its release."""
    return tuple(map(int, re.findall(r"\d+", version(library))[: len(wanted)])) >= wanted


def arguments_for(known: set[str], asked: Mapping[str, Any], library: str = "transformers") -> dict[str, Any]:
    """Arguments under the names that a version knows, without unknown ones that ask for nothing.

    Args:
        known: the names that the version knows.
        asked: arguments by their newest names.
        library: the library, for messages.

    Raises:
        Unsupported: an unknown argument asks for something.
    """
    found = {}
    for name, value in asked.items():
        older, told = REPLACED.get((name, value) if isinstance(value, str) else (name, ""), (RENAMED.get(name), value))
        if name in known:
            found[name] = value
        elif older in known:
            found[older] = told
        elif value and value != WITHOUT.get(name):
            raise Unsupported(f"{name}={value!r} is not known to {installed(library)}")
    return found


def fields_for(kind: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataclass of settings, like ``TrainingArguments`` or ``ContinuousBatchingConfig``."""
    return arguments_for({field.name for field in fields(kind)}, asked)


def generation_options_for(config: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``generate`` for a setting.

    Args:
        config: a ``GenerationConfig``, which knows each option as an attribute.
        asked: options by their newest names.

    Raises:
        Unsupported: the version lacks an option, or its value.
    """
    kind = asked.get("cache_implementation")
    if kind is not None and kind not in (find("ALL_CACHE_IMPLEMENTATIONS") or FIRST_CACHES):
        raise Unsupported(f"cache_implementation={kind!r} is not known to {installed('transformers')}")
    return arguments_for(set(vars(config)), asked)


def dtype_option() -> str:
    """The name of the argument for a model's number type."""
    return "dtype" if at_least("transformers", 4, 56) else "torch_dtype"


def last_logits(network: Any) -> dict[str, int]:
    """The argument that makes a model compute only the last token's logits, found in the way of ``generate``."""
    known = inspect.signature(network.forward).parameters
    return {name: 1 for name in ("logits_to_keep", "num_logits_to_keep") if name in known}


def static_cache(network: Any, batch_size: int, length: int) -> Any:
    """A static cache; in versions that use it again for the next call, its memory is allocated in advance."""
    kind, config = find("StaticCache"), network.config.get_text_config(decoder=True)
    options: dict[str, Any] = {"config": config, "max_cache_len": length}
    where = {"device": network.device, "dtype": network.dtype}
    if "max_batch_size" in inspect.signature(kind.__init__).parameters:  # before transformers 4.56
        return kind(**options, max_batch_size=batch_size, **where)
    made = kind(**options)
    if not at_least("transformers", 5, 10):
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        made.early_initialization(batch_size, getattr(config, "num_key_value_heads", None) or heads, width, **where)
    return made


def generation_tells_places(network: Any) -> bool:
    """Whether ``generate`` passes the cache positions of tokens to a model, as before transformers 5.9."""
    functions = network.prepare_inputs_for_generation, network.forward
    return all("cache_position" in inspect.signature(function).parameters for function in functions)


def generation_drops_full_masks() -> bool:
    """Whether ``generate`` drops a mask that is all ones."""
    return at_least("transformers", 5, 18)


def trainer_decides_on_cache() -> bool:
    """Whether the Trainer turns a model's cache off unless it is asked for one, as since transformers 5."""
    from transformers import TrainingArguments  # many programs do not need it

    return "use_cache" in {field.name for field in fields(TrainingArguments)}


def trainers_optimizer(trainer: Any, arguments: Any, network: Any) -> Any:
    """The class and the arguments of the Trainer's optimizer; older versions do not take the model."""
    ask = trainer.get_optimizer_cls_and_kwargs
    return ask(arguments, network) if len(inspect.signature(ask).parameters) > 1 else ask(arguments)


def takes(function: Any, argument: str, what: str, library: str = "transformers") -> None:
    """Refuse a setting whose function does not have the needed argument yet.

    Raises:
        Unsupported: the message has the version.
    """
    if argument not in inspect.signature(function).parameters:
        raise Unsupported(f"{what} is not known to {installed(library)}")
