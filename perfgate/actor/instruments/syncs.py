"""Reads of a tensor's value inside the model, each of which waits for a GPU to finish all that it was handed."""

from collections import Counter
from typing import Any

from perfgate.actor.instruments import Instrument

# Operators that need a value, or whose result's size depends on values
# (https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution).
WAITING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2", "unique_dim")


class Syncs(Instrument):
    """``host_syncs`` of each step, and by module path; not taken of compiled programs, which refuse to be watched."""

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Prepare what watches, if the program's imports brought torch at all."""
        self._watcher: Any = None
        self._hooks: list[Any] = []
        self._names: dict[int, str] = {}
        self._stack: list[str] = []
        self.reads: Counter[tuple[str, str]] = Counter()
        self._before = 0

    def built(self, program: Any) -> None:
        """Learn the modules' names, and follow their calls."""
        network = program.network
        asked, _ = program.effective()
        if network is None or asked.get("compile", "off") != "off":
            return
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        from perfgate.actor.ledger.watcher import Watcher  # needs torch, which not every program does

        self._names = {id(module): name for name, module in network.named_modules()}
        self._hooks = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        self._watcher = Watcher(self._seen)

    def _enter(self, module: Any, _: Any) -> None:
        above = self._stack[-1] if self._stack else ""
        self._stack.append(self._names.get(id(module), above))

    def _leave(self, *_: Any) -> None:
        self._stack.pop()

    def _seen(self, name: str) -> None:
        if self._stack and name in WAITING:
            self.reads[self._stack[-1], name] += 1

    def begin_step(self) -> None:
        """Watch from here on."""
        if self._watcher:
            self._before = self.reads.total()
            self._watcher.__enter__()

    def end_step(self) -> dict[str, float]:
        """Count what was read in this step."""
        if not self._watcher:
            return {}
        self._watcher.__exit__(None, None, None)
        return {"host_syncs": self.reads.total() - self._before}

    def findings(self) -> dict[str, Any]:
        """All reads by module path and operator."""
        for hook in self._hooks:
            hook.remove()
        table: dict[str, dict[str, int]] = {}
        for (path, name), count in sorted(self.reads.items()):
            table.setdefault(path, {})[name] = count
        return {"host_syncs": table} if self._watcher else {}


INSTRUMENT = Syncs
