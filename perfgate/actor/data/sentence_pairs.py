"""Reads pairs of sentences from an installed package, and numbers their words with a vocabulary made from them."""

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from perfgate.shared.model_files import origin_of, wrong_sum

PADDING, END, UNKNOWN, FIRST_WORD = 0, 1, 2, 3
IGNORED = -100  # the label of a token that is left out of the loss
CONTEXT = "\x04"  # separates a message's context from its text
WORDS = re.compile(r"\w+|[^\w\s]")


def read_pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    """All translated messages with their translations, each once, in the order of files and messages.

    Args:
        data: as ``perfgate.workloads.models.sentence_pairs.read_pairs`` returns it.

    Raises:
        FileNotFoundError: the package is not installed, or lacks a file.
        ValueError: a file differs from its pinned checksum.
    """
    folder = origin_of(data)
    if wrong := wrong_sum(folder, data):
        raise ValueError(wrong)
    found: dict[str, str] = {}
    for name in sorted(data["sha256"]):
        for key, translations in json.loads((folder / name).read_text(encoding="utf-8")).items():
            message = key.rpartition(CONTEXT)[2]
            if message and translations and translations[0]:
                found.setdefault(message, translations[0])
    return list(found.items())


def numbered(pairs: list[tuple[str, str]], vocabulary: int, length: int) -> list[tuple[list[int], list[int]]]:
    """Turn each sentence into a list of numbers, one for each word, with the number that marks its end.

    Both languages share one vocabulary, as in T5. The most frequent words have numbers of their own, and all other
    words share the number of the unknown word.

    Args:
        pairs: pairs of sentences.
        vocabulary: size of the vocabulary.
        length: the length to which longer sentences are cut, including the mark of the end.
    """
    split = [(WORDS.findall(source.lower()), WORDS.findall(target.lower())) for source, target in pairs]
    counts = Counter(word for pair in split for words in pair for word in words)
    common = sorted(counts, key=lambda word: (-counts[word], word))[: vocabulary - FIRST_WORD]
    numbers = {word: number for number, word in enumerate(common, FIRST_WORD)}

    def sentence(words: list[str]) -> list[int]:
        return [*(numbers.get(word, UNKNOWN) for word in words[: length - 1]), END]

    return [(sentence(source), sentence(target)) for source, target in split]


def pair_rows(data: dict[str, Any], vocabulary: int, rows: int, length: int, seed: int) -> Any:
    """Draw pairs of sentences at random, and return them as rows with the columns of ``ragged_rows``.

    Raises:
        ValueError: there are fewer pairs than rows.
    """
    pairs = numbered(read_pairs(data), vocabulary, length)
    if len(pairs) < rows:
        raise ValueError(f"{data['package']} has {len(pairs)} pairs; a step reads {rows}")
    chosen = [pairs[position] for position in np.random.default_rng(seed).permutation(len(pairs))[:rows]]
    return Dataset.from_dict(
        {
            "input_ids": [source for source, _ in chosen],
            "attention_mask": [[1] * len(source) for source, _ in chosen],
            "labels": [target for _, target in chosen],
            "length": [len(source) for source, _ in chosen],
        }
    )


def pair_prompts(data: dict[str, Any], vocabulary: int, batch_size: int, length: int) -> dict[str, Any]:
    """A batch of sentences to translate, padded on the right to the longest of them."""
    sources = pair_rows(data, vocabulary, batch_size, length, 0)["input_ids"]
    tokens = [torch.tensor(source) for source in sources]
    ids = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=PADDING)
    return {"input_ids": ids, "attention_mask": (ids != PADDING).long()}
