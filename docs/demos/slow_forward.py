"""Makes GPT-2 slower from outside: every block computes its feed-forward part six more times and drops the results.

Loaded with ``-o perf_preload=slow_forward`` and this folder on ``PYTHONPATH``.
"""

import torch
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

original = GPT2MLP.forward


def forward(self, hidden_states):
    with torch.no_grad():
        for _ in range(6):
            original(self, hidden_states)
    return original(self, hidden_states)


GPT2MLP.forward = forward
