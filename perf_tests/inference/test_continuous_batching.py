"""Continuous batching: requests of different lengths enter and leave a batch from one pass to the next; their keys and
values are stored in pages. Nothing is padded and no request waits for the longest of its batch, but each pass needs
bookkeeping.

From https://huggingface.co/docs/transformers/continuous_batching. It is compared with padded batches that work on the
same number of requests at once; the answers are the same. With a small model on a CPU the bookkeeping takes about as
much time as padding did. With a larger model on a GPU tokens per second rise. ``asynchronous`` prepares a pass while
the one before it still runs, which needs a GPU.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
MANY = {"requests": 64, "batch_size": 16, "prompt_length": 512, "new_tokens": 128}
CONTINUOUS = {"batching": "continuous"}
PREFIXES = {**CONTINUOUS, "shared_prefix": 96}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("batching", [pytest.param("padded", marks=pytest.mark.perf(tier="full")), "continuous"])
def test_mixed_lengths(perf, serving, batching):
    perf(serving(LLAMA, batching=batching))


@pytest.mark.perf(tier="quick")
def test_shared_prefixes(perf, serving):
    perf(serving(LLAMA, **PREFIXES, prefix_sharing=True))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_asynchronous(perf, serving, asynchronous):
    perf(serving(LARGE, precision="bf16", **MANY, **CONTINUOUS, asynchronous=asynchronous))


@pytest.mark.perf(tier="quick")
def test_nothing_is_padded_and_nobody_waits(effect, serving):
    effect(
        serving(LLAMA),
        serving(LLAMA, **CONTINUOUS),
        processed_tokens="< 0.75x",
        forward_calls="< 0.85x",
        tokens_per_s={"cpu": "> 0.8x"},
        same="tokens",
    )


@pytest.mark.perf(tier="quick")
def test_a_prefix_is_read_once(effect, serving):
    effect(
        serving(LLAMA, **PREFIXES),
        serving(LLAMA, **PREFIXES, prefix_sharing=True),
        processed_tokens="< 0.4x",
        same="tokens",
    )


@pytest.mark.perf(tier="full")
def test_ragged_requests_gain_tokens_a_second(effect, serving):
    effect(
        serving(LARGE, precision="bf16", **MANY),
        serving(LARGE, precision="bf16", **MANY, **CONTINUOUS),
        processed_tokens="< 0.75x",
        tokens_per_s={"cuda": "> 1.1x"},
    )


@pytest.mark.perf(tier="full")
def test_overlapped_passes_gain_tokens_a_second(effect, serving):
    effect(
        serving(LLAMA, **CONTINUOUS),
        serving(LLAMA, **CONTINUOUS, asynchronous=True),
        tokens_per_s={"cuda": "> 1.02x"},
        same="tokens",
    )
