"""A training step and a generation of 8 tokens on the card of this process, as a program of its own."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from perfgate.actor.devices.emulated import end_generation_by_length

end_generation_by_length()
model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=128, n_positions=64)).cuda()
ids = torch.ones(1, 8, dtype=torch.long).cuda()
optimizer = torch.optim.AdamW(model.parameters())
model(input_ids=ids, labels=ids).loss.backward()
optimizer.step()
optimizer.zero_grad()
torch.cuda.synchronize()
tokens = model.eval().generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
print(f"{torch.cuda.get_device_name()}: trained, {tokens.shape[1]} tokens")
