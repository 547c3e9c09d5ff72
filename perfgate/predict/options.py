"""Makes options of ``perfgate predict`` from the declarations of settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perfgate.shared.settings import DENOISER_TRAINING, FORWARD, GENERATION, IMAGE_GENERATION, TRAINING, Kind, Setting
from perfgate.shared.workload import Json, Workload
from perfgate.workloads import tasks
from perfgate.workloads.models.model import Model


@dataclass(frozen=True)
class Mode:
    """A kind of workload that can be predicted.

    Attributes:
        build: the function that makes such a workload.
        kind: the declarations of its settings.
    """

    build: Callable[..., Workload]
    kind: Kind

    @property
    def settings(self) -> Mapping[str, Setting]:
        """The settings by the names of their options."""
        return {setting.option: setting for setting in self.kind if setting.option}


MODES = {
    "train": Mode(tasks.training, TRAINING),
    "forward": Mode(tasks.forward, FORWARD),
    "generate": Mode(tasks.generation, GENERATION),
    "images": Mode(tasks.image_generation, IMAGE_GENERATION),
    "denoiser": Mode(tasks.denoiser_training, DENOISER_TRAINING),
}
ASKED_FOR = ("batch_size", "seq_len")  # every prediction needs these two
# Every option with its setting. If several modes have the option, the first mode's setting describes it.
OPTIONS: Mapping[str, Setting] = {
    option: setting for mode in reversed(MODES.values()) for option, setting in mode.settings.items()
}


def mode_of(named: str | None, model: Model, task: str | None) -> str:
    """The named mode; by default ``images`` for a task of image generation, else ``train``."""
    return named or ("images" if (task or next(iter(model.classes))) in tasks.IMAGE_TASKS else "train")


def flag(option: str) -> str:
    """An option as it is typed on the command line."""
    return f"--{option.replace('_', '-')}"


def add_settings(parser: Any) -> None:
    """Add one option for each setting to a parser or a parser's group. The value of an option not given is ``None``."""
    for option in dict.fromkeys(option for mode in MODES.values() for option in mode.settings):
        setting = OPTIONS[option]
        more: dict[str, Any] = {"type": several(int), "metavar": "N"}
        if isinstance(setting.default, bool):
            # The option without a value turns its setting on.
            more = {"nargs": "?", "const": True, "type": several(reader(setting)), "metavar": "NAME"}
        elif isinstance(setting.default, str):
            more = {"type": several(reader(setting)), "metavar": "NAME"}
        parser.add_argument(flag(option), help=described(option), required=option == "batch_size", **more)


def described(option: str) -> str:
    """The help text of an option: its effect, the values that can be predicted in each mode, and the default."""
    having = {name: mode.settings[option] for name, mode in MODES.items() if option in mode.settings}
    setting = OPTIONS[option]
    values: dict[str, list[str]] = {}
    for name, own in having.items():
        if listed := ", ".join(map(str, predicted(own))):
            values.setdefault(listed, []).append(name)
    told = [f"{' and '.join(names)}: {listed}" if len(values) > 1 else listed for listed, names in values.items()]
    if setting.left_open:
        told.append("default: the library's choice")
    elif setting.default is not False and option not in ASKED_FOR:
        told.append(f"default: {setting.default}")
    if len(having) < len(MODES):
        told.append(f"with --mode {' or '.join(having)} only")
    doc = setting.doc
    for value in setting.unpredicted:
        doc = doc.replace(f", `{value}`", "")
    return doc.replace("`", "").replace("%", "%%") + (f" ({'; '.join(told)})" if told else "")


def predicted(setting: Setting) -> list[Json]:
    """The values of a setting, besides its default, that can be predicted."""
    return [value for value in setting.values if value not in setting.unpredicted and value != setting.default]


def several(read: Callable[[str], Json]) -> Callable[[str], Json]:
    """Make a function that reads one value, or a tuple of different values separated by commas."""

    def read_all(written: str) -> Json:
        values = tuple(dict.fromkeys(read(part.strip()) for part in written.split(",")))
        return values if len(values) > 1 else values[0]

    read_all.__name__ = getattr(read, "__name__", "value")  # argparse shows this name if a value cannot be read
    return read_all


def reader(setting: Setting) -> Callable[[str], Json]:
    """Make a function that converts an option's text to one of the setting's values.

    Other text is returned as it is, and the workload then refuses it.
    """
    return lambda written: next((value for value in setting.values if str(value) == written), written)
