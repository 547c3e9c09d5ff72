"""Makes GPT-2 take more memory from outside: every block keeps copies of the input and output of its feed-forward part.

Loaded with ``-o perf_preload=hungry_forward`` and this folder on ``PYTHONPATH``.
"""

from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

original = GPT2MLP.forward


def forward(self, hidden_states):
    result = original(self, hidden_states)
    self.kept = hidden_states.detach().clone(), result.detach().clone()
    return result


GPT2MLP.forward = forward
