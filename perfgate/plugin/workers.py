"""The messages between a run and its xdist workers."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfgate.plugin.run import Run


class Workers:
    """The hooks of xdist's controller."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """Check that the run's products can be made, before any worker collects."""
        self._run.check_products()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it belongs to."""
        node.workerinput["perf_run_id"] = self._run.writer.run_id
        node.workerinput["perf_sides"] = self._run.sides.to_json()
        node.workerinput["perf_shared"] = str(self._run.shared)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn the number of items from a worker."""
        self._run.expect(len(ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn the collected cases from a worker that has ended."""
        self._run.ends.collected |= set(getattr(node, "workeroutput", {}).get("perf_collected", ()))
