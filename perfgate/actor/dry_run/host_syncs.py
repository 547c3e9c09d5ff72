"""Counts the places at which a program makes the host wait for a GPU, even on a machine without one.

On a GPU, tensors say themselves whether they are on the device. On a CPU, a tensor counts as being on the device if it
is a parameter, was moved to the device, or was computed from such tensors. Tensors that a program makes for its own
bookkeeping do not count.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import dataloader

from perfgate.actor.devices.cpu import DeviceName
from perfgate.actor.dry_run.known_values import name_of, tensors_of
from perfgate.actor.dry_run.places import place

# Operators that need a value, or whose result's size depends on values, with the names that are shown for them
# (https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution).
WAITING = {
    **{name: name for name in ("equal", "nonzero", "masked_select", "unique_dim", "unique_consecutive", "bincount")},
    # Every read of one value ends in the first of these. In inference mode the other two are not decomposed.
    **dict.fromkeys(("_local_scalar_dense", "item", "is_nonzero"), "item"),
    "_unique2": "unique",
    # Factorizations check whether they succeeded: the first operator ends ``inv``, ``cholesky``, ``solve`` and the
    # like, the others look by themselves (https://docs.pytorch.org/docs/stable/linalg.html).
    **dict.fromkeys(("_linalg_check_errors", "_linalg_eigh", "linalg_eig", "_linalg_eigvals", "_linalg_svd"), "linalg"),
}
# Indexing with a mask waits, because the number of elements must be known.
MASKED = {"index", "index_put", "index_put_"}
COPIES = ("copy_", "_to_copy")
TO_DEVICE, TO_HOST = "copy to the device", "copy to the host"

Tensor = torch.Tensor
# Functions that Python calls, with the names that are shown for them.
READS = {
    **{getattr(Tensor, name): name for name in ("item", "tolist", "numpy", "cpu")},
    **{getattr(Tensor, f"__{name}__"): name for name in ("bool", "float", "int", "index")},
    **dict.fromkeys((Tensor.__repr__, Tensor.__format__), "print"),
    Tensor.__array__: "numpy",
    Tensor.is_nonzero: "bool",
}
FROM_VALUES = (torch.tensor, torch.as_tensor, torch.asarray)


class Watcher(TorchDispatchMode):
    """Runs each operator, and then calls ``seen`` with the operator, its arguments and its result."""

    def __init__(self, seen: Callable[[Any, Any, Any, Any], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and report it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self._seen(func, args, kwargs, out)
        return out


class HostSyncs(TorchFunctionMode):
    """Counts host syncs. Entered as a mode, it sees functions that Python calls; ``seen`` must be told of operators.

    Args:
        path: returns the path of the running module.
        emulates: whether there is no GPU, so that this object must follow which tensors would be on it.

    Attributes:
        counting: whether syncs are counted. While the program is set up they are not, but tensors are followed.
        found: how often the host waited, by module path and by operation and line.
    """

    def __init__(self, path: Callable[[], str], emulates: bool = True) -> None:
        super().__init__()
        self._path = path
        self._emulates = emulates
        self._storages: dict[int, Any] = {}
        self._quiet = False
        self.counting = False
        self.found: Counter[tuple[str, str]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function; count reads and copies, and follow tensors that are moved to the device."""
        kwargs = kwargs or {}
        if func in READS and self.is_on_device(args[0]):
            self._count(READS[func])
            with self._silent():
                found = func(*args, **kwargs)
            return self._apart(args[0], found, False) if func is Tensor.cpu else found
        if func is Tensor.to and (target := target_of(args, kwargs)) is not None:
            return self._moved(func, args, kwargs, target)
        found = func(*args, **kwargs)
        if (
            self._emulates
            and names_device(kwargs.get("device"))
            and isinstance(found, Tensor)
            and not self.is_on_device(found)
        ):
            if func in FROM_VALUES and found.numel():
                self._count(TO_DEVICE)
            self._mark(found)
        elif not self.counting and any(map(self.is_on_device, tensors_of((args, kwargs)))):
            # While a program is set up, ``seen`` is not told of operators, so results are followed here.
            for tensor in tensors_of(found):
                self._mark(tensor)
        return found

    def _moved(self, func: Any, args: Any, kwargs: Any, target: Any) -> Any:
        """Run a call of ``Tensor.to``, and count it if it copies between host and device and makes the host wait."""
        tensor = args[0]
        before = self.is_on_device(tensor)
        with self._silent():
            found = func(*args, **kwargs)
        if not self._emulates:
            after = found.device.type != "cpu"
        else:
            after = self.is_on_device(target) if isinstance(target, Tensor) else names_device(target)
        if before == after:
            return found
        pinned = getattr(tensor, "_is_pinned_here", False) or (tensor.device.type != found.device.type and pins(tensor))
        if not (pinned and asked_not_to_wait(kwargs)):
            self._count(TO_DEVICE if after else TO_HOST)
        return self._apart(tensor, found, after)

    def _apart(self, tensor: Any, found: Any, on_device: bool) -> Any:
        """Give a result of a copy a storage of its own: on a CPU it would share the storage of the original."""
        if found.device.type != "cpu" or tensor.device.type != "cpu":
            return found
        with self._silent():
            if isinstance(found, FakeTensor):
                found = torch.ops.aten.alias(found) if found is tensor else found
            elif storage_of(found) and storage_of(found) == storage_of(tensor):
                found = found.clone()
        self._mark(found, on_device)
        return found

    def seen(self, func: Any, args: Any, kwargs: Any, out: Any, given: Sequence[Any] | None = None) -> None:
        """Count an operator that has run, if it makes the host wait, and follow its results.

        Args:
            func: the operator.
            args: its arguments.
            kwargs: its arguments by name.
            out: its result.
            given: all tensors among its arguments, if they are at hand.
        """
        on_device = any(map(self.is_on_device, tensors_of((args, kwargs)) if given is None else given))
        name = name_of(func)
        if name in COPIES:
            source, target = (args[1], args[0]) if name == "copy_" else (args[0], out)
            before = self.is_on_device(source)
            after = self.is_on_device(target) if name == "copy_" else self._arrives(source, target, before)
            if before != after:
                if not (after and pins(source) and kwargs.get("non_blocking", len(args) > 2 and args[2])):
                    self._count(TO_DEVICE if after else TO_HOST)
                if not after:
                    return
            on_device = after
        elif on_device and (what := host_wait(func, args)):
            self._count(what)
        if on_device:
            for tensor in tensors_of(out):
                self._mark(tensor)

    def _arrives(self, source: Any, target: Any, before: bool) -> bool:
        """Whether a copy is on the device. Tensors of a real device show that; any other copy stays where it was."""
        return bool(target.device.type != "cpu") if source.device != target.device else before

    def is_on_device(self, value: Any) -> bool:
        """Whether a value is a tensor that a GPU would hold."""
        if not isinstance(value, Tensor):
            return False
        if value.device.type not in ("cpu", "meta") or not self._emulates:
            return value.device.type not in ("cpu", "meta")
        if isinstance(value, FakeTensor):
            return getattr(value, "_is_param", False) or getattr(value, "_on_device", False)
        if isinstance(value, torch.nn.Parameter):
            return True
        while torch._C._functorch.is_functorch_wrapped_tensor(value):  # within torch.vmap
            value = torch._C._functorch.get_unwrapped(value)
        found = self._storages.get(storage_of(value))
        return found is not None and found() is not None

    def _mark(self, tensor: Any, on_device: bool = True) -> None:
        if tensor.device.type != "cpu" or not self._emulates:
            return
        if isinstance(tensor, FakeTensor):
            tensor._on_device = on_device
        elif (key := storage_of(tensor)) and on_device and key not in self._storages:
            storage = tensor.untyped_storage()
            self._storages[key] = weakref.ref(storage, lambda _: self._storages.pop(key, None))

    def _count(self, what: str) -> None:
        if self.counting and not self._quiet:
            self.found[self._path(), " at ".join(filter(None, [what, place()]))] += 1

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Count nothing within the block, so that the operators inside one counted call do not count too."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def table(self) -> dict[str, dict[str, int]]:
        """The number of times that the host waited, by module path and by operation and line, sorted."""
        return table_of(self.found)


def table_of(found: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Counts by module path and by operation and line, sorted."""
    table: dict[str, dict[str, int]] = {}
    for (path, what), count in sorted(found.items()):
        table.setdefault(path, {})[what] = count
    return table


def storage_of(tensor: Any) -> int:
    """The identity of a tensor's storage; 0 if it has none."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except NotImplementedError:
        return 0


def target_of(args: Any, kwargs: Any) -> Any:
    """The device, or the tensor on it, to which a call of ``Tensor.to`` moves; ``None`` if it names only a dtype."""
    target = kwargs.get("device", kwargs.get("other", args[1] if len(args) > 1 else None))
    return target if isinstance(target, str | torch.device | Tensor) else None


def names_device(target: Any) -> bool:
    """Whether a call means the device under test.

    On a CPU the plain text ``"cpu"`` means the host, and Perfgate's own name for the device means the device.
    """
    if isinstance(target, str) and not isinstance(target, DeviceName):
        return not target.startswith("cpu")
    return isinstance(target, str | torch.device)


def asked_not_to_wait(kwargs: Any) -> bool:
    """Whether a call of ``Tensor.to`` asks not to wait for the copy."""
    return bool(kwargs.get("non_blocking", False))


def pins(tensor: Any) -> bool:
    """Whether a tensor is in the host's pinned memory."""
    return bool(tensor.device.type == "cpu" and not isinstance(tensor, FakeTensor) and tensor.is_pinned())


def host_wait(func: Any, args: tuple[Any, ...]) -> str | None:
    """The name that is shown for an operator that makes the host wait; ``None`` for other operators."""
    name = name_of(func)
    if name in MASKED and any(index.dtype in (torch.bool, torch.uint8) for index in tensors_of(args[1])):
        return "masked index"
    if name == "repeat_interleave" and func._overloadname in ("Tensor", "self_Tensor"):
        return name
    return WAITING.get(name)


@contextmanager
def pinning() -> Iterator[None]:
    """Treat batches of a loader with ``pin_memory=True`` as pinned. Without a GPU no loader really pins memory."""
    kind = dataloader._BaseDataLoaderIter
    begin, follow = kind.__init__, kind.__next__

    def beginning(self: Any, loader: Any) -> None:
        begin(self, loader)
        self._asked_to_pin = loader.pin_memory

    def following(self: Any) -> Any:
        batch = follow(self)
        if getattr(self, "_asked_to_pin", False):
            for tensor in tensors_of(batch):
                tensor._is_pinned_here = True
        return batch

    kind.__init__, kind.__next__ = beginning, following
    try:
        yield
    finally:
        kind.__init__, kind.__next__ = begin, follow
