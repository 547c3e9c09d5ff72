"""Kernels of the hub: layers of a model get forward passes that were written for the device; here LigerRMSNorm
normalizes in one kernel in place of six.

From https://huggingface.co/docs/transformers/kernels (``use_kernels``, ``KernelConfig``). These kernels need a GPU, the
package ``kernels``, and a local folder with their files, because nothing is downloaded during measurements. If one of
them is missing, the cases are skipped with the reason. On a GPU fewer kernels are launched for the same text.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
NORM = "RMSNorm=fixtures/kernels/liger-kernels:LigerRMSNorm"


@pytest.mark.perf(tier="quick")
def test_kernels(perf, generation):
    perf(generation(LLAMA, precision="bf16", kernels=NORM))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("kernels", ["", NORM], ids=["none", "RMSNorm"])
def test_kernels_in_bf16(perf, generation, kernels):
    perf(generation(LARGE, precision="bf16", kernels=kernels))


@pytest.mark.perf(tier="full")
def test_one_kernel_in_place_of_six(effect, generation):
    effect(
        generation(LARGE, precision="bf16"),
        generation(LARGE, precision="bf16", kernels=NORM),
        kernel_launches={"cuda": "< 0.9x"},
        near={"logits": 0.05},
    )
