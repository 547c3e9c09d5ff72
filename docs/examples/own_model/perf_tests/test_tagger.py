import pytest

from perfgate import Workload


@pytest.mark.parametrize("batch_size", [8, 32])
def test_training(perf, batch_size):
    perf(Workload("bench:Training", {"batch_size": batch_size}))


def test_larger_batches_share_what_a_step_costs(effect):
    small, large = (Workload("bench:Training", {"batch_size": size}) for size in (1, 32))
    effect(small, large, samples_per_s="> 2x")
