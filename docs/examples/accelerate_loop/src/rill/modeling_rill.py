"""A decoder whose mask is made once, when the model is built."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from rill.configuration_rill import RillConfig


class Block(nn.Module):
    """Attention, then a small network, each added to its input."""

    def __init__(self, config):
        super().__init__()
        size, self.heads = config.hidden_size, config.num_heads
        self.norm_before, self.norm_after = nn.LayerNorm(size), nn.LayerNorm(size)
        self.projected, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, hidden, mask):
        parts = self.projected(self.norm_before(hidden)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + self.out(mixed.transpose(1, 2).flatten(2))
        return hidden + self.down(gelu(self.up(self.norm_after(hidden))))


class RillForCausalLM(PreTrainedModel):
    config_class = RillConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        mask = torch.ones(config.max_length, config.max_length, dtype=torch.bool).tril()
        self.register_buffer("mask", mask, persistent=False)
        self.post_init()

    def forward(self, input_ids, labels=None, **_):
        length = input_ids.shape[1]
        mask = self.mask[:length, :length]
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden, mask)
        logits = self.head(hidden)
        loss = None
        if labels is not None:
            loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)
