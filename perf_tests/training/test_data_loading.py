"""Data loading: samples of different lengths are padded to the longest of their batch, and padding is computed on like
text. Batches of similar lengths have less of it and packed ones none, at the price of a less random order or of a mask.

From https://huggingface.co/docs/transformers/main_classes/trainer (``train_sampling_strategy``, ``dataloader_*``),
https://huggingface.co/docs/transformers/main_classes/data_collator (``DataCollatorWithFlattening``) and
https://huggingface.co/docs/transformers/perf_train_gpu_one. Lengths are log-normal: the median is a quarter of the
longest, 0.75 the standard deviation of their logarithm. Each step reads the whole data set in micro-batches, so all
steps have the same tokens, and differ in padding alone. With ``padded`` each sample is padded to ``sequence_length``
before training begins, as a tokenizer does with ``padding="max_length"``; with ``mask="none"`` a model is told of no
padding, and so may choose a faster attention.

On a CPU time follows the tokens that are computed on. On a GPU it does so where these keep it busy; packing pays off
fully with FlashAttention, which skips what the mask of other kernels hides, and workers and pinned memory hide the
time in which the host puts batches together. Workers gain nothing here, because they share one core with the training.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]  # without dropout, so that losses can be compared
GPT2, BERT, T5 = (models()[name] for name in ("gpt2-quick", "bert-quick", "t5-quick"))
RAGGED = {"lengths": "log-normal", "batch_size": 4, "gradient_accumulation": 4, "sequence_length": 128}
FULL = pytest.mark.perf(tier="full")


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("sampling", ["random", "group_by_length", pytest.param("batch_rebalance", marks=FULL)])
def test_sampling(perf, training, sampling):
    perf(training(LLAMA, sampling=sampling, **RAGGED))


@pytest.mark.perf(tier="quick")
def test_packing(perf, training):
    perf(training(LLAMA, packing=True, **RAGGED))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("model", [BERT, T5], ids=lambda model: model.name)
def test_padded(perf, training, model):
    perf(training(model, padded=0.25))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("model", [GPT2, LLAMA], ids=lambda model: model.name)
def test_without_mask_or_cache(perf, training, model):
    perf(training(model, loop="accelerate", mask="none", use_cache=False))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("multiple", [8, 64])
def test_pad_to_multiple_of(perf, training, multiple):
    perf(training(LLAMA, pad_to_multiple_of=multiple, **RAGGED))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("workers", [pytest.param(0, marks=FULL), pytest.param(1, marks=FULL), 2])
def test_workers(perf, training, workers):
    perf(training(LLAMA, workers=workers))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("prefetch", [1, 8])
def test_prefetch(perf, training, prefetch):
    perf(training(LLAMA, workers=1, prefetch=prefetch))


@pytest.mark.perf(tier="quick")
def test_pin_memory(perf, training):
    perf(training(LLAMA, workers=1, pin_memory=True))


@pytest.mark.perf(tier="quick")
def test_like_lengths_together_save_padding(effect, training):
    effect(
        training(LLAMA, **RAGGED),
        training(LLAMA, sampling="group_by_length", **RAGGED),
        padded_tokens="< 0.6x",
        flops="< 0.85x",
        tokens_per_s={"cpu": "> 1.1x", "cuda": "> 0.95x"},
        near={"losses": 0.001},
    )


@pytest.mark.perf(tier="quick")
def test_rebalanced_batches_save_memory(effect, training):
    effect(
        training(LLAMA, sampling="group_by_length", **RAGGED),
        training(LLAMA, sampling="batch_rebalance", **RAGGED),
        padded_tokens="< 0.9x",
        activations_bytes="< 0.8x",
        near={"losses": 0.001},
    )


@pytest.mark.perf(tier="quick")
def test_packed_samples_need_no_padding_and_do_not_see_each_other(effect, training):
    effect(
        training(LLAMA, **RAGGED),
        training(LLAMA, packing=True, **RAGGED),
        padded_tokens="< 0.01x",
        flops="< 0.8x",
        tokens_per_s={"cpu": "> 1.2x", "cuda": "> 1x"},
        near={"losses": 0.001},
    )


@pytest.mark.perf(tier="quick")
def test_padding_to_multiples_costs_little(effect, training):
    effect(
        training(LLAMA, **RAGGED),
        training(LLAMA, pad_to_multiple_of=8, **RAGGED),
        padded_tokens="> 1x and < 1.25x",
        step_time_s={"cuda": "< 1.1x"},
        near={"losses": 0.001},
    )
