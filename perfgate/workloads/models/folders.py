"""Folders of models: where a path is looked for, what must lie there, and how a workload names it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfgate.shared.errors import UserError


@dataclass(frozen=True)
class Places:
    """Where the folder of a model is looked for.

    Attributes:
        folders: in this order; an absolute path is taken as it is.
        root: a folder below it is named relative to it, so that a workload is the same on every machine; ``None``
            names a folder as it was written.
    """

    folders: tuple[Path, ...]
    root: Path | None = None

    @classmethod
    def here(cls) -> "Places":
        """The current folder."""
        return cls((Path.cwd(),))

    def find(self, written: str | Path) -> Path | None:
        """The first folder of that name with a ``config.json``, else the first of that name; ``None`` without any."""
        found = [path for path in self._candidates(written) if path.is_dir()]
        return next((path for path in found if (path / "config.json").is_file()), next(iter(found), None))

    def name(self, path: Path, written: str | Path) -> str:
        """What a workload calls a folder.

        Args:
            path: the folder.
            written: how the case named it.
        """
        if self.root is None:
            return str(written)
        path, root = path.resolve(), self.root.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    def told(self, written: str | Path) -> str:
        """Where a path was looked for, as the end of a sentence; empty for an absolute one."""
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
