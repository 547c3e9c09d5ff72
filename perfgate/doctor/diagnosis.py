"""The diagnosis: all findings about a machine, and which kinds of numbers can be measured and gated on it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perfgate.doctor import device, emulated, gpus, host, noise, software, stored_baselines
from perfgate.doctor.finding import LEVELS, Finding
from perfgate.records.machine import Machine, this_machine
from perfgate.records.portable import pair_of
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError

SCHEMA = "perfgate.doctor/1"


@dataclass(frozen=True)
class Ability:
    """Whether one kind of number can be measured and gated on this machine.

    Attributes:
        what: the kind of number.
        measured: whether it can be measured here.
        gated: whether it can fail a case here, given the baselines that are stored now.
        why: the reason if it is not gated.
    """

    what: str
    measured: bool
    gated: bool
    why: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The result of ``perfgate doctor``.

    Attributes:
        noise: the spread between launches; ``None`` if it was not measured.
        baselines: the stored baselines of this machine.
        portable: the stored baselines of this pair of torch and transformers versions.
        on_gpu: the stored baselines of the GPU that a run would measure on; ``None`` if it would take the CPU.
        timed: whether times on that GPU have a meaning.
    """

    machine: Machine
    versions: dict[str, str]
    gpus: tuple[gpus.Card, ...]
    noise: noise.LaunchSpread | None
    baselines: stored_baselines.Stored
    portable: stored_baselines.Stored
    findings: tuple[Finding, ...]
    on_gpu: stored_baselines.Stored | None = None
    timed: bool = True

    @property
    def fit(self) -> bool:
        """Whether cases can be measured on this machine."""
        return not any(finding.level == "problem" for finding in self.findings)

    @property
    def abilities(self) -> list[Ability]:
        """Each kind of number, with whether it is measured and gated here."""
        here, pair = self.baselines, self.portable
        young = f"{here.young} of {here.cases} baselines have too few launches or sessions" if here.young else ""
        none = "" if here.cases else "nothing is stored for this machine"
        unknown = "" if pair.cases else f"nothing is stored for {pair.name}"
        gpu = self.on_gpu
        no_gpu = "there is a GPU, and torch cannot use it" if self.gpus else "there is no GPU"
        why_not = no_gpu if gpu is None else "" if gpu.cases else f"nothing is stored for {gpu.name}"
        few = f"{gpu.young} of {gpu.cases} baselines have too few launches or sessions" if gpu and gpu.young else ""
        untimed = "" if self.timed or gpu is None else f"{gpu.name} is emulated, so its times mean nothing"
        timed = gpu is not None and self.timed
        found = [
            Ability("times on the CPU", True, here.cases > here.young, none or young),
            Ability("peak memory on the CPU", True, here.cases > 0, none),
            Ability("exact metrics, by dry run", True, pair.cases > 0, unknown),
            Ability("times on a GPU", timed, timed and bool(gpu and gpu.cases > gpu.young), untimed or why_not or few),
            Ability("memory and launches on a GPU", gpu is not None, bool(gpu and gpu.cases), why_not),
        ]
        return found if self.fit else [Ability(one.what, False, False, "see the problems below") for one in found]

    def to_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "schema": SCHEMA,
            "fit": self.fit,
            "machine": self.machine.to_json(),
            "software": self.versions,
            "gpus": [gpu.to_json() for gpu in self.gpus],
            "noise": self.noise.to_json() if self.noise else None,
            "baselines": self.baselines.to_json(),
            "portable": self.portable.to_json(),
            "gpu_baselines": self.on_gpu.to_json() if self.on_gpu else None,
            "abilities": [asdict(ability) for ability in self.abilities],
            "findings": [finding.to_json() for finding in self.findings],
            "summary": {level: sum(one.level == level for one in self.findings) for level in LEVELS},
        }


def diagnose(
    folder: Path,
    baselines: str,
    quick: bool,
    progress: Callable[[str], None],
    preload: Sequence[str] = (),
    programs: Sequence[str] = (),
    wanted: str = "auto",
) -> Diagnosis:
    """Examine the machine, its libraries and its baselines.

    Args:
        folder: the root of the suite.
        baselines: the folder of the baselines, relative to ``folder`` or absolute.
        quick: leave out the calibration, which starts launches.
        progress: called with a few words before each part that takes time.
        preload: the user's own modules that runs import in advance.
        programs: the folders of these modules.
        wanted: the device to examine, a value of ``--perf-device``.
    """
    machine, versions = this_machine(), software.versions()
    gpu, missing = device.find(wanted)
    cards, about_gpus = gpus.look(versions, gpu)
    here, pair, damaged = stored_baselines.open_stores(folder / baselines, machine.name, pair_of(versions))
    found = [
        *host.processor(machine),
        *about_gpus,
        emulated.look(),
        *software.libraries(versions, bool(cards or gpu)),
        *host.clocks(),
    ]
    found += [*host.load(machine.cpus), *host.container(machine), stored_baselines.locks(), software.git(folder)]
    found += damaged or stored_baselines.baselines(here, pair)
    found += missing
    on_gpu = None
    if gpu is not None:
        on_gpu, _, broken = stored_baselines.open_stores(folder / baselines, gpu.machine.name, pair_of(versions))
        found += [*device.told(gpu), *(broken or [next(stored_baselines.baselines(on_gpu, pair))])]
        if not quick:
            progress("whether a fork reaches the GPU")
            found.append(device.reached(gpu))
    timed = gpu is None or DEVICE_KINDS[gpu.kind].timed
    measured = None
    if not quick and not any(finding.level == "problem" for finding in found):
        try:
            measured = noise.calibrate(progress=progress, preload=preload, programs=programs)
            found += noise.findings(measured)
        except UserError as error:
            found.append(Finding("noise", "problem", f"{error}."))
    return Diagnosis(machine, versions, tuple(cards), measured, here, pair, tuple(found), on_gpu, timed)
