"""The file beside a machine's baselines that holds its noise."""

import json
from pathlib import Path

from perfgate.gate.noise import REMEDY, UNKNOWN, Noise
from perfgate.records.baseline_files import check_inside
from perfgate.records.clocks import Clock
from perfgate.records.store import locked, write_whole
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

NAME = "noise.json"


def read_noise(folder: Path) -> Noise:
    """Read the noise of the machine whose baselines lie in this folder; ``UNKNOWN`` if it was never calibrated.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return UNKNOWN
    try:
        found = load_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}){REMEDY}") from None
    return Noise.from_json(found, str(path))


def write_noise(folder: Path, noise: Noise, clock: Clock = "wall") -> Path:
    """Store the noise of duets on one clock, and keep that of the other clock; returns the path of the file.

    Raises:
        UserError: the file is damaged, or cannot be written.
    """
    path = folder / NAME
    check_inside(path, folder.parent)
    try:
        with locked(folder):  # another run may store the noise of the other clock meanwhile
            noise = read_noise(folder).learned(noise, clock)
            write_whole(path, json.dumps(noise.to_json(), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    return path
