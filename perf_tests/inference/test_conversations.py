"""Conversations: real weights answer real questions, which the model's own chat template writes into prompts.

From https://huggingface.co/docs/transformers/conversations. Answers have a fixed number of tokens, so that the work
does not depend on the text.
"""

import pytest

from fixtures.models import questions, real_models


@pytest.mark.parametrize("model", real_models(), ids=lambda model: model.name)
def test_conversations(perf, generation, model):
    perf(generation(model, prompts=questions(), batch_size=2, new_tokens=8))
