"""Why a launch ended: what libraries of CUDA say where memory runs out."""

import pytest

from perfgate.actor.failures import message_of, reason_of


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


def test_what_an_emulated_card_refuses_is_no_crash_of_the_program() -> None:
    said = "cuDNN error: the emulated GPU does not implement cudnnCreateDropoutDescriptor\nCUDA kernel errors might be"
    assert reason_of(RuntimeError(said)) == "not emulated"
    assert message_of(RuntimeError(said)) == "the emulated GPU does not implement cudnnCreateDropoutDescriptor"
