"""The folder that the proof leaves: what is done so far, and what was measured, in few files."""

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from perfgate.shared.errors import UserError

STATE, SUMMARY, LOG, PICTURE = "state.json", "summary.md", "log.txt", "calibration.svg"
PACKED = ("runs", "baselines")
LOG_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Place:
    """The folder, and a copy of what is packed in it, laid out to work with.

    Attributes:
        out: the folder that stays: at most 8 files.
        work: a folder for this invocation.
        mode: ``cuda`` or ``dry``.
    """

    out: Path
    work: Path
    mode: str

    def open(self):
        """Unpack what earlier invocations left.

        Raises:
            UserError: it was left by a proof in the other mode, or by something else.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if not self.state_file.exists() and any(self.out.iterdir()):
            raise UserError(f"{self.out} holds no {STATE} and is not empty; name another folder with --out")
        found = self.state().get("mode", self.mode)
        if found != self.mode:
            raise UserError(f"{self.out} was begun in mode {found}, not {self.mode}; name another folder with --out")
        for name in PACKED:
            (self.work / name).mkdir(parents=True, exist_ok=True)
            if self.archive(name).exists():
                with tarfile.open(self.archive(name)) as archive:
                    archive.extractall(self.work, filter="data")

    @property
    def state_file(self):
        """Where the state lies."""
        return self.out / STATE

    @property
    def runs(self):
        """Run files, one a slice."""
        return self.work / "runs"

    @property
    def baselines(self):
        """What was stored."""
        return self.work / "baselines"

    def archive(self, name):
        """Where a folder is packed."""
        return self.out / f"{name}.tar.gz"

    def state(self):
        """What is done: ``mode``, and under ``slices`` what each found."""
        if not self.state_file.exists():
            return {"mode": self.mode, "slices": {}}
        return json.loads(self.state_file.read_text(encoding="utf-8"))

    def keep(self, name, found):
        """Write down what a slice found, and pack what it left; each file is whole or as it was."""
        for folder in PACKED:
            temporary = self.work / f"{folder}.tar.gz"
            with tarfile.open(temporary, "w:gz") as archive:
                archive.add(self.work / folder, folder)
            shutil.move(temporary, self.archive(folder))
        state = self.state()
        state["slices"][name] = found
        self.write(STATE, json.dumps(state, indent=1) + "\n")

    def write(self, name, text):
        """Put a file into the folder in one piece."""
        temporary = self.work / name
        temporary.write_text(text, encoding="utf-8")
        shutil.move(temporary, self.out / name)

    def log(self, text):
        """Add to the log; of a long one the end is kept."""
        path = self.out / LOG
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text((before + text)[-LOG_BYTES:], encoding="utf-8")
