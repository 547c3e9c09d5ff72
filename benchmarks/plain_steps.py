"""Two steps in ordinary user code without Perfgate: training a two-layer GPT-2, and 16 tokens of a Llama."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from perfgate.actor.programs.base import Program

GPT2 = {"vocab_size": 1024, "n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 1024}
LLAMA = {
    "vocab_size": 1024,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 352,
    "max_position_embeddings": 1024,
}
TOKENS = 16


class Training(Program):
    """Forward, backward and AdamW over 2 x 32 tokens."""

    def __init__(self, device):
        torch.manual_seed(0)
        self.network = GPT2LMHeadModel(GPT2Config(**GPT2)).train().to(device.torch_device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4)
        self.ids = torch.randint(GPT2["vocab_size"], (2, 32)).to(device.torch_device)

    def step(self):
        self.optimizer.zero_grad()
        loss = self.network(input_ids=self.ids, labels=self.ids).loss
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Generation(Program):
    """As many new tokens as the prompt has."""

    def __init__(self, device):
        torch.manual_seed(0)
        self.network = LlamaForCausalLM(LlamaConfig(**LLAMA)).eval().to(device.torch_device)
        self.ids = torch.randint(LLAMA["vocab_size"], (1, TOKENS)).to(device.torch_device)

    def step(self):
        lengths = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS}
        with torch.no_grad():
            self.network.generate(self.ids, **lengths, do_sample=False, pad_token_id=0)
