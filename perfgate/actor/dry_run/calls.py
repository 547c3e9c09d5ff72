"""Which module is at work: the calls of a model's modules, followed as they begin and end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from perfgate.actor.dry_run.storages import Frame


class Calls:
    """The calls that are going on, the innermost last.

    Args:
        outside: says which path a module without a name gets that is called outside of any other.
    """

    def __init__(self, outside: Callable[[], str] = str) -> None:
        self.frames: list[Frame] = []
        self._names: dict[int, str] = {}
        self._outside = outside

    def learn(self, model: Any) -> None:
        """Take over the names of a model's modules."""
        self._names |= {id(module): path for path, module in model.named_modules()}

    @property
    def innermost(self) -> Frame | None:
        """The call at work; ``None`` outside of any."""
        return self.frames[-1] if self.frames else None

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow calls while this lasts, also those that end in an exception."""
        hooks = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: Any, _: Any) -> None:
        path = self._names.get(id(module))
        if path is None:
            path = self.frames[-1].path if self.frames else self._outside()
        self.frames.append(Frame(path))

    def _leave(self, *_: Any) -> None:
        self.frames.pop().left = True
