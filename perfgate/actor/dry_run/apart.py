"""Isolates a dry run: a temporary folder, no network, no loader workers, fixed seeds."""

import os
import random
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

LIMIT_S = 60.0  # seconds of processor time
SEED = 0


class TooLong(BaseException):
    """The program has computed for too long."""


@contextmanager
def apart() -> Iterator[None]:
    """Run the block in a temporary folder that shows the files of the run's folder.

    New files that the program writes are deleted with the temporary folder.
    """
    here = Path.cwd()
    path, sys.path[:] = sys.path[:], [entry or str(here) for entry in sys.path]
    environment = dict(os.environ)
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}
    with TemporaryDirectory(prefix="perfgate-dry-", ignore_cleanup_errors=True) as folder, offline(), seeded():
        for entry in here.iterdir():
            (Path(folder) / entry.name).symlink_to(entry)
        os.chdir(folder)
        try:
            with without_workers():
                yield
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(environment)
            sys.path[:] = path


@contextmanager
def offline() -> Iterator[None]:
    """Refuse connections to other machines."""
    keep = socket.socket.connect

    def refuse(self: Any, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            raise OSError(f"a dry run is offline, and the program connects to {address}")
        keep(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = keep  # type: ignore[method-assign]


@contextmanager
def without_workers() -> Iterator[None]:
    """Make loaders read in this process, because worker processes would have no fake tensors."""
    keep = DataLoader.__init__
    none: dict[str, Any] = {
        "num_workers": 0,
        "prefetch_factor": None,
        "persistent_workers": False,
        "timeout": 0,
        "multiprocessing_context": None,
    }

    def begin(self: Any, *arguments: Any, **keywords: Any) -> None:
        if keywords.get("num_workers"):
            keywords |= none
        keep(self, *arguments, **keywords)

    DataLoader.__init__ = begin
    try:
        yield
    finally:
        DataLoader.__init__ = keep


@contextmanager
def seeded() -> Iterator[None]:
    """Fix all seeds within the block, so that every dry run draws the same random numbers."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@contextmanager
def limited(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Limit the processor time of the block. The time of other processes does not count.

    Raises:
        TooLong: the block computed for longer than that.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
