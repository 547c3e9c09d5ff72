"""Encoders: one forward pass over a batch, for masked words, classes, or embeddings of real sentences.

From https://huggingface.co/docs/transformers/model_doc/bert. The embedding model is all-MiniLM-L6-v2 with its real
weights and tokenizer (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
"""

import pytest

from fixtures.models import models, sentences

ENCODERS = [model for model in models().values() if "masked-lm" in model.classes]
EMBEDDERS = [model for model in models().values() if "embedding" in model.classes]


@pytest.mark.parametrize("task", ["masked-lm", "sequence-classification"])
@pytest.mark.parametrize("model", ENCODERS, ids=lambda model: model.name)
def test_encoders(perf, forward, model, task):
    perf(forward(model, task=task))


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("model", EMBEDDERS, ids=lambda model: model.name)
def test_embeddings(perf, forward, model, batch_size):
    perf(forward(model, sentences=sentences(), batch_size=batch_size))
