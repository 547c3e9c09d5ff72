"""Random inputs of programs: tokens in a ``datasets.Dataset``, images, sound, requests; all from a seed."""

from typing import Any

import numpy as np
import torch
from datasets import Dataset

from perfgate.actor.request import ServingSettings

DATASET_STEPS = 16


def training_layout(config: Any, task: str, length: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The columns of a training sample: shape, and how many values an integer may take from 0 or 1 on.

    Args:
        config: the model's configuration.
        task: ``causal-lm``, ``masked-lm``, ``seq2seq-lm``, ``sequence-classification`` or ``image-classification``.
        length: tokens a sample.

    Returns:
        By column its shape and its range ``(low, high)``; ``None`` in place of the range for real numbers.
    """
    tokens = ((length,), (1, getattr(config, "vocab_size", 0)))
    classes = ((), (0, config.num_labels))
    if task == "image-classification":
        return {"pixel_values": (image_shape(config), None), "labels": classes}
    if hasattr(config, "num_mel_bins"):
        return {"input_features": (sound_shape(config), None), "labels": tokens}
    labels = classes if task == "sequence-classification" else tokens
    return {"input_ids": tokens, "attention_mask": ((length,), (1, 2)), "labels": labels}


def sound_shape(config: Any) -> tuple[int, int]:
    """Mel bins and frames: Whisper reads 30 s, whatever is spoken, and halves the frames on the way."""
    return config.num_mel_bins, 2 * config.max_source_positions


def image_shape(config: Any) -> tuple[int, int, int]:
    """Channels, height and width."""
    return config.num_channels, config.image_size, config.image_size


def training_columns(config: Any, task: str, rows: int, length: int, seed: int) -> dict[str, Any]:
    """Random rows in the layout of the task, as arrays."""
    source = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for name, (shape, bounds) in training_layout(config, task, length).items():
        if name == "labels" and task == "causal-lm":
            columns[name] = columns["input_ids"]
        elif bounds is None:
            columns[name] = source.standard_normal((rows, *shape), dtype=np.float32)
        else:
            columns[name] = source.integers(bounds[0], bounds[1], size=(rows, *shape))
    return columns


class Samples(torch.utils.data.Dataset[Any]):
    """Samples of images or sound, held as tensors: as a ``datasets.Dataset`` they take minutes to make.

    Args:
        columns: arrays by name.
    """

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = {name: torch.from_numpy(values) for name, values in columns.items()}

    def __len__(self) -> int:
        return len(self._columns["labels"])

    def __getitem__(self, position: int) -> dict[str, Any]:
        return {name: values[position] for name, values in self._columns.items()}


def training_rows(config: Any, task: str, rows: int, length: int, seed: int) -> Any:
    """Random samples with the labels that the task wants, for ``Trainer`` or a ``DataLoader``.

    Args:
        config: the model's configuration.
        task: as for ``training_layout``.
        rows: how many samples.
        length: tokens a sample.
        seed: of the values.
    """
    columns = training_columns(config, task, rows, length, seed)
    if "input_ids" not in columns:
        return Samples(columns)
    return Dataset.from_dict(columns).with_format("torch")


def ragged_prompts(vocabulary: int, batch_size: int, length: int, seed: int) -> tuple[dict[str, Any], int]:
    """Prompts padded on the left, as batched generation wants them, and how many tokens are real.

    The first prompt has the full length; the others' lengths are spread evenly between half of it and all of it.
    """
    source = np.random.default_rng(seed)
    lengths = np.linspace(length, length / 2, batch_size).round().astype(int)
    tokens = torch.from_numpy(source.integers(1, vocabulary, (batch_size, length)))
    mask = torch.from_numpy((np.arange(length) >= length - lengths[:, None]).astype(np.int64))
    return {"input_ids": tokens * mask, "attention_mask": mask}, int(lengths.sum())


class Requests:
    """Requests that come together: prompts of different lengths, each with how many tokens it asks for.

    Prompts have from an eighth of the longest to all of its tokens, answers from a quarter to all, both spread evenly
    and in a random order. The prefix that all prompts share stays the same. The rest is drawn anew each time, as a
    cache of prefixes would answer a repeated text from memory.

    Args:
        chosen: how many requests, and the tokens of the longest prompt, of the longest answer, and of the prefix.
        vocabulary: tokens are drawn from 1 up to it.
        seed: of everything that is drawn.
    """

    def __init__(self, chosen: ServingSettings, vocabulary: int, seed: int) -> None:
        count, new_tokens = chosen.requests, chosen.new_tokens
        self._source = source = np.random.default_rng(seed)
        self._vocabulary = vocabulary
        own = chosen.prompt_length - chosen.shared_prefix
        self._own = source.permutation(np.linspace(own, own / 8, count).round().astype(int).clip(1))
        self._prefix = source.integers(1, vocabulary, chosen.shared_prefix).tolist()
        self.new_tokens = source.permutation(np.linspace(new_tokens, new_tokens / 4, count).round().astype(int).clip(1))

    def draw(self) -> list[tuple[list[int], int]]:
        """The next prompts, each with its number of new tokens."""
        pieces = np.split(self._source.integers(1, self._vocabulary, self._own.sum()), self._own.cumsum()[:-1])
        prompts = [self._prefix + piece.tolist() for piece in pieces]
        return list(zip(prompts, self.new_tokens.tolist(), strict=True))


def padded(prompts: list[list[int]]) -> dict[str, Any]:
    """Prompts as one batch, padded on the left to the longest of them."""
    length = max(map(len, prompts))
    tokens = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": tokens, "attention_mask": mask}


def generation_inputs(config: Any, batch_size: int, length: int, seed: int) -> dict[str, Any]:
    """What ``generate`` reads: prompts, or sound for a model that listens."""
    if hasattr(config, "num_mel_bins"):
        return {"input_features": noise(batch_size, *sound_shape(config), seed=seed)}
    return ragged_prompts(config.vocab_size, batch_size, length, seed)[0]


def random_batch(config: Any, task: str, batch_size: int, length: int, seed: int) -> dict[str, Any]:
    """A full batch: random tokens, taken out of a ``Dataset`` as a user would, or images."""
    if task == "image-classification":
        return {"pixel_values": noise(batch_size, *image_shape(config), seed=seed)}
    source = np.random.default_rng(seed)
    tokens = source.integers(1, config.vocab_size, (batch_size, length))
    rows = Dataset.from_dict({"input_ids": tokens, "attention_mask": np.ones_like(tokens)}).with_format("torch")
    return dict(rows[:batch_size])


def noise(*shape: int, seed: int) -> Any:
    """Real numbers in place of pixels or sound, in memory of torch's own, which the memory pass knows."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)).clone()


def sentence_batch(tokenizer: Any, sentences: list[str], batch_size: int, length: int) -> dict[str, Any]:
    """Real sentences, repeated to fill the batch, padded to the longest of them."""
    repeated = [sentences[index % len(sentences)] for index in range(batch_size)]
    rows = Dataset.from_dict({"text": repeated})
    return dict(tokenizer(rows["text"][:], padding=True, truncation=True, max_length=length, return_tensors="pt"))
