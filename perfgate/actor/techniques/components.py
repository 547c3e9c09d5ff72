"""When a component of a pipeline is at work: from its call to its return."""

from collections.abc import Callable
from typing import Any

BY_MODEL = "CpuOffload"  # accelerate's hook, which brings the weights of a whole component when it is called


def around(part: Any, begin: Callable[[], None], end: Callable[[], None] = lambda: None) -> None:
    """Call functions before and after each call of a part; the decoder of images is called by a method of its own."""
    part.register_forward_pre_hook(lambda *_: begin())
    part.register_forward_hook(lambda *_: end())
    if hasattr(part, "decode"):
        decode = part.decode

        def followed(*given: Any, **named: Any) -> Any:
            begin()
            found = decode(*given, **named)
            end()
            return found

        part.decode = followed


def bring(part: Any) -> None:
    """Bring the weights that wait on the host, as the call that follows would; those of the part before leave."""
    hook = getattr(part, "_hf_hook", None)
    if hook is not None and type(hook).__name__ == BY_MODEL:
        hook.pre_forward(part)
