"""Detects that pytest-cov would miss the processes that run models."""

import os

import pytest

UNSEEN = (
    "Coverage has not seen what ran in Perfgate's own processes, as it follows no subprocess: write patch = subprocess "
    "under [run] of .coveragerc, or under [tool.coverage.run] of pyproject.toml"
)


def is_without_actors(config: pytest.Config) -> bool:
    """Whether ``--cov`` was given but coverage does not follow subprocesses."""
    asked = getattr(config.option, "cov_source", None) and not getattr(config.option, "no_cov", False)
    return bool(asked) and not {"COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"} & set(os.environ)
