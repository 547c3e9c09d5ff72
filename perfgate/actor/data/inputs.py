"""Makes random inputs of programs from a seed: tokens in a ``datasets.Dataset``, images, sound and requests."""

from typing import Any

import numpy as np
import torch
from datasets import Dataset

from perfgate.actor.request import ForwardSettings, GenerationSettings, ServingSettings

DATASET_STEPS = 16
IGNORED = -100  # the label of a token that is left out of the loss


def training_layout(config: Any, task: str, length: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The columns of a training sample: each column's shape, and the range of its integers.

    Args:
        config: the model's configuration.
        task: ``causal-lm``, ``masked-lm``, ``seq2seq-lm``, ``sequence-classification`` or ``image-classification``.
        length: tokens a sample.

    Returns:
        By column, its shape and its range ``(low, high)``, or ``None`` in place of the range if it holds real numbers.
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
    """The numbers of mel bins and frames. Whisper always reads 30 s of sound, and its encoder halves the frames."""
    return config.num_mel_bins, 2 * config.max_source_positions


def image_shape(config: Any) -> tuple[int, int, int]:
    """The numbers of channels, rows and columns of an image."""
    return config.num_channels, config.image_size, config.image_size


def training_columns(config: Any, task: str, rows: int, length: int, seed: int) -> dict[str, Any]:
    """Random training samples: an array for each column of ``training_layout``."""
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
    """A data set of images or sound, held as tensors. Making a ``datasets.Dataset`` of them takes minutes.

    Args:
        columns: arrays by name.
    """

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = {name: torch.from_numpy(values) for name, values in columns.items()}

    def __len__(self) -> int:
        return len(self._columns["labels"])

    def __getitem__(self, position: int) -> dict[str, Any]:
        return {name: values[position] for name, values in self._columns.items()}


def training_rows(
    config: Any, task: str, rows: int, length: int, seed: int, padded: float = 0.0, masked: bool = True
) -> Any:
    """Random samples with the labels of the task, for ``Trainer`` or a ``DataLoader``.

    Args:
        config: the model's configuration.
        task: as for ``training_layout``.
        rows: number of samples.
        length: tokens in each sample, with its padding, as a tokenizer writes them with ``padding="max_length"``.
        seed: the seed of all values.
        padded: the share of all tokens that is padding, behind the real ones.
        masked: whether there is a mask.
    """
    columns = training_columns(config, task, rows, length, seed)
    if "input_ids" not in columns:
        return Samples(columns)
    if padded:
        mask = padding_mask(spread(length, rows, padded), length)
        columns |= {"attention_mask": mask, "input_ids": pad(columns["input_ids"], mask, config)}
        if columns["labels"].shape == mask.shape:
            columns["labels"] = np.where(mask, columns["labels"], IGNORED)
    if not masked:
        del columns["attention_mask"]
    return Dataset.from_dict(columns).with_format("torch")


def spread(length: int, count: int, padded: float) -> Any:
    """Lengths of samples: the first is the full length, the others fall evenly so that this share is padding."""
    return np.linspace(length, length * (1 - 2 * padded), count).round().astype(int).clip(1)


def padding_mask(lengths: Any, length: int, left: bool = False) -> Any:
    """A mask for samples of these lengths, one row each: 1 for real tokens and 0 for padding."""
    places = np.arange(length)
    real = places >= length - lengths[:, None] if left else places < lengths[:, None]
    return real.astype(np.int64)


def pad(tokens: Any, mask: Any, config: Any) -> Any:
    """Tokens with the model's padding token wherever a mask is 0, or with 0 if the model has none."""
    return np.where(mask, tokens, getattr(config, "pad_token_id", None) or 0)


def ragged_prompts(
    vocabulary: int, batch_size: int, length: int, seed: int, padded: float = 0.25, left: bool = True
) -> tuple[dict[str, Any], int]:
    """Prompts of different lengths, padded with token 0, and how many tokens are real.

    Args:
        vocabulary: tokens are drawn from 1 up to it.
        batch_size: the number of prompts.
        length: tokens of the first prompt, which is the longest; the others' lengths come down evenly from it.
        seed: the seed of the tokens.
        padded: share of all tokens that is padding.
        left: whether the padding comes before the prompts, as for generation, or after them.
    """
    source = np.random.default_rng(seed)
    lengths = spread(length, batch_size, padded)
    tokens = torch.from_numpy(source.integers(1, vocabulary, (batch_size, length)))
    mask = torch.from_numpy(padding_mask(lengths, length, left))
    return {"input_ids": tokens * mask, "attention_mask": mask}, int(lengths.sum())


class Requests:
    """Requests that arrive together: prompts of different lengths, each with the number of tokens to generate.

    The shortest prompt is an eighth as long as the longest, and the shortest answer a quarter as long as the longest;
    lengths are spread evenly between these, in a random order. All prompts begin with the same prefix. The rest is
    drawn anew each time, because a cache of prefixes would answer a repeated prompt from memory.

    Args:
        chosen: the number of requests, and the numbers of tokens of the longest prompt, the longest answer and the
            prefix.
        vocabulary: tokens are drawn from 1 up to this number.
        seed: the seed of lengths and tokens.
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
        """Draw the next prompts, each with its number of tokens to generate."""
        pieces = np.split(self._source.integers(1, self._vocabulary, self._own.sum()), self._own.cumsum()[:-1])
        prompts = [self._prefix + piece.tolist() for piece in pieces]
        return list(zip(prompts, self.new_tokens.tolist(), strict=True))


def padded(prompts: list[list[int]]) -> dict[str, Any]:
    """Make one batch of several prompts, padded on the left to the longest of them."""
    length = max(map(len, prompts))
    tokens = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": tokens, "attention_mask": mask}


def generation_inputs(config: Any, chosen: GenerationSettings, seed: int) -> dict[str, Any]:
    """The inputs of ``generate``: prompts, or sound for a speech model. An encoder's prompts end with padding."""
    batch_size, left = chosen.batch_size, not config.is_encoder_decoder
    if hasattr(config, "num_mel_bins"):
        return {"input_features": noise(batch_size, *sound_shape(config), seed=seed)}
    found, _ = ragged_prompts(config.vocab_size, batch_size, chosen.prompt_length, seed, chosen.padded, left)
    return found if chosen.mask == "given" else without_mask(found)


def random_batch(config: Any, task: str, chosen: ForwardSettings, seed: int) -> dict[str, Any]:
    """A batch of random images, or of random tokens that are read from a ``Dataset`` as a user would do."""
    batch_size, length = chosen.batch_size, chosen.sequence_length
    if task == "image-classification":
        return {"pixel_values": noise(batch_size, *image_shape(config), seed=seed)}
    source = np.random.default_rng(seed)
    mask = padding_mask(spread(length, batch_size, chosen.padded), length)
    tokens = pad(source.integers(1, config.vocab_size, (batch_size, length)), mask, config)
    rows = Dataset.from_dict({"input_ids": tokens, "attention_mask": mask}).with_format("torch")
    found = dict(rows[:batch_size])
    return found if chosen.mask == "given" else without_mask(found)


def without_mask(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch for a model that must see every token: the same batch without its mask."""
    return {name: values for name, values in batch.items() if name != "attention_mask"}


def mask_of(batch: Any) -> str:
    """Whether a batch has a mask, as a value of the setting ``mask``."""
    return "given" if "attention_mask" in batch else "none"


def noise(*shape: int, seed: int) -> Any:
    """Random numbers in place of pixels or sound, in memory of torch's allocator, which the memory pass measures."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)).clone()


def sentence_batch(tokenizer: Any, sentences: list[str], batch_size: int, length: int) -> dict[str, Any]:
    """A batch of real sentences, repeated until the batch is full, and padded to the longest of them."""
    repeated = [sentences[index % len(sentences)] for index in range(batch_size)]
    rows = Dataset.from_dict({"text": repeated})
    return dict(tokenizer(rows["text"][:], padding=True, truncation=True, max_length=length, return_tensors="pt"))
