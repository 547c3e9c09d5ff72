"""Why there is no dry run: the exception, and the settings that rule one out."""

from typing import Any


class NoDryRun(Exception):  # noqa: N818  an answer, not an error
    """The workload cannot run on fake tensors, and why."""


class NothingToCount(NoDryRun):
    """The program calls no operator of torch, so nobody would expect a dry run."""


def refuse_compiled(mode: str) -> None:
    """Say of a compiled program that it cannot run dry.

    Raises:
        NoDryRun: the mode is not ``off``.
    """
    if mode != "off":
        raise NoDryRun("what a compiled step does is the compiler's to decide")


def refuse_compiling(chosen: Any) -> None:
    """The same of settings, any of which may compile the program, its decoding or its attention.

    Raises:
        NoDryRun: one of them does.
    """
    decoding = getattr(chosen, "compile_decode", "auto")
    modes = (chosen.compile, "off" if decoding == "auto" else decoding)
    for mode in (*modes, "on" if chosen.attention == "flex_attention" else "off"):
        refuse_compiled(mode)


def refuse_undry(chosen: Any) -> None:
    """Say of settings of inference that they cannot run dry.

    Raises:
        NoDryRun: the program is compiled, quantized, has kernels from elsewhere or speculates.
    """
    refuse_compiling(chosen)
    if chosen.kernels:
        raise NoDryRun("what a kernel from elsewhere does is not known")
    if chosen.quantization != "off":
        raise NoDryRun("what a quantized layer does is its library's to decide")
    if getattr(chosen, "assistant_layers", 0) or getattr(chosen, "prompt_lookup_tokens", 0):
        raise NoDryRun("how much of a draft is accepted depends on the weights")
