"""The builders that make workloads of a model, and the folders in which a model is looked for."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from perfgate.shared.workload import Workload
from perfgate.workloads import data, operators, tasks
from perfgate.workloads.models.folders import Places

# The builders by the name of their fixture.
OF_MODEL: Mapping[str, Callable[..., Workload]] = {
    "training": tasks.training,
    "generation": tasks.generation,
    "serving": tasks.serving,
    "forward": tasks.forward,
    "image_generation": tasks.image_generation,
    "denoiser_training": tasks.denoiser_training,
    "loading": tasks.loading,
}
OF_NO_MODEL: Mapping[str, Callable[..., Workload]] = {
    "operator": operators.operator,
    "tokenizing": data.tokenizing,
    "reading": data.reading,
}


def places_of(test_file: Path, config: pytest.Config) -> Places:
    """The folders in which to look for a model's folder; the test file's own folder comes first."""
    return Places((test_file.parent, config.rootpath, config.invocation_params.dir), config.rootpath)
