"""The folder of all baselines: which machines and cases it has, and changes of whole files."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from perfgate.records.baseline_files import SCHEMA, case_file, dump, load_file
from perfgate.records.baselines import Baseline
from perfgate.records.store import PORTABLE, locked, write_whole
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

Cases = Mapping[str, Baseline]


def machines(root: Path) -> list[str]:
    """The machines that have baselines, and the pairs of versions with exact metrics: ``portable/torch-2.13-...``.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there are no baselines; store some with pytest --perf-update new")
    places = [*root.iterdir(), *((root / PORTABLE).iterdir() if (root / PORTABLE).is_dir() else ())]
    return sorted(str(path.relative_to(root)) for path in places if path.is_dir() and path.name != PORTABLE)


def cases_of(root: Path, machine: str) -> dict[str, Baseline]:
    """All baselines of a machine.

    Raises:
        UserError: a file is damaged.
    """
    found: dict[str, Baseline] = {}
    for path in files_of(root, machine):
        found |= load_file(path, root)
    return found


def holders(root: Path, but: str, cases: Collection[str]) -> dict[str, tuple[str, int]]:
    """The other machines that have baselines of some cases, each with its kind of device and the number of these cases.

    Args:
        root: the folder of all baselines.
        but: the machine to leave out.
        cases: the cases to look for.

    Raises:
        UserError: a file is damaged.
    """
    found = {}
    for machine in machines(root) if root.is_dir() else ():
        if machine == but or machine.startswith(PORTABLE):
            continue
        files = [path for name in sorted(set(map(case_file, cases))) if (path := root / machine / name).is_file()]
        count = sum(case in cases for path in files for case in load_file(path, root))
        if count:
            found[machine] = str((document(files[0]).get("machine") or {}).get("device")), count
    return found


def files_of(root: Path, machine: str) -> list[Path]:
    """A machine's baseline files, without others such as its noise file."""
    return [path for path in sorted((root / machine).rglob("*.json")) if document(path).get("schema") == SCHEMA]


def remove(root: Path, machine: str, cases: Collection[str]) -> None:
    """Remove cases; a file that is then empty is removed as well."""
    for name in sorted(set(map(case_file, cases))):
        rewrite(root, machine, name, lambda found: {case: one for case, one in found.items() if case not in cases})


def rename(root: Path, old: str, new: str) -> int:
    """Give a machine's baselines to another machine; returns the number of cases.

    Raises:
        UserError: there is no such machine, or the new one has baselines already.
    """
    for name, there in ((old, True), (new, False)):
        if (root / name).exists() != there:
            raise UserError(f"{root / name}: {'there is no such machine' if there else 'has baselines already'}")
    if old.startswith(PORTABLE) or new.startswith(PORTABLE):
        raise UserError(f"exact metrics belong to versions and not to a machine, so {old} cannot become {new}")
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    (root / old).rename(root / new)
    for path in sorted((root / new).rglob("*.json")):
        found = document(path)
        if found.get("schema") == SCHEMA:
            rewrite(root, new, str(path.relative_to(root / new)), lambda cases: cases, {"name": new})
        elif found.get("machine") == old:
            write_whole(path, json.dumps({**found, "machine": new}, indent=1) + "\n")
    return len(cases_of(root, new))


def rewrite(
    root: Path, machine: str, name: str, change: Callable[[Cases], Cases], about: Mapping[str, Any] | None = None
) -> None:
    """Change one file as a whole, under the lock of its machine.

    Args:
        root: the folder of all baselines.
        machine: the machine's folder in it.
        name: the file, relative to the machine's folder.
        change: a function from the file's present cases to its new ones.
        about: changes to the file's facts about its machine.
    """
    path = root / machine / name
    with locked(root / machine):
        head, cases = document(path), change(load_file(path, root))
        if not cases:
            path.unlink(missing_ok=True)
            return
        write_whole(path, dump(cases, {**head["machine"], **(about or {})}, head["software"]))


def document(path: Path) -> dict[str, Any]:
    """A JSON object in a file; empty if it holds none."""
    try:
        found = load_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
