"""Makes one process compile again and again as a new process would."""

import shutil
from pathlib import Path

import torch

from perfgate.actor.compiled import keep_compiled_in

MISSES = "fxgraph_cache_miss"


class FreshCompilation:
    """Deletes this process's compiled code, and keeps or empties the compilers' caches.

    Args:
        folder: the folder for the caches; nobody else may use it.
        cold: whether the caches are emptied each time.
    """

    def __init__(self, folder: Path, cold: bool) -> None:
        self._folder, self._cold = folder, cold
        self.began_empty = True
        keep_compiled_in(folder)

    def restart(self) -> None:
        """Delete compiled code, so that the next call compiles."""
        from torch._dynamo.utils import clear_compilation_metrics, counters  # slow to import
        from torch._inductor.utils import clear_inductor_caches

        torch.compiler.reset()
        clear_inductor_caches()
        clear_compilation_metrics()
        counters.clear()
        if self._cold:
            shutil.rmtree(self._folder, ignore_errors=True)
        self.began_empty = not any(path.is_file() for path in self._folder.rglob("*"))

    def metrics(self) -> dict[str, float]:
        """The seconds of compilation since ``restart``, and the graphs that were not in the cache."""
        from torch._dynamo.utils import counters, get_compilation_metrics

        seconds = [one.entire_frame_compile_time_s or 0.0 for one in get_compilation_metrics()]
        return {"compile_time_s": sum(seconds), "compile_cache_misses": float(counters["inductor"][MISSES])}
