"""A small pool of fork servers of one interpreter.

Launches take its servers in rotation, as those of one server share hash seed and memory layout.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import perfgate
from perfgate.measure.server import Server
from perfgate.reference.reference import Reference

PACKAGE = Path(perfgate.__file__).parent
ACTOR_ONLY = ("__init__.py", "shared", "actor")


class Pool:
    """Servers that start when first needed.

    Args:
        preload: modules that the servers import.
        folder: for the outputs of servers and actors.
        size: how many servers.
        reference: other code or libraries to run. It needs no Perfgate: a copy of the actor's side goes on its path.
        name: what the servers' names begin with.
    """

    def __init__(
        self,
        preload: Sequence[str],
        folder: Path,
        size: int,
        reference: Reference | None = None,
        name: str = "server",
    ) -> None:
        self._preload = preload
        self._folder = folder
        self.size = size
        self._reference = reference
        self._name = name
        self._servers: list[Server] = []
        self._turn = 0

    def start(self) -> bool:
        """Start the servers, if they are not up yet; returns whether they were not.

        Raises:
            UserError: the programs' libraries cannot be imported.
        """
        if self._servers:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        python, path = sys.executable, []
        if self._reference:
            python = self._reference.python
            path = [str(copy_of_actor(self._folder / f"{self._name}-path")), *self._reference.path]
        numbers = range(self.size)
        self._servers = [Server(f"{self._name}-{n}", self._preload, self._folder, python, path) for n in numbers]
        for server in self._servers:
            server.wait_ready()
        return True

    def next(self) -> Server:
        """The server whose turn it is."""
        self._turn += 1
        return self.at(self._turn)

    def at(self, number: int) -> Server:
        """A server by number, modulo the size of the pool."""
        self.start()
        return self._servers[number % self.size]

    def close(self) -> None:
        """End all servers and their actors."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()


def copy_of_actor(folder: Path) -> Path:
    """Copy the actor's side of Perfgate into a folder, to be put on an import path; returns the folder."""
    for name in ACTOR_ONLY:
        source, target = PACKAGE / name, folder / "perfgate" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder
