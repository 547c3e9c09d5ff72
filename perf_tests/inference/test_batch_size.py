"""Batch size of generation: more sequences share each reading of the weights, so tokens a second grow and the time
for each token hardly does, until the device is busy.

From https://huggingface.co/docs/transformers/llm_optims. Prompts are ragged and padded on the left.
"""

import pytest


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_batch_size(perf, generation, model, batch_size):
    perf(generation(model, batch_size=batch_size))
