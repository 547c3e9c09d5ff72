"""A pytest plugin that switches every technique off behind its effect's back: the setting is replaced by vanilla.

    pytest perf_tests -m effect -p tests.switched_off

Each effect that is decided must then fail. With ``--perf-device none`` those that a dry run tells, in a minute.
"""

from typing import Any

import pytest

from perfgate.cases import effect


def pytest_configure() -> None:
    """Exchange what measures both sides."""
    tried = effect.tried

    def without(stage: Any, case: str, vanilla: Any, setting: Any, *more: Any) -> Any:
        del setting
        return tried(stage, case, vanilla, vanilla, *more)

    effect.tried = without


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the effects that promise nothing: they hold without their technique."""
    blind = [report.nodeid for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    failed = len(terminalreporter.stats.get("failed", []))
    terminalreporter.write_line(f"switched off: {failed} effects fail without their technique, {len(blind)} do not")
    for nodeid in blind:
        terminalreporter.write_line(f"holds without its technique: {nodeid}")
