"""Fine-tuning: real weights trained on real conversations, through the model's own tokenizer and chat template.

From https://huggingface.co/docs/transformers/training and https://huggingface.co/docs/transformers/chat_templating.
Conversations stand one after the other in samples of one length, so no token is padding.
"""

import pytest

from fixtures.models import conversations, real_models


@pytest.mark.parametrize("model", real_models(), ids=lambda model: model.name)
def test_fine_tuning(perf, training, model):
    perf(training(model, data=conversations(), batch_size=1))
