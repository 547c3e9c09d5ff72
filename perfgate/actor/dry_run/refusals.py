"""The exception that says why there is no dry run, and checks for settings that rule one out."""

from typing import Any


class NoDryRun(Exception):  # noqa: N818  an answer, not an error
    """The workload cannot run on fake tensors; the message says why."""


class NothingToCount(NoDryRun):
    """The program calls no operator of torch, so nobody would expect a dry run."""


def refuse_compiled(mode: str) -> None:
    """Refuse a compiled program.

    Raises:
        NoDryRun: the mode is not ``off``.
    """
    if mode != "off":
        raise NoDryRun("the step is compiled, and the compiler chooses its operators")


def refuse_compiling(chosen: Any) -> None:
    """Refuse settings that compile the program, its decoding or its attention.

    Raises:
        NoDryRun: something is compiled.
    """
    decoding = getattr(chosen, "compile_decode", "auto")
    modes = (chosen.compile, "off" if decoding == "auto" else decoding)
    for mode in (*modes, "on" if chosen.attention == "flex_attention" else "off"):
        refuse_compiled(mode)


def refuse_undry(chosen: Any) -> None:
    """Refuse settings of inference that cannot run dry.

    Raises:
        NoDryRun: the program is compiled or quantized, has kernels from a folder, or drafts tokens.
    """
    refuse_compiling(chosen)
    if chosen.kernels:
        raise NoDryRun("the operators of a kernel from a folder are not known")
    if chosen.quantization != "off":
        raise NoDryRun("layers are quantized, and their library chooses the operators")
    if getattr(chosen, "assistant_layers", 0) or getattr(chosen, "prompt_lookup_tokens", 0):
        raise NoDryRun("the number of drafted tokens that are accepted depends on the weights")
