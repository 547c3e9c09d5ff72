"""Counts Python's calls: the functions that are entered during a step, on all threads.

One definition holds for every version of Python. A call is an entry of a function's body:

- a generator or coroutine counts when it begins, and not when it is resumed, thrown into or closed;
- comprehensions do not count, because newer versions run them within the function around them;
- modules, class bodies and ``eval`` do not count, because they are no functions;
- neither do calls of Perfgate itself, nor those of ``threading`` and thread pools around a thread;
- nor do the functions with which ``os`` turns each environment variable into text;
- nor do those with which ``os.path`` follows a path to its real place, folder by folder;
- nor does ``__eq__``, because dictionaries call it on hash collisions, which differ from process to process.
"""

import dis
import inspect
import os
import re
import sys
import threading
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

OWN = f"{Path(__file__).parent}/"
IMPORTS = "<frozen importlib"
OS = (os.__file__, "<frozen os>")
VARIABLES = ("_createenviron.", "_Environ.")  # the functions of ``os.environ``
PATHS = (os.path.__file__, "<frozen posixpath>")
FOLLOWING = ("_joinrealpath", "isabs", "join", "_get_sep")  # ``realpath`` calls them for each folder or link
FINDER = ".find_spec"  # the method with which an installed package takes part in every import
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>")
SUSPENDING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
BEGINNING = bytes((dis.opmap["RESUME"], 0))
TOOLS = range(6)  # the tool ids of ``sys.monitoring``
NUMBERED = re.compile(r"(<.*>)\.\d+")  # the file names of generated code

Table = dict[str, dict[str, int]]


class Taken(Exception):  # noqa: N818  an answer, not an error
    """Another profiler is active; the message is a clause that says so."""


class Monitored:
    """Function entries from ``sys.monitoring``, which sees all threads (from Python 3.12 on)."""

    def __init__(self) -> None:
        self._monitoring: Any = vars(sys)["monitoring"]
        self._event = self._monitoring.events.PY_START
        self._tool = 0

    def begin(self, entered: list[CodeType]) -> None:
        """Begin to append the code of each function that is entered."""
        free = [tool for tool in TOOLS if self._monitoring.get_tool(tool) is None]
        if not free:
            raise Taken("all places of sys.monitoring are taken")
        self._tool = free[-1]
        append = entered.append
        self._monitoring.use_tool_id(self._tool, "perfgate")
        self._monitoring.register_callback(self._tool, self._event, lambda code, _: append(code))
        self._monitoring.set_events(self._tool, self._event)

    def end(self) -> None:
        """Stop appending."""
        self._monitoring.set_events(self._tool, 0)
        self._monitoring.register_callback(self._tool, self._event, None)
        self._monitoring.free_tool_id(self._tool)

    def join(self) -> None:
        """Do nothing: threads made by C code are seen anyway."""


class Profiled:
    """Function entries from ``sys.setprofile``: of this thread, of later ones, and of threads that ``join``."""

    def __init__(self) -> None:
        self._entered: list[CodeType] | None = None
        threading.setprofile(self._called)

    def begin(self, entered: list[CodeType]) -> None:
        """Begin to append the code of each function that is entered."""
        if sys.getprofile() is not None:
            raise Taken("another profiler is at work")
        self._entered = entered
        sys.setprofile(self._called)

    def end(self) -> None:
        """Stop appending."""
        self._entered = None
        if sys.getprofile() != self._called:
            raise Taken("another profiler took over within the step")
        sys.setprofile(None)

    def join(self) -> None:
        """See the calling thread from now on."""
        if sys.getprofile() is None:
            sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (entered := self._entered) is not None:
            code = frame.f_code
            if not code.co_flags & SUSPENDING or code.co_code[frame.f_lasti : frame.f_lasti + 2] == BEGINNING:
                entered.append(code)


class Calls:
    """Counts entries of functions between ``begin`` and ``end``; make it before the program starts threads."""

    def __init__(self) -> None:
        self._source = Monitored() if "monitoring" in vars(sys) else Profiled()
        self._entered: list[CodeType] = []

    def join(self) -> None:
        """Called on a thread that C code made, so that it is counted too."""
        self._source.join()

    def begin(self) -> None:
        """Begin to count.

        Raises:
            Taken: another profiler is active.
        """
        self._entered = []
        self._source.begin(self._entered)

    def end(self) -> Table:
        """Stop counting, and return how often each function was entered, by file and name.

        Raises:
            Taken: another profiler took over meanwhile.
        """
        self._source.end()
        # By identity: comparing code by its content is slow, and would merge functions that are written alike.
        counts = Counter(map(id, self._entered))
        table: Table = {}
        for code in {id(code): code for code in self._entered}.values():
            if is_counted(code):
                functions = table.setdefault(file_of(code.co_filename), {})
                functions[code.co_qualname] = functions.get(code.co_qualname, 0) + counts[id(code)]
        return {file: dict(sorted(functions.items())) for file, functions in sorted(table.items())}


def is_counted(code: CodeType) -> bool:
    """Whether code is a function that counts: not Perfgate's, nor around a thread, an import, the environment, a path.

    The calls of an import depend on the search path, and on finders of packages that the program never uses. The calls
    of copying the environment depend on the number of its variables, and those of following a path on how deep it lies.
    """
    function = bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in COMPREHENSIONS
    # A pool is told that its owner is gone, or notices it itself, whichever comes first.
    of_pool = code.co_name == "weakref_cb" and code.co_filename.endswith("concurrent/futures/thread.py")
    of_import = FINDER in code.co_qualname or code.co_filename.startswith(IMPORTS)
    of_variables = code.co_filename in OS and code.co_qualname.startswith(VARIABLES)
    of_path = code.co_filename in PATHS and code.co_qualname in FOLLOWING
    elsewhere = of_pool or of_import or of_variables or of_path or code.co_name == "__eq__"
    return function and not elsewhere and not code.co_filename.startswith((OWN, threading.__file__))


@cache
def file_of(name: str) -> str:
    """A file's path that is the same in every environment: relative to the folder from which it is imported."""
    if found := NUMBERED.fullmatch(name):
        return found[1]
    folders = [str(Path(entry).absolute()) for entry in sys.path]
    inside = [folder for folder in folders if name.startswith(f"{folder}/")]
    return name[len(max(inside, key=len)) + 1 :] if inside else "/".join(name.rsplit("/", 2)[-2:])
