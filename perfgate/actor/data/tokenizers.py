"""Makes texts of random words, and tokenizers for them that need no download."""

import random
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

LETTERS = "etaoinshrdlu"
KNOWN_WORDS = 500
VOCABULARY = 1024
ADDED = "<added_"  # the beginning of added tokens
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def random_texts(count: int, words: int, seed: int) -> list[str]:
    """Texts of this many words each, drawn from a small vocabulary of random words."""
    source = random.Random(seed)
    known = ["".join(source.choices(LETTERS, k=source.randint(2, 9))) for _ in range(KNOWN_WORDS)]
    return [" ".join(source.choices(known, k=words)) for _ in range(count)]


def made_tokenizer(kind: str, texts: list[str], added_tokens: int) -> Any:
    """A tokenizer of transformers with a chat template.

    Args:
        kind: ``fast`` for byte-level BPE in Rust, trained on the texts; ``slow`` for bytes in Python.
        texts: the texts on which a fast tokenizer is trained.
        added_tokens: number of tokens to add to the vocabulary.
    """
    if kind == "fast":
        tokenizer: Any = PreTrainedTokenizerFast(
            tokenizer_object=trained(texts), pad_token="<pad>", eos_token="<eos>", model_max_length=2**20
        )
    else:
        tokenizer = ByT5Tokenizer(model_max_length=2**20)
    tokenizer.add_tokens([f"{ADDED}{number}>" for number in range(added_tokens)])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def trained(texts: list[str]) -> Any:
    """Byte-level BPE with 1,024 tokens."""
    tokenizer = Tokenizer(models.BPE())
    splitter: Any = pre_tokenizers.ByteLevel
    tokenizer.pre_tokenizer = splitter(add_prefix_space=False)
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<pad>", "<eos>"],
            initial_alphabet=splitter.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer
