"""What makes workloads of a model for the cases, and where a model's folder is looked for."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from perfgate.shared.workload import Workload
from perfgate.workloads import data, operators, tasks
from perfgate.workloads.models.folders import Places

# By the name of the fixture.
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
    """The folders in which a model's folder is looked for, from the test's own file on."""
    return Places((test_file.parent, config.rootpath, config.invocation_params.dir), config.rootpath)
