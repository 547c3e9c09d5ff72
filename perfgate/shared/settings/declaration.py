"""The declaration of a setting: its name, its values, its default, and every other fact about it.

The settings themselves are in the modules beside this one, one module for each kind of workload.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from functools import cached_property
from typing import Any, Literal

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.workload import Json

Settings = Mapping[str, Json]
# A check returns the reason why these settings cannot be combined, or an empty text.
Conflict = Callable[[Settings], str]


@dataclass(frozen=True)
class Need:
    """A requirement of some values of a setting. A case on a machine without it is skipped at run time.

    Attributes:
        values: the values that need it; empty for all but the default.
        package: the import name of a package that must be installed.
        extra: Perfgate's extra that installs the package.
        pip: the argument of ``pip install`` if no extra has the package; ``package`` if empty.
        since: the oldest version of the package that works.
        gpu: whether a CUDA device is needed.
        compiler: whether a C++ compiler is needed, which torch.compile calls.
        folder: whether the value, ``LAYER=FOLDER:CLASS``, names a folder that must exist.
        dry: whether a dry run needs it too.
        kinds: the kinds of workload that need it; empty for all.
    """

    values: tuple[Json, ...] = ()
    package: str = ""
    extra: str = ""
    pip: str = ""
    since: str = ""
    gpu: bool = False
    compiler: bool = False
    folder: bool = False
    dry: bool = True
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """A setting of a kind of workload.

    Defaults are left out of a workload's parameters, so a new setting does not change the identity of stored
    workloads. Sizes are the exception: every workload names them.

    Attributes:
        name: its name in the parameters of workloads.
        doc: its effect, as one sentence without a full stop.
        default: its value if nobody chooses one.
        values: its possible values, the default first; empty for sizes, counts and texts.
        form: ``choice`` (one of ``values``), ``size`` (a positive whole number), ``count`` (a whole number, 0 for off),
            ``share`` (a number from 0 up to a half) or ``text``.
        needs: the requirements of its values on the machine.
        conflicts: checks of this setting against others.
        left_open: whether the default leaves the choice to the library, so that anything may be in force.
        unread: why ``Program.effective`` cannot report the value in force; empty if it can, under the setting's name.
        option: its option of ``perfgate predict``, without dashes; empty if it has none.
        unpredicted: values for which ``perfgate predict`` has no answer.
    """

    name: str
    doc: str
    default: Json
    values: tuple[Json, ...] = ()
    form: Literal["choice", "size", "count", "share", "text"] = "choice"
    needs: tuple[Need, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    left_open: bool = False
    unread: str = ""
    option: str = ""
    unpredicted: tuple[Json, ...] = ()

    def check(self, value: Json) -> None:
        """Refuse a value that the setting cannot take.

        Raises:
            UserError: the message has the possible values.
        """
        if self.form == "choice":
            if not any(value == known and type(value) is type(known) for known in self.values):
                raise UserError(f"setting {self.name!r} is {value!r}{nearest(value, self.values)}")
        elif self.form == "text":
            if not isinstance(value, str):
                raise UserError(f"setting {self.name!r} must be a text, not {value!r}")
        elif self.form == "share":
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 0.5:
                raise UserError(f"setting {self.name!r} must be a share from 0 up to a half, not {value!r}")
        elif not isinstance(value, int) or isinstance(value, bool) or value < (self.form == "size"):
            what = "positive whole number" if self.form == "size" else "whole number, 0 for off"
            raise UserError(f"setting {self.name!r} must be a {what}, not {value!r}")

    def of(self, *values: Json, **changes: Any) -> "Setting":
        """The same setting for another kind of workload, with these values, the default first."""
        return replace(self, default=values[0], values=values, **changes)

    def but(self, **changes: Any) -> "Setting":
        """The same setting for another kind of workload, with other facts."""
        return replace(self, **changes)


def choice(name: str, values: tuple[Json, ...], doc: str, **more: Any) -> Setting:
    """A setting that takes one of some values, the default first."""
    return Setting(name, doc, values[0], values, **more)


def size(name: str, default: int, doc: str, **more: Any) -> Setting:
    """A positive whole number that every workload names."""
    unread = "a size shows in the samples, tokens and FLOPs of a step"
    return Setting(name, doc, default, form="size", unread=unread, **more)


def count(name: str, doc: str, **more: Any) -> Setting:
    """A whole number that is 0, or off, by default."""
    return Setting(name, doc, 0, form="count", **more)


def share(name: str, doc: str, **more: Any) -> Setting:
    """A part of the whole, from 0 up to a half, that is 0 by default."""
    return Setting(name, doc, 0.0, form="share", **more)


def text(name: str, doc: str, **more: Any) -> Setting:
    """A free text that is empty by default."""
    return Setting(name, doc, "", form="text", **more)


@dataclass(frozen=True)
class Kind:
    """A kind of workload and all of its settings.

    Attributes:
        name: ``training``, ``generation``, ``serving``, ``forward``, or the name of an operator.
        settings: its settings in the order of the docs, sizes first.
    """

    name: str
    settings: tuple[Setting, ...] = field(repr=False)

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.settings)

    @cached_property
    def by_name(self) -> dict[str, Setting]:
        """Every setting by its name."""
        return {setting.name: setting for setting in self.settings}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The defaults of the sizes, by name."""
        return {setting.name: setting.default for setting in self.settings if setting.form == "size"}

    def check(self, chosen: Settings) -> None:
        """Refuse unknown settings and values that a setting cannot take.

        Raises:
            UserError: the message has the closest known name.
        """
        for name, value in chosen.items():
            if name not in self.by_name:
                raise UserError(f"unknown setting {name!r}{nearest(name, self.by_name)}")
            self.by_name[name].check(value)

    def check_together(self, chosen: Settings, **about: Json) -> None:
        """Refuse settings that cannot be combined on any machine.

        Args:
            chosen: settings that were already checked one by one.
            about: further facts for the checks: ``task``, ``loop``, and ``config``, the model's configuration.

        Raises:
            UserError: the message has the first reason.
        """
        whole = {**about, **self.sizes, **chosen}
        checks = dict.fromkeys(check for setting in self.settings for check in setting.conflicts)
        if reason := next(filter(None, (check(whole) for check in checks)), ""):
            raise UserError(reason)

    def params(self, chosen: Settings) -> dict[str, Json]:
        """The settings for a workload's parameters: all sizes, and every setting that is not at its default."""
        beyond = {name: value for name, value in chosen.items() if value != self.by_name[name].default}
        return {**self.sizes, **beyond}

    def dataclass(self) -> Any:
        """A frozen dataclass with a field for each setting; its attribute ``kind`` is this kind."""
        fields = [(s.name, type(s.default), field(default=s.default)) for s in self.settings]
        return make_dataclass(f"{self.name.title()}Values", fields, frozen=True, kw_only=True, namespace={"kind": self})


def asked(chosen: Any) -> dict[str, Json]:
    """The settings whose values in force a program must report.

    Settings that leave the choice to the library, or that cannot be read back, are left out.

    Args:
        chosen: an instance of ``Kind.dataclass()``.
    """
    values = {setting: getattr(chosen, setting.name) for setting in chosen.kind}
    return {
        setting.name: value
        for setting, value in values.items()
        if not setting.unread and not (setting.left_open and value == setting.default)
    }


def chosen_of(settings: Settings, names: tuple[str, ...]) -> str:
    """The first of some settings that is not at its default, as ``name=value``; empty if all are."""
    found = [name for name in names if settings.get(name) not in (None, False, 0, "equal", "random")]
    return f"{found[0]}={settings[found[0]]!r}" if found else ""
