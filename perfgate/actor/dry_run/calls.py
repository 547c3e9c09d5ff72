"""Follows the calls of a model's modules, so that the running module is always known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn import Module
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from perfgate.actor.dry_run.storages import Frame


class Calls:
    """The module calls that are running, the innermost last.

    Args:
        outside: returns the path for a module without a name that is called while no other module runs.
    """

    def __init__(self, outside: Callable[[], str] = str) -> None:
        self.frames: list[Frame] = []
        self._names: dict[int, str] = {}
        self._outside = outside

    def learn(self, model: Any, prefix: str = "") -> None:
        """Learn the names of a model's modules. Several models are told apart by a prefix of their names."""
        self._names |= {id(module): path for path, module in model.named_modules(prefix=prefix)}

    @property
    def innermost(self) -> Frame | None:
        """The innermost running call; ``None`` if no module runs."""
        return self.frames[-1] if self.frames else None

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow calls within the block, including those that end in an exception."""
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
    """The models of a program, each by the prefix of its modules' paths.

    The model in ``program.network`` has the prefix ``""``, and so has the only model of a program that does not set
    ``network``. The prefix of any further model is the name of its attribute.
    """
    found = {} if program.network is None else {"": program.network}
    inside = {id(module) for network in found.values() for module in network.modules()}
    others = {
        name: value for name, value in vars(program).items() if isinstance(value, Module) and id(value) not in inside
    }
    return found | ({"": next(iter(others.values()))} if not found and len(others) == 1 else others)
