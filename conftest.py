"""Gives this suite's cases their models."""

import pytest

from fixtures.models import models_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a case that asks for ``model`` once for each model that can do it, unless it names its own."""
    named = any("model" in str(marker.args[0]).split(",") for marker in metafunc.definition.iter_markers("parametrize"))
    if "model" in metafunc.fixturenames and not named:
        found = models_for(metafunc.fixturenames)
        metafunc.parametrize("model", found, ids=[model.name for model in found])
