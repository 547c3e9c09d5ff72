"""A small pool of fork servers of one interpreter.

Launches use its servers in rotation, because launches of one server share hash seed and memory layout.
"""

import shutil
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path

import perfgate
from perfgate.measure.server import Server
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.errors import UserError

PACKAGE = Path(perfgate.__file__).parent
ACTOR_ONLY = ("__init__.py", "shared", "actor")
PASSING = ("*.pyc.*", "*-pytest-*")  # files that the interpreter is just writing, and pytest's own compiled files


class Pool:
    """Servers that start when first needed.

    Args:
        preload: the modules that the servers import.
        folder: the folder for the outputs of servers and actors.
        size: the number of servers.
        interpreter: the interpreter of the servers; by default this process's. Another one needs no Perfgate, because
            a copy of the actor's side is put on its path.
        name: the beginning of the servers' names.
        environment: returns the variables that processes of an interpreter need to reach the device.
    """

    def __init__(
        self,
        preload: Sequence[str],
        folder: Path,
        size: int,
        interpreter: Interpreter | None = None,
        name: str = "server",
        environment: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self._preload = preload
        self._folder = folder
        self.size = size
        self.interpreter = interpreter or Interpreter()
        self.name = name
        self._environment = environment
        self._failure = ""
        self._servers: list[Server] = []
        self._turn = 0

    def start(self) -> bool:
        """Start the servers if they are not running yet; returns whether this call started them.

        Servers that failed to start are not started again: the first case shows what they printed, later ones
        the reason alone.

        Raises:
            UserError: the programs' libraries cannot be imported.
        """
        if self._failure:
            raise UserError(f"{self._failure} (the first case has the whole reason)")
        if self._servers:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        where = self.interpreter
        path: list[str] = []
        if not where.is_this:
            path = [str(copy_of_actor(self._folder / f"{self.name}-path")), *where.path]
        try:
            reached = self._environment(str(where.python))
            for number in range(self.size):
                name = f"{self.name}-{number}"
                started = Server(name, self._preload, self._folder, where.python, path, where.after, reached)
                self._servers.append(started)
            for server in self._servers:
                server.wait_ready()
        except UserError as error:
            self._failure = str(error)
            self.close()
            raise
        return True

    def beside(self, interpreter: Interpreter, name: str, without: Container[str]) -> "Pool":
        """Make equally many servers of another interpreter; the caller must close them.

        Args:
            interpreter: the other interpreter.
            name: the beginning of the servers' names.
            without: modules that these servers do not import in advance.
        """
        preload = [module for module in self._preload if module not in without]
        return Pool(preload, self._folder, self.size, interpreter, name)

    def next(self) -> Server:
        """The next server in rotation."""
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
    """Copy the actor's side of Perfgate into a folder, to be put on an import path; returns the folder.

    Compiled modules are copied too, because they are valid for the same Python.
    """
    for name in ACTOR_ONLY:
        source, target = PACKAGE / name, folder / "perfgate" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*PASSING))
        else:
            shutil.copy(source, target)
    return folder
