"""The standard tier of training, which a run on a GPU measures unless it names another tier.

Each row says why it is measured. A row is here because users train so, on shapes that keep a GPU busy, or because it is
the one witness of a loop in which the GPU waits for the host. Sweeps around these rows are in the files of the
techniques, in tier ``full``. Expect a GPU to be busy in all rows but those that are called ``host``.
"""

import pytest

from fixtures.models import models

GPT2, BERT, LLAMA, QWEN3 = (models()[name] for name in ("gpt2", "bert-large-uncased", "Llama-3.2-1B", "Qwen3-0.6B"))
T5, VIT, WHISPER = (models()[name] for name in ("t5-base", "vit-base", "whisper-small"))
AMP = {"precision": "bf16-amp"}
SENTENCES = {**AMP, "batch_size": 32, "sequence_length": 512}
BF16 = {"precision": "bf16", "batch_size": 1}
CASES = {
    # 124M weights, the size on which most changes of a training loop are tried first.
    "gpt2-512": (GPT2, SENTENCES),
    "gpt2-1024": (GPT2, {**AMP, "batch_size": 16, "sequence_length": 1024}),
    "gpt2-checkpointing": (GPT2, {**AMP, "batch_size": 16, "sequence_length": 1024, "activation_checkpointing": True}),
    "gpt2-accumulation": (GPT2, {**AMP, "sequence_length": 1024, "batch_size": 16, "gradient_accumulation": 2}),
    "gpt2-fused": (GPT2, {**AMP, "batch_size": 16, "sequence_length": 1024, "optimizer": "adamw_torch_fused"}),
    "gpt2-compiled": (GPT2, {**AMP, "batch_size": 16, "sequence_length": 1024, "compile": "default"}),
    # An encoder of 340M weights; the tutorial trains it.
    "bert-large": (BERT, SENTENCES),
    # Weights in 16 bits and long samples, as large models are fine-tuned.
    "qwen3-2048": (QWEN3, {**BF16, "batch_size": 4, "sequence_length": 2048}),
    "llama-2048": (LLAMA, {**BF16, "sequence_length": 2048}),
    "llama-checkpointing": (LLAMA, {**BF16, "sequence_length": 4096, "activation_checkpointing": True}),
    "llama-8-bit-adamw": (LLAMA, {**BF16, "sequence_length": 2048, "optimizer": "adamw_bnb_8bit"}),
    "llama-lora": (LLAMA, {**BF16, "sequence_length": 2048, "lora_rank": 8}),
    # peft keeps what is not quantized in 32 bits, so bf16 can only be mixed in.
    "llama-qlora": (LLAMA, {**BF16, **AMP, "sequence_length": 2048, "lora_rank": 8, "quantization": "nf4"}),
    # Other architectures: encoder and decoder, images, sound.
    "t5-base": (T5, {**SENTENCES, "loop": "seq2seq-trainer"}),
    "vit-base": (VIT, {**AMP, "batch_size": 128}),
    "whisper-small": (WHISPER, {**AMP, "batch_size": 16}),
    # Witnesses of host-bound steps: so little work that the step takes as long as the host's part of it.
    "host-trainer": (GPT2, {**AMP, "batch_size": 1, "sequence_length": 64}),
    "host-accelerate": (GPT2, {**AMP, "batch_size": 1, "sequence_length": 64, "loop": "accelerate"}),
    "host-seq2seq-trainer": (T5, {**AMP, "batch_size": 1, "sequence_length": 64, "loop": "seq2seq-trainer"}),
}


@pytest.mark.perf(tier="standard")
@pytest.mark.parametrize("name", CASES)
def test_training_on_a_gpu(perf, training, name):
    model, settings = CASES[name]
    perf(training(model, **settings))
