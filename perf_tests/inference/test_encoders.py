"""Encoders: one forward pass over a batch, for masked words, classes, or embeddings of real sentences.

From https://huggingface.co/docs/transformers/model_doc/bert. The embedding model is all-MiniLM-L6-v2 with its real
weights and tokenizer (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2). All tokens are read at once. Work
grows a little faster than the length of the sequence, because the work of attention grows with its square. The head for
masked words multiplies each token by the whole vocabulary, and the head for classes takes one small product a sequence.
A batch of texts of different lengths is padded: padding costs as much as text, and a mask that hides it costs more
operators than one of ones.
"""

import pytest

from fixtures.models import models, sentences

BERT = models()["bert-quick"]
ENCODERS = [model for model in models().values() if "masked-lm" in model.classes]
EMBEDDERS = [model for model in models().values() if "embedding" in model.classes]


@pytest.mark.parametrize("task", ["masked-lm", "sequence-classification"])
@pytest.mark.parametrize("model", ENCODERS, ids=lambda model: model.name)
def test_encoders(perf, forward, model, task):
    perf(forward(model, task=task))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("inputs", [{"padded": 0.25}, {"mask": "none"}], ids=["padded", "unmasked"])
def test_encoders_by_mask(perf, forward, inputs):
    perf(forward(BERT, **inputs))


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("model", EMBEDDERS, ids=lambda model: model.name)
def test_embeddings(perf, forward, model, batch_size):
    perf(forward(model, sentences=sentences(), batch_size=batch_size))


@pytest.mark.perf(tier="quick")
def test_work_grows_a_little_faster_than_the_sequence(effect, forward):
    effect(
        forward(BERT, sequence_length=128),
        forward(BERT, sequence_length=512),
        flops="> 4x and < 8x",
        operator_calls="< 1.01x",
        weights_bytes="< 1.001x",
    )


@pytest.mark.perf(tier="quick")
def test_masked_words_cost_a_product_with_the_vocabulary(effect, forward):
    effect(forward(BERT, task="sequence-classification"), forward(BERT, task="masked-lm"), flops="> 1.2x and < 1.6x")


@pytest.mark.perf(tier="quick")
def test_padding_is_computed_on_like_text(effect, forward):
    effect(forward(BERT), forward(BERT, padded=0.25), flops="> 0.999x and < 1.001x", operator_calls="> 1.1x and < 1.5x")
