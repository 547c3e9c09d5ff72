"""What the tests of all commands begin with."""

from pathlib import Path

import pytest

from tests.support.runs import OTHER_CASE, noisy_launches, write_run


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A run of two cases."""
    return write_run(tmp_path / "base.jsonl", [*noisy_launches(1), *noisy_launches(2, OTHER_CASE, typical_s=0.5)])
