"""Which module is at work: the calls of a model's modules, followed as they begin and end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn import Module
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

    def learn(self, model: Any, prefix: str = "") -> None:
        """Take over the names of a model's modules, below a prefix where there are several models."""
        self._names |= {id(module): path for path, module in model.named_modules(prefix=prefix)}

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


def networks_of(program: Any) -> dict[str, Any]:
    """The models of a program by a prefix for the paths of their modules.

    The model that it names has none, nor has an only one that it does not name; each of several others has the name of
    its attribute.
    """
    found = {} if program.network is None else {"": program.network}
    inside = {id(module) for network in found.values() for module in network.modules()}
    others = {
        name: value for name, value in vars(program).items() if isinstance(value, Module) and id(value) not in inside
    }
    return found | ({"": next(iter(others.values()))} if not found and len(others) == 1 else others)
