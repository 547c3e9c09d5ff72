"""Fine-tunes a chat model on conversations, in full or by LoRA: python train.py --lora-rank 8"""

import argparse

import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, ByT5Tokenizer, LlamaConfig

SIZES = {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 2, "num_attention_heads": 4}
CHAT = [
    ("What is %d times 7?", "It is %d."),
    ("Which number follows %d in steps of 7, and why?", "That is %d, plus 7."),
]
IGNORED = -100  # labels without a loss


def parse(arguments=None):
    """The options of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lora-rank", type=int, default=0, help="0: all weights are trained")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(arguments)


def tokenized(tokenizer, count):
    """Conversations as token ids; only the answers have a loss."""
    for number in range(count):
        question, answer = (
            tokenizer(text % (number if asked else 7 * number), add_special_tokens=not asked)["input_ids"]
            for text, asked in zip(CHAT[number % 2], (True, False), strict=True)
        )
        yield {"input_ids": question + answer, "labels": [IGNORED] * len(question) + answer}


def padded(rows):
    """A batch of rows, each as long as the longest."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids, labels, mask = (
        torch.tensor([[*values, *[fill] * (longest - len(values))] for values in found])
        for found, fill in (
            ([row["input_ids"] for row in rows], 0),
            ([row["labels"] for row in rows], IGNORED),
            ([[1] * len(row["labels"]) for row in rows], 0),
        )
    )
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def prepare(options):
    """The model, its optimizer and its batches."""
    tokenizer = ByT5Tokenizer()
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=len(tokenizer), **SIZES))
    if options.lora_rank:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=options.lora_rank, task_type="CAUSAL_LM"))
    model.to(options.device).train()
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-3)
    rows = list(tokenized(tokenizer, 64))
    return model, optimizer, DataLoader(rows, batch_size=options.batch_size, shuffle=True, collate_fn=padded)


def train(model, optimizer, batches, device):
    """One epoch."""
    total = torch.zeros((), device=device)
    for number, batch in enumerate(batches, 1):
        loss = model(**{name: values.to(device) for name, values in batch.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.detach()
        if number % 10 == 0:
            print(f"step {number}: mean loss {total.item() / number:.3f}")


if __name__ == "__main__":
    options = parse()
    parts = prepare(options)
    for _ in range(options.epochs):
        train(*parts, options.device)
