"""The folder in which the proof stores its progress and its measurements, in few files."""

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
    """The folder of results, and a temporary folder with its unpacked contents.

    Attributes:
        out: the folder of results, which holds at most 8 files.
        work: the temporary folder of this invocation.
        mode: ``cuda``, ``dry`` or ``emulated``.
    """

    out: Path
    work: Path
    mode: str

    def open(self):
        """Unpack the results of earlier invocations.

        Raises:
            UserError: the folder holds a proof in the other mode, or something else.
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
        """The path of the file with the proof's progress."""
        return self.out / STATE

    @property
    def runs(self):
        """The folder of run files, one for each slice."""
        return self.work / "runs"

    @property
    def baselines(self):
        """The folder of baselines that the slice ``store`` wrote."""
        return self.work / "baselines"

    def archive(self, name):
        """The path of the archive of a folder."""
        return self.out / f"{name}.tar.gz"

    def state(self):
        """The proof's progress: ``mode``, and under ``slices`` the result of each slice."""
        if not self.state_file.exists():
            return {"mode": self.mode, "slices": {}}
        return json.loads(self.state_file.read_text(encoding="utf-8"))

    def keep(self, name, found):
        """Store the result of a slice and pack its files. Each file is replaced as a whole."""
        for folder in PACKED:
            temporary = self.work / f"{folder}.tar.gz"
            with tarfile.open(temporary, "w:gz") as archive:
                archive.add(self.work / folder, folder)
            shutil.move(temporary, self.archive(folder))
        state = self.state()
        state["slices"][name] = found
        self.write(STATE, json.dumps(state, indent=1) + "\n")

    def write(self, name, text):
        """Write a file into the folder as a whole."""
        temporary = self.work / name
        temporary.write_text(text, encoding="utf-8")
        shutil.move(temporary, self.out / name)

    def log(self, text):
        """Append to the log, and drop the beginning of a log that is too long."""
        path = self.out / LOG
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text((before + text)[-LOG_BYTES:], encoding="utf-8")
