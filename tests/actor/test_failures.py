"""Why a launch ended: what libraries of CUDA say where memory runs out."""

import pytest

from perfgate.actor.failures import reason_of


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "NCCL error: unhandled cuda error. Last error: Cuda failure 2 'out of memory'",
    ],
)
def test_a_library_that_gets_no_memory_is_out_of_memory_and_no_crash(said: str) -> None:
    assert reason_of(RuntimeError(said)) == "out of memory"
    assert reason_of(RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED")) == "crash"
