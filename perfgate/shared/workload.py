"""A workload: what a case runs, as data that any interpreter can rebuild."""

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
    """A program and its parameters.

    Its identity is made from the program's id and the parameters, so baselines stay valid when a module moves. A
    program without an id is identified by its import path.

    Attributes:
        program: import path ``package.module:Class`` of a subclass of ``perfgate.Program``.
        params: keyword arguments of that class; JSON values only. Without any, the class is made with the device alone.
        model: name of the model, for reports; not part of the identity.
        setting: the settings that the case named, for reports; not part of the identity.
        vanilla: identity of the same workload in its default configuration; ``None`` if there is none.
        id: the program's stable name; empty for a program that is identified by its import path.
        power_limit_w: a power limit in watts that is set for it; ``None`` for the machine's usual limit. It is part of
            the identity, so that measurements under different limits are not compared.
        place: the path of its model's folder on this machine, if it has one; not part of the identity.
    """

    program: str
    params: Mapping[str, Json] = field(default_factory=dict)
    model: str = field(default="", compare=False)
    setting: Mapping[str, Json] = field(default_factory=dict, compare=False)
    vanilla: str | None = field(default=None, compare=False)
    id: str = field(default="", kw_only=True)
    power_limit_w: int | None = field(default=None, kw_only=True)
    place: str = field(default="", compare=False, kw_only=True)

    def __post_init__(self) -> None:
        module, _, name = self.program.partition(":")
        if not module or not name:
            raise UserError(f"workload program {self.program!r} is not of the form 'package.module:Class'")
        try:
            self.canonical  # noqa: B018  this checks that the parameters are JSON
        except (TypeError, ValueError) as error:
            raise UserError(f"the parameters of workload {self.program} must be plain JSON values: {error}") from None

    @property
    def spec(self) -> dict[str, Json]:
        """The identity before hashing: the program's id or else import path, its parameters, and any power limit."""
        limit = {} if self.power_limit_w is None else {"power_limit_w": self.power_limit_w}
        return {"program": self.id or self.program, "params": dict(self.params), **limit}

    @property
    def order(self) -> dict[str, Json]:
        """The message to an actor: the program's import path, and the parameters, with the folder's path here."""
        params = dict(self.params)
        if self.place:
            params["model"] = {**params["model"], "folder": self.place}
        return {"program": self.program, "params": params}

    @cached_property
    def canonical(self) -> str:
        """The spec as JSON, with sorted keys and without spaces; NaN and infinity raise ``ValueError``."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def sha256(self) -> str:
        """The identity: SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()
