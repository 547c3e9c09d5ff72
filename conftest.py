"""Gives this suite's cases their models."""

import pytest

from fixtures.models import models_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a case that asks for ``model`` once for each model that can do it, unless it names its own."""
    given = [marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")]
    named = [name.strip() for names in given for name in (names.split(",") if isinstance(names, str) else names)]
    if "model" in metafunc.fixturenames and "model" not in named:
        found = models_for(metafunc.fixturenames)
        metafunc.parametrize("model", found, ids=[model.name for model in found])
