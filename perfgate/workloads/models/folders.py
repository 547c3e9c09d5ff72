"""Finds the folders of models, checks their files, and names them in workloads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfgate.shared.errors import UserError


@dataclass(frozen=True)
class Places:
    """The places in which to look for a model's folder.

    Attributes:
        folders: the folders to look in, in this order; an absolute path is used as it is.
        root: folders below it are named relative to it, so that a workload is the same on every machine; with ``None``
            a folder keeps the name that the case wrote.
    """

    folders: tuple[Path, ...]
    root: Path | None = None

    @classmethod
    def here(cls) -> "Places":
        """The current folder."""
        return cls((Path.cwd(),))

    def find(self, written: str | Path) -> Path | None:
        """The first folder of that name with a ``config.json``, or else the first folder of that name, or ``None``."""
        found = [path for path in self._candidates(written) if path.is_dir()]
        return next((path for path in found if (path / "config.json").is_file()), next(iter(found), None))

    def name(self, path: Path, written: str | Path) -> str:
        """The name of a folder in a workload.

        Args:
            path: the folder.
            written: the name that the case wrote.
        """
        if self.root is None:
            return str(written)
        path, root = path.resolve(), self.root.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    def told(self, written: str | Path) -> str:
        """The end of a sentence that lists the searched folders; empty for an absolute path."""
        if Path(written).is_absolute():
            return ""
        return f"; the folder was looked for in {', then in '.join(map(str, dict.fromkeys(self.folders)))}"

    def _candidates(self, written: str | Path) -> Iterator[Path]:
        return (folder / written for folder in dict.fromkeys(self.folders))


def check_folder(path: Path) -> None:
    """Refuse a folder that holds no model.

    Raises:
        UserError: its ``config.json`` or its safetensors weights are missing.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"model folder {path} lacks config.json; save the model there with save_pretrained()")
    if not any(path.glob("*.safetensors")):
        raise UserError(f"model folder {path} has no .safetensors weights; other formats are not loaded")
