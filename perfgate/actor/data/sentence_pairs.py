"""Pairs of sentences out of an installed package, in words of a vocabulary that is built from them."""

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from perfgate.shared.model_files import origin_of, wrong_sum

PADDING, END, UNKNOWN, FIRST_WORD = 0, 1, 2, 3
IGNORED = -100  # in labels
CONTEXT = "\x04"  # stands between a message's context and its text
WORDS = re.compile(r"\w+|[^\w\s]")


def read_pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    """All messages that are translated, in the order of files and messages, each once.

    Args:
        data: as ``perfgate.models.sentence_pairs.read_pairs`` returns it.

    Raises:
        FileNotFoundError: the package is not installed, or a file is not in it.
        ValueError: a file is not the one that was pinned.
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
    """Sentences as numbers of words, each with its end.

    Both languages share the numbers, as a T5 does; the most frequent words have one, all others that of the unknown.

    Args:
        pairs: of sentences.
        vocabulary: how many numbers there are.
        length: the longest that is kept of a sentence, its end included.
    """
    split = [(WORDS.findall(source.lower()), WORDS.findall(target.lower())) for source, target in pairs]
    counts = Counter(word for pair in split for words in pair for word in words)
    common = sorted(counts, key=lambda word: (-counts[word], word))[: vocabulary - FIRST_WORD]
    numbers = {word: number for number, word in enumerate(common, FIRST_WORD)}

    def sentence(words: list[str]) -> list[int]:
        return [*(numbers.get(word, UNKNOWN) for word in words[: length - 1]), END]

    return [(sentence(source), sentence(target)) for source, target in split]


def pair_rows(data: dict[str, Any], vocabulary: int, rows: int, length: int, seed: int) -> Any:
    """Random ones of the pairs, as rows with the columns of ``ragged_rows``.

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
    """Sentences to translate, padded on the right to the longest of them, as an encoder reads them."""
    sources = pair_rows(data, vocabulary, batch_size, length, 0)["input_ids"]
    tokens = [torch.tensor(source) for source in sources]
    ids = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=PADDING)
    return {"input_ids": ids, "attention_mask": (ids != PADDING).long()}
