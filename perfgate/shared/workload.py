"""What to run, as data: a program and its JSON parameters."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from perfgate.shared.errors import UserError

Json = Any  # None, bool, int, float, str, lists and string-keyed mappings of these


@dataclass(frozen=True)
class Workload:
    """A program and its parameters, in a form that any interpreter can rebuild.

    Its identity is the program's id and the parameters, so that a module that moves leaves baselines valid. A program
    without an id is identified by its import path.

    Attributes:
        program: import path ``package.module:Class`` of a subclass of ``perfgate.Program``.
        params: keyword arguments of that class; JSON values only.
        model: the name under which people know the model; not part of the identity.
        setting: the settings that the case chose by name; not part of the identity.
        vanilla: identity of the same workload with every setting at its default, or ``None`` where there is none.
        id: the program's stable name; empty for a program that is identified by its import path.
    """

    program: str
    params: Mapping[str, Json]
    model: str = field(default="", compare=False)
    setting: Mapping[str, Json] = field(default_factory=dict, compare=False)
    vanilla: str | None = field(default=None, compare=False)
    id: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        module, _, name = self.program.partition(":")
        if not module or not name:
            raise UserError(f"workload program {self.program!r} is not of the form 'package.module:Class'")
        try:
            self.canonical  # noqa: B018  reading it checks that params are JSON
        except (TypeError, ValueError) as error:
            raise UserError(f"workload of {self.program}: parameters must be plain JSON values: {error}") from None

    @property
    def spec(self) -> dict[str, Json]:
        """The part that is hashed: the program's id, or its import path, and the parameters."""
        return {"program": self.id or self.program, "params": dict(self.params)}

    @property
    def order(self) -> dict[str, Json]:
        """The part that is sent to an actor: where the program lives, and the parameters."""
        return {"program": self.program, "params": dict(self.params)}

    @cached_property
    def canonical(self) -> str:
        """The spec as JSON with sorted keys and no spaces; NaN and infinity are refused."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def sha256(self) -> str:
        """Identity: hexadecimal SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()
