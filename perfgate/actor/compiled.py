"""Where compilers keep what they made, and whether a program compiles itself.

Once anything has watched operators, Dynamo never compiles those frames.
"""

import os
import sys
from pathlib import Path
from typing import Any

CACHES = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}


def keep_compiled_in(folder: Path) -> None:
    """Let the compilers of this process read and write their caches in a folder, and nowhere else."""
    for name, inside in CACHES.items():
        os.environ[name] = str(folder / inside)


def compiles() -> bool:
    """Whether Dynamo has compiled anything in this process."""
    if "torch._dynamo.utils" not in sys.modules:
        return False
    from torch._dynamo import utils  # slow to import, and already imported if something was compiled

    return bool(utils.get_compilation_metrics())


def may_compile(program: Any) -> bool:
    """Whether a program will compile something at its first step, by its settings or its parts."""
    asked, _ = program.effective()
    if any(asked.get(name, "off") not in ("off", "auto") for name in ("compile", "compile_decode")):
        return True
    parts = [part for part in vars(program).values() if not isinstance(part, type)]
    modules = [module for part in parts if hasattr(part, "named_modules") for module in part.modules()]
    return any(hasattr(part, "_torchdynamo_orig_callable") for part in parts) or any(
        getattr(module, "_compiled_call_impl", None) is not None or hasattr(module, "_orig_mod") for module in modules
    )
