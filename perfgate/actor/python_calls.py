"""Python's own work: the functions that are entered while a step is taken, on all threads.

One definition holds for every version of Python. A call is an entry of a function's body:

- a generator or coroutine counts when it begins, and not when it is resumed, thrown into or closed;
- comprehensions do not count, as newer versions run them within the function around them;
- modules, class bodies and ``eval`` do not count, as they are no functions;
- neither does what Perfgate does itself, nor what ``threading`` and a pool of threads do around a thread;
- nor do the functions by which ``os`` turns each variable of the environment into text;
- nor does ``__eq__``, as tables call it for things whose hashes are alike, which differ from process to process.
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
FINDER = ".find_spec"  # the method by which a package that is installed takes part in every import
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>")
SUSPENDING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
BEGINNING = bytes((dis.opmap["RESUME"], 0))
TOOLS = range(6)  # the places that ``sys.monitoring`` has
NUMBERED = re.compile(r"(<.*>)\.\d+")  # as files of generated code are called

Table = dict[str, dict[str, int]]


class Taken(Exception):  # noqa: N818  an answer, not an error
    """Another profiler is at work; the message is a clause that says so."""


class Monitored:
    """Entries as ``sys.monitoring`` tells them, which sees all threads (from Python 3.12 on)."""

    def __init__(self) -> None:
        self._monitoring: Any = vars(sys)["monitoring"]
        self._event = self._monitoring.events.PY_START
        self._tool = 0

    def begin(self, entered: list[CodeType]) -> None:
        """Append the code of each function that is entered from here on."""
        free = [tool for tool in TOOLS if self._monitoring.get_tool(tool) is None]
        if not free:
            raise Taken("all places of sys.monitoring are taken")
        self._tool = free[-1]
        append = entered.append
        self._monitoring.use_tool_id(self._tool, "perfgate")
        self._monitoring.register_callback(self._tool, self._event, lambda code, _: append(code))
        self._monitoring.set_events(self._tool, self._event)

    def end(self) -> None:
        """Append no more."""
        self._monitoring.set_events(self._tool, 0)
        self._monitoring.register_callback(self._tool, self._event, None)
        self._monitoring.free_tool_id(self._tool)

    def join(self) -> None:
        """Nothing is to be done for a thread that C code made."""


class Profiled:
    """Entries as ``sys.setprofile`` tells them: of this thread, of those that ``threading`` starts from now on, and of
    those that ``join``."""

    def __init__(self) -> None:
        self._entered: list[CodeType] | None = None
        threading.setprofile(self._called)

    def begin(self, entered: list[CodeType]) -> None:
        """Append the code of each function that is entered from here on."""
        if sys.getprofile() is not None:
            raise Taken("another profiler is at work")
        self._entered = entered
        sys.setprofile(self._called)

    def end(self) -> None:
        """Append no more."""
        self._entered = None
        if sys.getprofile() != self._called:
            raise Taken("another profiler took over within the step")
        sys.setprofile(None)

    def join(self) -> None:
        """See the thread that calls from now on."""
        if sys.getprofile() is None:
            sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (entered := self._entered) is not None:
            code = frame.f_code
            if not code.co_flags & SUSPENDING or code.co_code[frame.f_lasti : frame.f_lasti + 2] == BEGINNING:
                entered.append(code)


class Calls:
    """Counts the entries of functions between ``begin`` and ``end``; make it before the program starts threads."""

    def __init__(self) -> None:
        self._source = Monitored() if "monitoring" in vars(sys) else Profiled()
        self._entered: list[CodeType] = []

    def join(self) -> None:
        """Called on a thread that C code made, to have it counted too."""
        self._source.join()

    def begin(self) -> None:
        """Count from here on.

        Raises:
            Taken: another profiler is at work.
        """
        self._entered = []
        self._source.begin(self._entered)

    def end(self) -> Table:
        """How often each function was entered, by file and name.

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
    """Whether code is a function's, and neither Perfgate's own, nor that around a thread, an import or the environment.

    What an import calls depends on the places where modules are looked for and on finders of packages that the
    program never uses. What a copy of the environment calls depends on the number of its variables.
    """
    function = bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in COMPREHENSIONS
    # A pool is told that its owner is gone, or sees it by itself, whichever comes first.
    of_pool = code.co_name == "weakref_cb" and code.co_filename.endswith("concurrent/futures/thread.py")
    of_import = FINDER in code.co_qualname or code.co_filename.startswith(IMPORTS)
    of_variables = code.co_filename in OS and code.co_qualname.startswith(VARIABLES)
    elsewhere = of_pool or of_import or of_variables or code.co_name == "__eq__"
    return function and not elsewhere and not code.co_filename.startswith((OWN, threading.__file__))


@cache
def file_of(name: str) -> str:
    """A file as it is called in every environment: below the folder that it is imported from."""
    if found := NUMBERED.fullmatch(name):
        return found[1]
    folders = [str(Path(entry).absolute()) for entry in sys.path]
    inside = [folder for folder in folders if name.startswith(f"{folder}/")]
    return name[len(max(inside, key=len)) + 1 :] if inside else "/".join(name.rsplit("/", 2)[-2:])
