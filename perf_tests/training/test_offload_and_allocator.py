"""Offloading and the allocator: less memory of the device, at the price of time. Offloading moves tensors to the host's
memory, activations until the backward pass and optimizer state for good, and costs transfers. A chunked cross-entropy
never stores all logits of a large vocabulary, and computes no more. Expandable segments let the allocator enlarge its
segments, in place of asking for new ones, which later leave gaps.

From https://docs.pytorch.org/docs/stable/autograd.html#saved-tensors-hooks-utilities (save_on_cpu),
https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html,
https://github.com/pytorch/ao/tree/main/torchao/optim#optimizer-cpu-offload and
https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management. Only FSDP offloads parameters. On a CPU, device
and host have the same memory, so there is nothing to offload: the dry run predicts the memory of a GPU where it can,
and other cases are skipped. The chunked loss saves as much on a CPU.
"""

import pytest

from fixtures.models import models, reshaped

LLAMA = models()["llama-quick"]
GPT2 = models()["gpt2"]
LARGE_VOCABULARY = reshaped(LLAMA, vocab_size=8192, tie_word_embeddings=True)
SAVINGS = {"activations": {"activation_offload": True}, "optimizer": {"optimizer": "adamw_cpu_offload"}}


@pytest.mark.perf(tier="full")
def test_chunked_loss(perf, training):
    perf(training(LARGE_VOCABULARY, chunked_loss=True))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("offloaded", SAVINGS)
def test_offload(perf, training, offloaded):
    perf(training(LLAMA, **SAVINGS[offloaded]))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("allocator", ["default", "expandable_segments"])
def test_allocator(perf, training, allocator):
    perf(training(GPT2, batch_size=4, sequence_length=512, allocator=allocator))


@pytest.mark.perf(tier="quick")
def test_a_chunked_loss_never_holds_all_logits(effect, training):
    effect(
        training(LARGE_VOCABULARY),
        training(LARGE_VOCABULARY, chunked_loss=True),
        predicted_peak_bytes="< 0.7x",
        predicted_cuda_net_bytes="< 0.55x",
        peak_net_bytes={"cuda": "< 0.55x"},
        flops="> 0.9x and < 1.1x",
        near={"losses": 0.0001},
    )


@pytest.mark.perf(tier="quick", dry=True)
def test_offloaded_activations_leave_the_peak(effect, training):
    effect(
        training(LLAMA, batch_size=16),
        training(LLAMA, batch_size=16, activation_offload=True),
        predicted_cuda_net_bytes="< 0.55x",
    )


@pytest.mark.perf(tier="quick")
def test_offloaded_activations_are_transferred(effect, training):
    effect(
        training(LLAMA, batch_size=16),
        training(LLAMA, batch_size=16, activation_offload=True),
        peak_net_bytes={"cuda": "< 0.55x"},
        copies={"cuda": "> 2x"},
        step_time_s={"cuda": "> 1x"},
        near={"losses": 0.001},
    )


@pytest.mark.perf(tier="quick")
def test_an_offloaded_optimizer_leaves_the_peak(effect, training):
    setting = training(LLAMA, optimizer="adamw_cpu_offload")
    effect(training(LLAMA), setting, peak_net_bytes={"cuda": "< 0.85x"}, copies={"cuda": "> 2x"})


@pytest.mark.perf(tier="full")
def test_expandable_segments_reserve_less(effect, training):
    sizes = {"batch_size": 4, "sequence_length": 512}
    setting = training(GPT2, allocator="expandable_segments", **sizes)
    effect(training(GPT2, **sizes), setting, peak_reserved_bytes={"cuda": "< 1x"})
