"""This repository's own training loop, over accelerate: python -m rill.training"""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from rill import RillConfig, RillForCausalLM


class Loop:
    """Everything that a step of training needs."""

    def __init__(self, config, batch_size, length=64, accumulation=2, cpu=False):
        self.accelerator = Accelerator(cpu=cpu, gradient_accumulation_steps=accumulation)
        self.accumulation = accumulation
        model = RillForCausalLM(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        source = torch.Generator().manual_seed(0)
        rows = torch.randint(config.vocab_size, (16 * batch_size, length), generator=source)
        loader = DataLoader(rows, batch_size=batch_size)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(model.train(), optimizer, loader)
        self.batches = self.forever()

    def forever(self):
        """Batch after batch, epoch after epoch."""
        while True:
            yield from self.loader

    def step(self):
        """One update of the weights; returns the loss of its last batch."""
        for _ in range(self.accumulation):
            rows = next(self.batches)
            with self.accelerator.accumulate(self.model):
                loss = self.model(input_ids=rows, labels=rows).loss
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.optimizer.zero_grad()
        return loss.detach()


if __name__ == "__main__":
    loop = Loop(RillConfig(), batch_size=8)
    for number in range(1, 51):
        loss = loop.step()
        if number % 10 == 0:
            loop.accelerator.print(f"step {number}: loss {loss.item():.3f}")
