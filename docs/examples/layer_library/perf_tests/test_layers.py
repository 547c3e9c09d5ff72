import pytest

from perfgate import Workload


@pytest.mark.parametrize("length", [64])
@pytest.mark.parametrize("layer", ["LocalAttention", "RootNorm"])
def test_layer(perf, layer, length):
    perf(Workload("programs:Layer", {"layer": layer, "batch_size": 4, "length": length, "width": 64}))
