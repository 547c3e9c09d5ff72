"""Watches what CUDA's rules say that operators take beside their results."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from perfgate.actor.dry_run.cuda_rules import CudaRules


class Scratch(TorchDispatchMode):
    """Keeps the temporary bytes of each operator whose name contains a word, as ``taken``."""

    def __init__(self, rules: CudaRules, word: str) -> None:
        super().__init__()
        self._rules, self._word = rules, word
        self.taken: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, and ask the rules about it."""
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if self._word in name:
            self.taken.append(self._rules.scratch_bytes(name, args, out))
        return out
